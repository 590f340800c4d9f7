package schemas

import (
	"encoding/json"
	"slices"
	"time"
)

// HeaderKind is the Kafka header that names what a timeline or command record holds; its value is JSON of the type
// beside each kind.
const HeaderKind = "kasi.kind"

// HeaderCalendar is the header of a tick that says who moves the calendar: CalendarReal (the clock) or CalendarManual
// (`kasi calendar advance`).
const (
	HeaderCalendar = "kasi.calendar"
	CalendarReal   = "real"
	CalendarManual = "manual"
)

// Kind is the value of HeaderKind.
type Kind string

// The kinds of records on the timeline, the command topics and others that only Kasi reads. An outside record's value
// reaches the timeline byte for byte.
const (
	KindTransaction Kind = "transaction" // Transaction
	KindIncome      Kind = "income"      // Income
	KindResult      Kind = "result"      // Result
	KindPolicy      Kind = "policy"      // PolicyCommand
	KindMove        Kind = "move"        // MoveCommand
	KindExecute     Kind = "execute"     // ExecuteCommand
	KindCloseItem   Kind = "close-item"  // CloseItemCommand
	KindImport      Kind = "import"      // ImportEntry
	KindExecution   Kind = "execution"   // ExecutionCommand
	KindTick        Kind = "tick"        // Tick
	KindSettle      Kind = "settle"      // SettleCommand
	KindTenant      Kind = "tenant"      // TenantSettings
	KindAudit       Kind = "audit"       // AuditEvent, without its head
	KindStatement   Kind = "statement"   // StatementCommand
	KindPayout      Kind = "payout"      // PayoutResult
	KindEvent       Kind = "event"       // an event on a topic that only Kasi reads
	KindState       Kind = "state"       // of a changelog; its format is the stage's own
)

// PolicyAction says what a policy command wants.
type PolicyAction string

// The policy actions.
const (
	// PolicyCreate makes a policy and is a CONFLICT where the number exists.
	PolicyCreate PolicyAction = "CREATE"
	// PolicyImport makes a policy or gives it new terms; the same terms again change nothing.
	PolicyImport PolicyAction = "IMPORT"
	// PolicyPatch changes some fields of an existing policy.
	PolicyPatch PolicyAction = "PATCH"
)

// PolicyCommand travels on kasi.policy.commands.v1, keyed by (tenant, policy number), and from there on the customer's
// timeline.
type PolicyCommand struct {
	RequestID string       `json:"request_id"`
	Row       int          `json:"row"`
	Line      int          `json:"line,omitempty"` // of the file, where the command is a row of one
	Action    PolicyAction `json:"action"`
	TenantID  string       `json:"tenant_id"`
	// CustomerID of a PATCH on the command topic is the customer whose the policy shall be, or empty: intake knows the
	// owner.
	CustomerID   string `json:"customer_id"`
	PolicyNumber string `json:"policy_number"`
	// Terms of a CREATE or IMPORT, and of a PATCH that names Given.
	Terms *PolicyTerms `json:"terms,omitempty"`
	// Given names the fields of Terms that an IMPORT or PATCH is about, as the policy file does; the others stay as they
	// are stored. A field that is given and empty is cleared. An IMPORT that gives none gives all.
	Given []string `json:"given,omitempty"`
	// IfVersion, where not 0, is the version that the policy must have.
	IfVersion int64 `json:"if_version,omitempty"`
	// KeyID is the id of the API key that asks.
	KeyID string `json:"key_id,omitempty"`
	// SetPremium and SetStatus are fields of a PATCH.
	SetPremium *Cents        `json:"set_collection_amount_cents,omitempty"`
	SetStatus  *PolicyStatus `json:"set_status,omitempty"`
}

// MoveCommand takes a policy from one customer to another. It is a PATCH that names another customer, and goes from
// intake to the timeline of From, from there back to the policy commands, and from there to the timeline of CustomerID.
type MoveCommand struct {
	PolicyCommand
	From string `json:"from"`
	// Refused says that From keeps the policy.
	Refused bool `json:"refused,omitempty"`
	// Moved is what From has let go of; package book knows its fields. It is empty before that.
	Moved json.RawMessage `json:"moved,omitempty"`
}

// At is the customer on whose timeline the command belongs.
func (c *MoveCommand) At() string {
	if c.Moved != nil {
		return c.CustomerID
	}
	return c.From
}

// The fields of a policy's terms that a command may give.
const (
	GivenReference = "external_customer_ref"
	GivenProduct   = "product_code"
	GivenPremium   = "collection_amount"
	GivenStatus    = "status"
	GivenRail      = "rail"
	GivenMandate   = "mandate_reference"
	GivenMaximum   = "mandate_max_amount"
	GivenFixed     = "mandate_fixed"
	GivenDay       = "collection_day"
	GivenBank      = "bank"
	GivenToken     = "account_token"
)

// Gives tells whether the command is about a field of the terms.
func (c *PolicyCommand) Gives(field string) bool {
	return c.Given == nil && c.Action != PolicyPatch || slices.Contains(c.Given, field)
}

// ExecuteCommand makes the collection of one policy for one period, if it is missing. It goes straight to the
// customer's timeline.
type ExecuteCommand struct {
	RequestID    string `json:"request_id"`
	ExecutionID  string `json:"execution_id"`
	Row          int    `json:"row"`
	TenantID     string `json:"tenant_id"`
	CustomerID   string `json:"customer_id"`
	PolicyNumber string `json:"policy_number"`
	PeriodMonth  Period `json:"period_month"`
}

