package verify

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/text/unicode/norm"
)

// event holds the fields of all our events that the verifier looks at; an event has some of them.
type event struct {
	EventID       string `json:"event_id"`
	Seq           int64  `json:"seq"`
	Tenant        string `json:"tenant_id"`
	Customer      string `json:"customer_id"`
	Policy        string `json:"policy_number"`
	PolicyID      string `json:"policy_id"`
	Collection    string `json:"collection_id"`
	Period        string `json:"period_month"`
	TransactionID string `json:"transaction_id"`
	Account       string `json:"account_id"`
	State         string `json:"state"`
	DebitID       string `json:"debit_id"`
	Attempt       int    `json:"attempt"`
	Amount        cents  `json:"amount_cents"`
	ActionDate    string `json:"action_date"`
	TrackingUntil string `json:"tracking_until"`
	Rail          string `json:"rail"`
	Kind          string `json:"kind"`
	Since         string `json:"since"`
	Version       int64  `json:"version"`
	Premium       cents  `json:"collection_amount_cents"`
	Due           cents  `json:"due_cents"`
	Collected     cents  `json:"collected_cents"`
	InFlight      cents  `json:"in_flight_cents"`
	Status        string `json:"collection_status"`
	Change        change `json:"change"`
	Stage         string `json:"stage"`
	statement
	execution
	BusinessDate string `json:"business_date"`
	Date         string `json:"date"`
	Cutoff       int    `json:"cutoff"`

	partition int32
	offset    int64
	fresh     bool // too young to be judged
}

// execution holds the fields of a piece of one; a collection has its id.
type execution struct {
	ExecutionID string `json:"execution_id"`
	Part        int    `json:"part"`
	Parts       int    `json:"parts"`
	Piece       int64  `json:"piece"`
	Queued      int64  `json:"policies_queued"`
	Named       bool   `json:"named"`
	Created     int64  `json:"collections_created"`
	Unchanged   int64  `json:"unchanged"`
	Refused     int64  `json:"refused"`
	Done        bool   `json:"done"`
}

// change is the fact behind a version of a collection. Of a statement it is a word, the kind.
type change struct {
	Kind     string `json:"kind"`
	DebitID  string `json:"debit_id"`
	ResultID string `json:"result_id"`
	Moved    cents  `json:"moved_cents"`
	Amount   cents  `json:"amount_cents"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *change) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &c.Kind)
	}
	type plain change
	return json.Unmarshal(b, (*plain)(c))
}

// statement holds the fields of a settlement.
type statement struct {
	SettlementID    string `json:"settlement_id"`
	Number          string `json:"settlement_number"`
	Sequence        int    `json:"sequence"`
	Total           cents  `json:"total_collections_cents"`
	Adjustments     cents  `json:"adjustments_cents"`
	DistributionFee cents  `json:"distribution_fee_cents"`
	CollectionsFee  cents  `json:"collections_fee_cents"`
	TotalFees       cents  `json:"total_fees_cents"`
	VAT             cents  `json:"vat_cents"`
	Net             cents  `json:"net_cents"`
	BroughtForward  cents  `json:"brought_forward_cents"`
	Payable         cents  `json:"payable_cents"`
	PaymentStatus   word   `json:"status"`
	PaymentDate     string `json:"payment_date"`
	Reference       string `json:"payment_reference"`
	PayoutID        string `json:"payout_id"`
	PayoutState     string `json:"payout_state"`
	PaidDate        string `json:"paid_date"`
	Payouts         int    `json:"payouts"`
	Coverage        []struct {
		Period   string  `json:"period_month"`
		From, To []int64 // by partition of kasi.collections.v1
	} `json:"coverage"`
}

// word is a text. Events whose status is something else, as that of an audited call is a number, hold no statement.
type word string

// UnmarshalJSON implements json.Unmarshaler.
func (w *word) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		*w = word(text)
	}
	return nil
}

// result is what the bank said, as it said it.
type result struct {
	ResultID  string `json:"result_id"`
	DebitID   string `json:"debit_id"`
	Status    string `json:"status"`
	Effective string `json:"effective_date"`
	Amount    *cents `json:"amount_cents"`
	place     string
	maybe     bool // too young to be judged, or a dead letter
}

// place is where a record lies; its numbers may be text.
func place(topic string, partition, offset any) string {
	return fmt.Sprint(topic, "/", partition, "/", offset)
}

// hash stands for a transaction.
func (e *event) hash() uint64 {
	return hash(norm.NFC.String(e.Tenant), norm.NFC.String(e.Customer), norm.NFC.String(e.TransactionID),
		norm.NFC.String(e.Account))
}

// key is hash without the account, which feeds' own lists do not name.
func (e *event) key() uint64 { return hash(e.Tenant, e.Customer, e.TransactionID) }

// hash is of facts that hold no control characters.
func hash(facts ...string) uint64 { return xxhash.Sum64String(strings.Join(facts, "\x00")) }

// last are the last events of each id.
func last(events []*event, id func(*event) string) map[string]*event {
	out := map[string]*event{}
	for _, e := range events {
		out[id(e)] = e
	}
	return out
}

func debitID(e *event) string      { return e.DebitID }
func collectionID(e *event) string { return e.Collection }

// cents is money in integer cents.
type cents int64

func (c cents) String() string {
	sign := ""
	if c < 0 {
		sign, c = "-", -c
	}
	return fmt.Sprintf("R %s%d.%02d", sign, int64(c/100), int64(c%100))
}
