package webhooks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// event is something that webhooks can be told of.
type event struct {
	kind                   schemas.WebhookType
	tenant, object, factID string // factID is the id of the event of ours behind it
	date                   string // the business date
	rank                   int    // among events of one date: what changes a collection goes before what is decided of it
	at                     time.Time
	data                   any
	topic                  string
	partition              int32
	offset                 int64
}

// payload is what is sent.
func (e *event) payload() (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(struct {
		Type      schemas.WebhookType `json:"type"`
		Timestamp time.Time           `json:"timestamp"`
		Data      any                 `json:"data"`
	}{e.kind, e.at, e.data})
	return string(bytes.TrimSpace(b.Bytes())), err
}

// eventsOf is what a record tells. A record that is no event of ours tells nothing: the ClickHouse sink makes a dead
// letter of it.
func eventsOf(r *kgo.Record, complete func(*schemas.ExecutionEvent) (*schemas.ExecutionEvent, error)) ([]event, error) {
	switch r.Topic {
	case schemas.TopicCollections:
		return decoded(r, ofCollection), nil
	case schemas.TopicDecisions:
		if !bytes.Contains(r.Value, []byte(`"action":"STOP"`)) {
			return nil, nil // nearly all of them
		}
		return decoded(r, ofDecision), nil
	case schemas.TopicPolicies:
		return decoded(r, ofPolicy), nil
	case schemas.TopicSettlements:
		return decoded(r, ofSettlement), nil
	case schemas.TopicImports:
		events := decoded(r, ofImport)
		for i := range events { // an import that was carried out by two processes is completed once
			events[i].factID = schemas.FactID("import", events[i].tenant, events[i].object)
		}
		return events, nil
	case schemas.TopicExecutions:
		var ev schemas.ExecutionEvent
		if json.Unmarshal(r.Value, &ev) != nil || !ev.Done {
			return nil, nil
		}
		whole, err := complete(&ev)
		if whole == nil {
			return nil, err
		}
		return placed(r, whole.Meta, ofExecution(whole)), nil
	}
	return nil, nil
}

// decoded reads a record and places what it tells.
func decoded[E any](r *kgo.Record, tell func(*E) *event) []event {
	var ev E
	if json.Unmarshal(r.Value, &ev) != nil {
		return nil
	}
	e := tell(&ev)
	if e == nil {
		return nil
	}
	return placed(r, *any(&ev).(interface{ Head() *schemas.Meta }).Head(), e)
}

// placed fills in what every event has.
func placed(r *kgo.Record, m schemas.Meta, e *event) []event {
	if m.EventID == "" || e.tenant == "" || e.object == "" {
		return nil
	}
	e.factID, e.date = m.EventID, m.BusinessDate
	if e.at.IsZero() {
		e.at = m.Shown()
	}
	e.topic, e.partition, e.offset = r.Topic, r.Partition, r.Offset
	return []event{*e}
}

// collection is a collection as the API shows it, and the fact that made it so.
type collection struct {
	ID                        string                   `json:"id"`
	PeriodMonth               schemas.Period           `json:"period_month"`
	CustomerID                string                   `json:"customer_id"`
	ExternalCustomerRef       string                   `json:"external_customer_ref"`
	PolicyNumber              string                   `json:"policy_number"`
	ProductCode               string                   `json:"product_code"`
	CollectionAmountDue       schemas.Rands            `json:"collection_amount_due"`
	CollectionAmountCollected schemas.Rands            `json:"collection_amount_collected"`
	Shortfall                 schemas.Rands            `json:"shortfall"`
	CollectionStatus          schemas.CollectionStatus `json:"collection_status"`
	FirstAttemptDate          *string                  `json:"first_attempt_date"`
	LastAttemptDate           *string                  `json:"last_attempt_date"`
	NumberOfAttempts          int                      `json:"number_of_attempts"`
	LastFailureReason         *string                  `json:"last_failure_reason"`
	InFlight                  schemas.Rands            `json:"in_flight"`
	Version                   int64                    `json:"version"`
	Result                    result                   `json:"result"`
}

// result is the bank's answer that an event tells of.
type result struct {
	Kind          schemas.ChangeKind `json:"kind"`
	DebitID       string             `json:"debit_id"`
	Amount        *schemas.Rands     `json:"amount"`
	ReasonCode    *string            `json:"reason_code"`
	ReasonScheme  *string            `json:"reason_scheme"`
	EffectiveDate *string            `json:"effective_date"`
}

