package schemas

import "time"

// Meta is on every event Kasi emits.
type Meta struct {
	// EventID is made from facts: the same event has the same id in every run.
	EventID string `json:"event_id"`
	// Seq counts the records this stage has written to this partition of this topic: 1, 2, 3... without a gap.
	Seq int64 `json:"seq"`
	// BusinessDate is the calendar's day when it happened, YYYY-MM-DD.
	BusinessDate string `json:"business_date"`
	// At is the timestamp of the timeline record that caused it, so a replay gives the same instant.
	At time.Time `json:"at"`
}

// TransactionEvent is an accepted bank transaction (kasi.transactions.v1): each once, duplicates removed.
type TransactionEvent struct {
	Meta
	Transaction
	// BookedDate is the Johannesburg date of BookedAt, YYYY-MM-DD.
	BookedDate string `json:"booked_date"`
}

// DepositEvent says what was detected in one credit (kasi.deposits.v1).
type DepositEvent struct {
	Meta
	TenantID      string `json:"tenant_id"`
	CustomerID    string `json:"customer_id"`
	TransactionID string `json:"transaction_id"` // or the income_id, when only the income feed knows of the money
	DepositDate   string `json:"deposit_date"`
	AmountCents   Cents  `json:"amount_cents"`
	// StreamID names the customer's income stream that the deposit belongs to.
	StreamID string     `json:"stream_id"`
	Kind     IncomeKind `json:"kind"`
	// Frequency is WEEKLY, BIWEEKLY, SEMI_MONTHLY, MONTHLY, IRREGULAR; empty while the stream has too few deposits.
	Frequency string `json:"frequency,omitempty"`
	// StreamStatus is EARLY_DETECTION, MATURE or ENDED.
	StreamStatus string `json:"stream_status"`
	// ConfidencePercent, 0-100, is how much of the stream's history its pattern explains.
	ConfidencePercent int    `json:"confidence_percent"`
	NextExpectedDate  string `json:"next_expected_date,omitempty"`
}

// DecisionAction is what the engine decided for a collection.
type DecisionAction string

// The decisions.
const (
	DecideDebit DecisionAction = "DEBIT"
	DecideWait  DecisionAction = "WAIT"
	DecideStop  DecisionAction = "STOP"
)

// DecisionEvent is one decision with its inputs, alternatives and reason (kasi.decisions.v1). A decision stands until
// the next one of the same collection, so "why was POL001 not debited on the 12th" is the last decision on or before
// that day.
type DecisionEvent struct {
	Meta
	TenantID     string         `json:"tenant_id"`
	CustomerID   string         `json:"customer_id"`
	PolicyNumber string         `json:"policy_number"`
	CollectionID string         `json:"collection_id"`
	PeriodMonth  Period         `json:"period_month"`
	Action       DecisionAction `json:"action"`
	// Reason is a code such as AWAIT_INCOME; Explanation is the same in a sentence an analyst can read.
	Reason       string         `json:"reason"`
	Explanation  string         `json:"explanation"`
	DebitID      string         `json:"debit_id,omitempty"`
	AmountCents  Cents          `json:"amount_cents"`
	NextDate     string         `json:"next_date,omitempty"`
	Alternatives []Alternative  `json:"alternatives,omitempty"`
	Inputs       DecisionInputs `json:"inputs"`
}

// Alternative is a decision that was possible and was not taken.
type Alternative struct {
	Action DecisionAction `json:"action"`
	Reason string         `json:"reason"`
}

// DecisionInputs is what a decision was made from.
type DecisionInputs struct {
	DueCents         Cents  `json:"due_cents"`
	CollectedCents   Cents  `json:"collected_cents"`
	InFlightCents    Cents  `json:"in_flight_cents"`
	BudgetCents      Cents  `json:"budget_cents"` // deposits not yet used
	BalanceCents     *Cents `json:"balance_cents,omitempty"`
	Attempts         int    `json:"attempts"`
	Rail             Rail   `json:"rail"`
	LastDepositDate  string `json:"last_deposit_date,omitempty"`
	NextExpectedDate string `json:"next_expected_date,omitempty"`
	LastReason       string `json:"last_reason,omitempty"`
}

// Rail is how a debit reaches the customer's bank.
type Rail string

// The rails (SPEC 4.8).
const (
	RailEFT       Rail = "EFT"
	RailDebiCheck Rail = "DEBICHECK"
	RailRM        Rail = "RM"
)

