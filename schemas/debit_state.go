package schemas

import (
	"fmt"
	"strings"
	"time"
)

// DebitState is a debit as it stands. Its decision, its instruction and each answer of the bank are rows of their own.
// A merge, or FINAL, makes one of them by taking of each column what is there.
//
//catalog:state debits_now tenant_id, period_month, policy_number, collection_id, debit_id
//catalog:nullable action_date
//catalog:nullable business_date
type DebitState struct {
	DebitInstruction
	// The insurer's further reference of the customer; may be empty.
	ExternalCustomerRef string `json:"external_customer_ref,omitempty" cat:"after=customer_id"`
	// The insurer's product; may be empty.
	ProductCode string `json:"product_code,omitempty" cat:"low after=policy_number"`
	// Why it was debited then, as a code such as MONEY_SEEN; of the decision.
	DecidedReason string `json:"decided_reason,omitempty" cat:"low"`
	// Chance that it would be paid, as the decision saw it, in 1/10,000; absent where nothing was priced.
	ChancePer10000 *int64 `json:"chance_per_10000,omitempty"`
	// The customer's latest deposit when it was decided; absent where none was known.
	LastDepositDate string `json:"last_deposit_date,omitempty" cat:"date"`
	// The bank's latest answer: version of the collection, kind, reason code, scheme, effective date, business date and
	// result, with tabs between them. The version is of ten digits, so that the latest is the greatest.
	LastAnswer string `json:"last_answer,omitempty"`
	// The versions of the collection in which the bank answered.
	Answers []int64 `json:"answers,omitempty"`
}

// answerKinds are the facts that are an answer of the bank.
var answerKinds = []ChangeKind{
	ChangePaid, ChangeUnpaid, ChangeLateUnpaid, ChangeRejected, ChangeDisputed, ChangePaidDisputed,
}

// InstructedDebit is a debit's row as its instruction makes it.
func InstructedDebit(d DebitInstruction) DebitState { return DebitState{DebitInstruction: d} }

// ChangedDebit is a debit's row as a change of its collection makes it; ok is false where the change is about none.
func ChangedDebit(c *CollectionEvent) (d DebitState, ok bool) {
	if c.Change.DebitID == "" {
		return d, false
	}
	d = aboutDebit(DebitInstruction{
		DebitID: c.Change.DebitID, TenantID: c.TenantID, CustomerID: c.CustomerID, PolicyNumber: c.PolicyNumber,
		CollectionID: c.CollectionID, PeriodMonth: c.PeriodMonth,
	})
	d.ExternalCustomerRef, d.ProductCode = c.ExternalCustomerRef, c.ProductCode
	for _, kind := range answerKinds {
		if c.Change.Kind == kind {
			d.Answers = []int64{c.Version}
			d.LastAnswer = strings.Join([]string{
				fmt.Sprintf("%010d", c.Version), string(kind), c.Change.ReasonCode, c.Change.ReasonScheme,
				c.Change.EffectiveDate, c.BusinessDate, c.Change.ResultID,
			}, "\t")
		}
	}
	return d, true
}

// DecidedDebit is a debit's row as its decision makes it; ok is false where none was decided.
func DecidedDebit(e *DecisionEvent, in DecisionInputs) (d DebitState, ok bool) {
	if e.DebitID == "" {
		return d, false
	}
	d = aboutDebit(DebitInstruction{
		DebitID: e.DebitID, TenantID: e.TenantID, CustomerID: e.CustomerID, PolicyNumber: e.PolicyNumber,
		CollectionID: e.CollectionID, PeriodMonth: e.PeriodMonth,
	})
	d.DecidedReason, d.ChancePer10000, d.LastDepositDate = e.Reason, in.ChancePer10000, in.LastDepositDate
	return d, true
}

// aboutDebit is a row that another event than the instruction makes.
func aboutDebit(d DebitInstruction) DebitState {
	d.Meta = Meta{EventID: noEvent, At: time.Unix(0, 0).UTC()}
	return DebitState{DebitInstruction: d}
}

// noEvent stands where a row is not made by an instruction.
const noEvent = "00000000-0000-0000-0000-000000000000"