func ofCollection(ev *schemas.CollectionEvent) *event {
	e := &event{tenant: ev.TenantID, object: ev.CollectionID}
	switch ev.Change.Kind {
	case schemas.ChangePaid:
		e.kind = schemas.WebhookPaid
	case schemas.ChangeUnpaid, schemas.ChangeRejected, schemas.ChangeLateUnpaid, schemas.ChangeDisputed:
		e.kind = schemas.WebhookFailed
	default:
		return nil
	}
	e.data = collection{
		ID: ev.CollectionID, PeriodMonth: ev.PeriodMonth, CustomerID: ev.CustomerID,
		ExternalCustomerRef: ev.ExternalCustomerRef, PolicyNumber: ev.PolicyNumber, ProductCode: ev.ProductCode,
		CollectionAmountDue: schemas.Rands(ev.DueCents), CollectionAmountCollected: schemas.Rands(ev.CollectedCents),
		Shortfall: schemas.Rands(ev.DueCents - ev.CollectedCents), CollectionStatus: ev.Status,
		FirstAttemptDate: orNull(ev.FirstAttemptDate), LastAttemptDate: orNull(ev.LastAttemptDate),
		NumberOfAttempts: ev.Attempts, LastFailureReason: orNull(ev.LastFailureReason),
		InFlight: schemas.Rands(ev.InFlightCents), Version: ev.Version,
		Result: result{
			Kind: ev.Change.Kind, DebitID: ev.Change.DebitID, Amount: orNull(schemas.Rands(ev.Change.AmountCents)),
			ReasonCode: orNull(ev.Change.ReasonCode), ReasonScheme: orNull(ev.Change.ReasonScheme),
			EffectiveDate: orNull(ev.Change.EffectiveDate),
		},
	}
	return e
}