// DebitInstruction is a debit sent to the bank's side (kasi.debits.v1).
type DebitInstruction struct {
	Meta
	DebitID      string `json:"debit_id"`
	TenantID     string `json:"tenant_id"`
	CustomerID   string `json:"customer_id"`
	PolicyNumber string `json:"policy_number"`
	CollectionID string `json:"collection_id"`
	PeriodMonth  Period `json:"period_month"`
	Attempt      int    `json:"attempt"`
	AmountCents  Cents  `json:"amount_cents"`
	Currency     string `json:"currency"`
	ActionDate   string `json:"action_date"`
	// TrackingUntil is the last day on which the bank may present the debit until it is paid, YYYY-MM-DD. Empty: it
	// presents it on ActionDate only.
	TrackingUntil    string `json:"tracking_until,omitempty"`
	Rail             Rail   `json:"rail"`
	MandateReference string `json:"mandate_reference,omitempty"`
	// TransactionIDs are the deposits that the debit counts on, oldest first; none where no money was seen.
	TransactionIDs []string `json:"transaction_ids,omitempty"`
}

// PolicyStatus is the state of a policy. Input is read in any case.
type PolicyStatus string

// The policy statuses.
const (
	PolicyActive    PolicyStatus = "active"
	PolicyCancelled PolicyStatus = "cancelled"
	PolicyLapsed    PolicyStatus = "lapsed"
)

// PolicyTerms is what an insurer says about a policy.
type PolicyTerms struct {
	ExternalCustomerRef string       `json:"external_customer_ref"`
	ProductCode         string       `json:"product_code"`
	PremiumCents        Cents        `json:"collection_amount_cents"`
	Status              PolicyStatus `json:"status"`
	Rail                Rail         `json:"rail"`
	MandateReference    string       `json:"mandate_reference,omitempty"`
	// MandateMaxCents is the most one debit may take; 0 means no maximum is known.
	MandateMaxCents Cents `json:"mandate_max_cents,omitempty"`
	// MandateFixed mandates allow only the full amount, never a part.
	MandateFixed bool `json:"mandate_fixed,omitempty"`
	// CollectionDay, 1-31, is the first attempt's day while no income is known; 0 means the configured day.
	CollectionDay int `json:"collection_day,omitempty"`
}