// CloseItemCommand is a person's word that an open item needs no more looking at. It goes straight to the customer's
// timeline.
type CloseItemCommand struct {
	RequestID  string `json:"request_id"`
	TenantID   string `json:"tenant_id"`
	CustomerID string `json:"customer_id"`
	DebitID    string `json:"debit_id"`
	Note       string `json:"note,omitempty"`
}

// ExecutionCommand makes the collections of one period for all active policies of a tenant, where they are missing. One
// goes to every partition of the timeline. Collect works on some of the customers there and then writes the command to
// the partition again, with how far it has come: the work that is left is an ordinary record behind the others, so a
// large tenant's execution does not delay what others ask for. How customers are cut stands in the command (Size), so
// that a replay cuts them in the same way.
//
// An execution of named policies has one such command, for its name and its number of policies alone (Named).
type ExecutionCommand struct {
	ExecutionID string `json:"execution_id"`
	RequestID   string `json:"request_id"`
	TenantID    string `json:"tenant_id"`
	PeriodMonth Period `json:"period_month"`
	// Parts is how many partitions have the command; PoliciesQueued how many policies had no collection at the call.
	Parts          int   `json:"parts"`
	PoliciesQueued int64 `json:"policies_queued"`
	// Named says that the policies have commands of their own.
	Named bool `json:"named,omitempty"`
	// Voids is an execution whose collections without an attempt are taken back; this command makes none then.
	Voids string `json:"voids,omitempty"`
	// Size is how many policies are worked on in one piece; one customer's are never cut.
	Size int `json:"size"`

	// What follows is empty in the caller's command. Number counts what collect has written to this partition of the
	// timeline: a command whose number has been taken in is ignored, so that the copied ones of a replay count and those
	// that it writes anew do not.
	Number int64 `json:"number,omitempty"`
	// Piece counts the pieces done on this partition; After is the last customer's key.
	Piece int64  `json:"piece,omitempty"`
	After string `json:"after,omitempty"`
	ExecutionCounts
}

// ExecutionCounts is what became of the policies of an execution on one partition so far.
type ExecutionCounts struct {
	// Collections made.
	CollectionsCreated int64 `json:"collections_created" cat:"min=0"`
	// Active policies that had their collection already.
	Unchanged int64 `json:"unchanged" cat:"min=0"`
	// Active policies whose collection was refused, because the period had passed by then.
	Refused int64 `json:"refused" cat:"min=0"`
	// Collections taken back.
	Voided int64 `json:"voided,omitempty" cat:"min=0"`
}

// Add counts more.
func (c *ExecutionCounts) Add(more ExecutionCounts) {
	c.CollectionsCreated += more.CollectionsCreated
	c.Unchanged += more.Unchanged
	c.Refused += more.Refused
	c.Voided += more.Voided
}

// Tick is the passing of business time. It is written to every partition of the timeline and of the settlement
// commands, and to kasi.calendar.v1. Ticks are ordered by (date, cut-off); a tick not after the last one is ignored.
type Tick struct {
	// Business date that opened or reached a cut-off.
	Date string `json:"date" cat:"date col=business_date"`
	// 0 opens the day; 1, 2... are its cut-offs, at which decisions are made.
	Cutoff int `json:"cutoff"`
}

// TickRow is one tick of the calendar. A tick carries business time only, so its row takes the record's timestamp.
//
//catalog:row TopicCalendar
//catalog:table calendar_log business_date, cutoff
type TickRow struct {
	Tick
	// Timestamp of the record, UTC.
	At time.Time `json:"-"`
}

// Stamp gives the row the timestamp of its record.
func (t *TickRow) Stamp(at time.Time) { t.At = at }

// After tells whether the tick is later than other. Dates compare as text because they are YYYY-MM-DD.
func (t Tick) After(other Tick) bool {
	return t.Date > other.Date || t.Date == other.Date && t.Cutoff > other.Cutoff
}

// SettleCommand asks for a tenant's statement. Cut is, for each partition of kasi.collections.v1, the first seq that it
// does not count: the caller took it, and a topic rebuilt from the timeline has the same numbers (not the same
// offsets), so a replay gives the same statement.
type SettleCommand struct {
	RequestID   string  `json:"request_id"`
	TenantID    string  `json:"tenant_id"`
	PeriodMonth Period  `json:"period_month"`
	Cut         []int64 `json:"cut"`
	// Preview asks for the figures alone: no statement is made.
	Preview bool `json:"preview,omitempty"`
}

// StatementAction says what is to become of a statement.
type StatementAction string

// The actions on a statement.
const (
	StatementDispute StatementAction = "DISPUTE" // it is not paid until that is resolved
	StatementResolve StatementAction = "RESOLVE"
	StatementRetry   StatementAction = "RETRY" // pay it again, after its payout has failed
)

// StatementCommand changes the state of a statement. It travels on the settlement commands, keyed by the tenant.
type StatementCommand struct {
	RequestID string          `json:"request_id"`
	TenantID  string          `json:"tenant_id"`
	Action    StatementAction `json:"action"`
	// SettlementID names the statement.
	SettlementID string `json:"settlement_id"`
	Note         string `json:"note,omitempty"`
}