// orNull is nil for what is empty or zero.
func orNull[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

// stopped is a collection that is not debited again as things stand, and why.
type stopped struct {
	ID                        string         `json:"id"`
	PeriodMonth               schemas.Period `json:"period_month"`
	CustomerID                string         `json:"customer_id"`
	PolicyNumber              string         `json:"policy_number"`
	CollectionAmountDue       schemas.Rands  `json:"collection_amount_due"`
	CollectionAmountCollected schemas.Rands  `json:"collection_amount_collected"`
	Shortfall                 schemas.Rands  `json:"shortfall"`
	NumberOfAttempts          int            `json:"number_of_attempts"`
	LastFailureReason         *string        `json:"last_failure_reason"`
	InFlight                  schemas.Rands  `json:"in_flight"`
	Reason                    string         `json:"reason"`
	Explanation               string         `json:"explanation"`
}

func ofDecision(ev *schemas.DecisionEvent) *event {
	if ev.Action != schemas.DecideStop {
		return nil
	}
	in := &ev.Inputs
	return &event{kind: schemas.WebhookStopped, tenant: ev.TenantID, object: ev.CollectionID, rank: 1, data: stopped{
		ID: ev.CollectionID, PeriodMonth: ev.PeriodMonth, CustomerID: ev.CustomerID, PolicyNumber: ev.PolicyNumber,
		CollectionAmountDue: schemas.Rands(in.DueCents), CollectionAmountCollected: schemas.Rands(in.CollectedCents),
		Shortfall: schemas.Rands(in.DueCents - in.CollectedCents), NumberOfAttempts: in.Attempts,
		LastFailureReason: orNull(in.LastReason), InFlight: schemas.Rands(in.InFlightCents), Reason: ev.Reason,
		Explanation: ev.Explanation,
	}}
}

// policy is a policy as the API shows it.
type policy struct {
	ID                  string               `json:"id"`
	PolicyNumber        string               `json:"policy_number"`
	CustomerID          string               `json:"customer_id"`
	ExternalCustomerRef string               `json:"external_customer_ref"`
	ProductCode         string               `json:"product_code"`
	CollectionAmount    schemas.Rands        `json:"collection_amount"`
	Status              schemas.PolicyStatus `json:"status"`
	Rail                schemas.Rail         `json:"rail"`
	Hold                string               `json:"hold"`
	Version             int64                `json:"version"`
}

// ofPolicy tells of a hold. Only an answer of the bank makes one or a worse one, and that version has no request.
func ofPolicy(ev *schemas.PolicyEvent) *event {
	if ev.HoldReason == "" || ev.RequestID != "" {
		return nil
	}
	return &event{kind: schemas.WebhookOnHold, tenant: ev.TenantID, object: ev.PolicyID, data: policy{
		ID: ev.PolicyID, PolicyNumber: ev.PolicyNumber, CustomerID: ev.CustomerID,
		ExternalCustomerRef: ev.ExternalCustomerRef, ProductCode: ev.ProductCode,
		CollectionAmount: schemas.Rands(ev.PremiumCents), Status: ev.Status, Rail: ev.Rail, Hold: ev.HoldReason,
		Version: ev.Version,
	}}
}

// settlement is a statement as the API shows it.
type settlement struct {
	ID               string                   `json:"id"`
	SettlementNumber string                   `json:"settlement_number"`
	PeriodMonth      schemas.Period           `json:"period_month"`
	TotalCollections schemas.Rands            `json:"total_collections"`
	DistributionFee  schemas.Rands            `json:"distribution_fee"`
	CollectionsFee   schemas.Rands            `json:"collections_fee"`
	TotalFees        schemas.Rands            `json:"total_fees"`
	VAT              schemas.Rands            `json:"vat"`
	NetAmount        schemas.Rands            `json:"net_amount"`
	BroughtForward   schemas.Rands            `json:"brought_forward"`
	PayableAmount    schemas.Rands            `json:"payable_amount"`
	PaymentDate      *string                  `json:"payment_date"`
	PaymentReference *string                  `json:"payment_reference"`
	PaidDate         *string                  `json:"paid_date"`
	Status           schemas.SettlementStatus `json:"status"`
	Note             *string                  `json:"note"` // of a dispute
	Version          int64                    `json:"version"`
}

func ofSettlement(ev *schemas.SettlementEvent) *event {
	e := &event{tenant: ev.TenantID, object: ev.SettlementID}
	switch ev.Change {
	case schemas.SettlementCreated:
		e.kind = schemas.WebhookSettled
	case schemas.SettlementPaidOut:
		e.kind = schemas.WebhookSettlementPaid
	case schemas.SettlementInDispute:
		e.kind = schemas.WebhookSettlementDisputed
	default:
		return nil
	}
	e.data = settlement{
		ID: ev.SettlementID, SettlementNumber: ev.Number, PeriodMonth: ev.PeriodMonth,
		TotalCollections: schemas.Rands(ev.TotalCollectionsCents), DistributionFee: schemas.Rands(ev.DistributionFeeCents),
		CollectionsFee: schemas.Rands(ev.CollectionsFeeCents), TotalFees: schemas.Rands(ev.TotalFeesCents),
		VAT: schemas.Rands(ev.VATCents), NetAmount: schemas.Rands(ev.NetCents),
		BroughtForward: schemas.Rands(ev.BroughtForwardCents), PayableAmount: schemas.Rands(ev.PayableCents),
		PaymentDate: orNull(ev.PaymentDate), PaymentReference: orNull(ev.PaymentReference), PaidDate: orNull(ev.PaidDate),
		Status: ev.Status, Note: orNull(ev.Note), Version: ev.Version,
	}
	return e
}

// imported is an import as the API shows it.
type imported struct {
	ID        string `json:"import_id"`
	Mode      string `json:"mode"`
	DryRun    bool   `json:"dry_run"`
	Rows      int64  `json:"rows"`
	Imported  int64  `json:"imported"`
	Failed    int64  `json:"failed"`
	Created   int64  `json:"created"`
	Updated   int64  `json:"updated"`
	Unchanged int64  `json:"unchanged"`
	Cancelled int64  `json:"cancelled"`
	Warnings  int64  `json:"warnings"`
}

func ofImport(ev *schemas.ImportEvent) *event {
	if ev.Kind != schemas.ImportCompleted {
		return nil
	}
	return &event{kind: schemas.WebhookImported, tenant: ev.TenantID, object: ev.ImportID, at: ev.AskedAt, data: imported{
		ID: ev.ImportID, Mode: ev.Mode, DryRun: ev.DryRun, Rows: ev.Rows, Imported: ev.Imported, Failed: ev.Failed,
		Created: ev.Created, Updated: ev.Updated, Unchanged: ev.Unchanged, Cancelled: ev.Cancelled, Warnings: ev.Warnings,
	}}
}

// execution is an execution as the API shows it.
type execution struct {
	ID                 string         `json:"execution_id"`
	PeriodMonth        schemas.Period `json:"period_month"`
	Status             string         `json:"status"`
	PoliciesQueued     int64          `json:"policies_queued"`
	CollectionsCreated int64          `json:"collections_created"`
	Unchanged          int64          `json:"unchanged"`
	Refused            int64          `json:"refused"`
}

func ofExecution(ev *schemas.ExecutionEvent) *event {
	return &event{kind: schemas.WebhookExecuted, tenant: ev.TenantID, object: ev.ExecutionID, data: execution{
		ID: ev.ExecutionID, PeriodMonth: ev.PeriodMonth, Status: "completed", PoliciesQueued: ev.PoliciesQueued,
		CollectionsCreated: ev.CollectionsCreated, Unchanged: ev.Unchanged, Refused: ev.Refused,
	}}
}

// delivery is the first change of an event's delivery to a webhook.
func (e *event) delivery(w *schemas.Webhook, now time.Time) (*schemas.WebhookDelivery, error) {
	payload, err := e.payload()
	if err != nil {
		return nil, fmt.Errorf("payload of a %s: %w", e.kind, err)
	}
	return &schemas.WebhookDelivery{
		DeliveryID: schemas.WebhookDeliveryID(w.ID, e.factID, e.kind), TenantID: w.TenantID, WebhookID: w.ID, Type: e.kind,
		ObjectID: e.object, Status: schemas.DeliveryPending, Payload: payload, Since: now, At: now,
	}, nil
}