// PolicyEvent is a policy after a change (kasi.policies.v1).
type PolicyEvent struct {
	Meta
	PolicyID     string `json:"policy_id"`
	TenantID     string `json:"tenant_id"`
	CustomerID   string `json:"customer_id"`
	PolicyNumber string `json:"policy_number"`
	Version      int64  `json:"version"`
	PolicyTerms
	// HoldReason is set when a bank's answer forbids further debits until the mandate or account is mended.
	HoldReason string    `json:"hold_reason,omitempty"`
	RequestID  string    `json:"request_id,omitempty"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
}

// CollectionStatus is the outcome of a collection as reports show it.
type CollectionStatus string

// The collection statuses (SPEC section 3).
const (
	PaidFull            CollectionStatus = "PAID_FULL"
	PaidPartial         CollectionStatus = "PAID_PARTIAL"
	Unpaid              CollectionStatus = "UNPAID"
	CollectionCancelled CollectionStatus = "CANCELLED"
)

// CollectionEvent is a collection after a change (kasi.collections.v1).
type CollectionEvent struct {
	Meta
	CollectionID        string           `json:"collection_id"`
	TenantID            string           `json:"tenant_id"`
	CustomerID          string           `json:"customer_id"`
	PolicyID            string           `json:"policy_id"`
	PolicyNumber        string           `json:"policy_number"`
	ExternalCustomerRef string           `json:"external_customer_ref"`
	ProductCode         string           `json:"product_code"`
	PeriodMonth         Period           `json:"period_month"`
	ExecutionID         string           `json:"execution_id"`
	Version             int64            `json:"version"`
	DueCents            Cents            `json:"due_cents"`
	CollectedCents      Cents            `json:"collected_cents"`
	InFlightCents       Cents            `json:"in_flight_cents"`
	Status              CollectionStatus `json:"collection_status"`
	FirstAttemptDate    string           `json:"first_attempt_date,omitempty"`
	LastAttemptDate     string           `json:"last_attempt_date,omitempty"`
	Attempts            int              `json:"number_of_attempts"`
	LastFailureReason   string           `json:"last_failure_reason,omitempty"`
	Change              Change           `json:"change"`
}

// ChangeKind names the fact that made a version of a collection.
type ChangeKind string

// The facts in a collection's life. Only the last four move money.
const (
	ChangeCreated      ChangeKind = "CREATED"
	ChangeInstructed   ChangeKind = "DEBIT_INSTRUCTED"
	ChangeUnpaid       ChangeKind = "DEBIT_UNPAID"
	ChangeRejected     ChangeKind = "DEBIT_REJECTED"
	ChangeCancelled    ChangeKind = "CANCELLED"
	ChangeReactivated  ChangeKind = "REACTIVATED"
	ChangePaid         ChangeKind = "DEBIT_PAID"     // + the debit's amount
	ChangeLateUnpaid   ChangeKind = "LATE_UNPAID"    // - the debit's amount: paid before, returned late
	ChangeDisputed     ChangeKind = "DEBIT_DISPUTED" // - the amount, or 0 where it had not been paid yet
	ChangePaidDisputed ChangeKind = "PAID_DISPUTED"  // 0: paid, but a dispute had arrived before
)

// Change is the fact behind a version of a collection. MovedCents is what it added to collected: positive, negative or
// zero. The sum of MovedCents over a collection's events is its collected amount.
type Change struct {
	Kind          ChangeKind `json:"kind"`
	DebitID       string     `json:"debit_id,omitempty"`
	ResultID      string     `json:"result_id,omitempty"`
	MovedCents    Cents      `json:"moved_cents"`
	AmountCents   Cents      `json:"amount_cents,omitempty"`
	ReasonCode    string     `json:"reason_code,omitempty"`
	ReasonScheme  string     `json:"reason_scheme,omitempty"`
	EffectiveDate string     `json:"effective_date,omitempty"`
}

// SettlementStatus is the state of a settlement.
type SettlementStatus string

// The settlement statuses (SPEC section 5).
const (
	SettlementPending  SettlementStatus = "pending"
	SettlementPaid     SettlementStatus = "paid"
	SettlementDisputed SettlementStatus = "disputed"
)

// SettlementEvent is a statement after a change (kasi.settlements.v1). The figures never change once written; the
// status does.
type SettlementEvent struct {
	Meta
	SettlementID          string           `json:"settlement_id"`
	TenantID              string           `json:"tenant_id"`
	Number                string           `json:"settlement_number"` // SETTLE-2025-11-001
	PeriodMonth           Period           `json:"period_month"`
	Sequence              int              `json:"sequence"`
	Version               int64            `json:"version"`
	TotalCollectionsCents Cents            `json:"total_collections_cents"`
	AdjustmentsCents      Cents            `json:"adjustments_cents"` // part of the total that belongs to earlier periods
	DistributionFeeCents  Cents            `json:"distribution_fee_cents"`
	CollectionsFeeCents   Cents            `json:"collections_fee_cents"`
	TotalFeesCents        Cents            `json:"total_fees_cents"`
	VATCents              Cents            `json:"vat_cents"`
	NetCents              Cents            `json:"net_cents"`
	PaymentDate           string           `json:"payment_date"`
	PaymentReference      string           `json:"payment_reference"` // EFT-20251203-001
	Status                SettlementStatus `json:"status"`
	RequestID             string           `json:"request_id"`
	CreatedAt             time.Time        `json:"created_at"`
	// Coverage says exactly which events of kasi.collections.v1 this statement counts.
	Coverage []Coverage `json:"coverage"`
}

// Coverage is, for one period, the range of kasi.collections.v1 that a statement counts: on partition p the events with
// From[p] <= seq < To[p].
type Coverage struct {
	Period Period  `json:"period_month"`
	From   []int64 `json:"from"`
	To     []int64 `json:"to"`
}

// OutcomeEvent answers one API command (kasi.outcomes.v1).
type OutcomeEvent struct {
	Meta
	RequestID string `json:"request_id"`
	TenantID  string `json:"tenant_id"`
	// Row is the command's place in its request: the row of a CSV, starting at 1 after the header.
	Row int `json:"row"`
	// Code is OK, UNCHANGED, CONFLICT, NOT_FOUND.
	Code         string `json:"code"`
	Message      string `json:"message,omitempty"`
	PolicyNumber string `json:"policy_number,omitempty"`
	// ObjectID is the policy, collection or settlement the command made or met.
	ObjectID string `json:"object_id,omitempty"`
	// Stage that answered: owners, collect or settle. Seq is dense per stage and partition.
	Stage string `json:"stage"`
}

// The outcome codes.
const (
	OutcomeOK        = "OK"
	OutcomeUnchanged = "UNCHANGED"
	OutcomeConflict  = "CONFLICT"
	OutcomeNotFound  = "NOT_FOUND"
)
