package schemas

import "time"

// Meta is on every event Kasi emits.
type Meta struct {
	// Made from facts: the same event has the same id in every run. The duplicate key.
	EventID string `json:"event_id" cat:"uuid"`
	// Counts the records of this partition of the topic: 1, 2, 3... without a gap.
	Seq int64 `json:"seq" cat:"min=1 after=at"`
	// The calendar's day when it happened.
	BusinessDate string `json:"business_date" cat:"date"`
	// Timestamp of the record that caused it, UTC.
	At time.Time `json:"at"`
}

// Head is the event's head, for whoever fills the sequence number.
func (m *Meta) Head() *Meta { return m }

// TransactionEvent is an accepted bank transaction, each once, duplicates removed.
//
//catalog:event TopicTransactions
//catalog:table transactions_log tenant_id, customer_id, transaction_id, account_id, event_id
type TransactionEvent struct {
	Meta
	Transaction
	// The day of booked_at in Africa/Johannesburg.
	BookedDate string `json:"booked_date,omitempty" cat:"date"`
}

// DepositEvent is what was detected in one credit of a customer, or that a deposit is taken back.
//
//catalog:event TopicDeposits Deposit
//catalog:table deposits_log tenant_id, customer_id, deposit_date, event_id
type DepositEvent struct {
	Meta
	// The insurer.
	TenantID string `json:"tenant_id" cat:"low"`
	// The insurer's id of the customer.
	CustomerID string `json:"customer_id"`
	// The bank transaction, or the income_id where only the income feed knows of the money.
	TransactionID string `json:"transaction_id"`
	// The day of the deposit in Africa/Johannesburg.
	DepositDate string `json:"deposit_date" cat:"date"`
	// Amount of the deposit.
	AmountCents Cents `json:"amount_cents" cat:"min=1"`
	// The income stream of the customer that the deposit belongs to.
	StreamID string `json:"stream_id"`
	// Where the income comes from.
	Kind IncomeKind `json:"kind"`
	// How often the stream pays; absent while it has too few deposits.
	Frequency string `json:"frequency,omitempty" cat:"enum=WEEKLY,BIWEEKLY,SEMI_MONTHLY,MONTHLY,IRREGULAR"`
	// How sure the pattern is.
	StreamStatus string `json:"stream_status" cat:"enum=EARLY_DETECTION,MATURE,ENDED"`
	// How much of the stream's history its pattern explains, in percent.
	ConfidencePercent int `json:"confidence_percent" cat:"UInt8 min=0 max=100"`
	// When the stream should pay next; absent where that is not known.
	NextExpectedDate string `json:"next_expected_date,omitempty" cat:"date"`
	// Counts the customer's deposits. The event that takes a deposit back has its number.
	DepositNo int `json:"deposit_no,omitempty" cat:"min=0"`
	// Why the deposit is taken back: a debit reversed it, another booking stands in its place, or the income feed says
	// that it was cancelled. Absent where it was detected.
	TakenBack string `json:"taken_back,omitempty" cat:"enum=REVERSED,REPLACED,CANCELLED"`
}

// Why a deposit is taken back.
const (
	DepositReversed  = "REVERSED"
	DepositReplaced  = "REPLACED"
	DepositCancelled = "CANCELLED"
)

// DecisionAction is what the engine decided for a collection.
type DecisionAction string

// The decisions.
const (
	DecideDebit DecisionAction = "DEBIT"
	DecideWait  DecisionAction = "WAIT"
	DecideStop  DecisionAction = "STOP"
)

// DecisionEvent is one decision about a collection, with its inputs and its reason. It stands until the next one of the
// same collection.
//
//catalog:event TopicDecisions Decision
//catalog:table decisions_log tenant_id, policy_number, period_month, business_date, seq, event_id
type DecisionEvent struct {
	Meta
	// The insurer.
	TenantID string `json:"tenant_id" cat:"low"`
	// The insurer's id of the customer.
	CustomerID string `json:"customer_id"`
	// The insurer's policy number.
	PolicyNumber string `json:"policy_number"`
	// The collection decided about.
	CollectionID string `json:"collection_id" cat:"uuid"`
	// The period of the collection, YYYY-MM.
	PeriodMonth Period `json:"period_month"`
	// What was decided.
	Action DecisionAction `json:"action"`
	// Why, as a code such as AWAIT_INCOME.
	Reason string `json:"reason" cat:"low"`
	// The same in a sentence.
	Explanation string `json:"explanation"`
	// The debit, where one was decided.
	DebitID string `json:"debit_id,omitempty"`
	// Amount of the debit; 0 where none was decided.
	AmountCents Cents `json:"amount_cents" cat:"min=0"`
	// Last day on which the bank may present the debit until it is paid. Absent: on its action date only, or no debit.
	TrackingUntil string `json:"tracking_until,omitempty" cat:"date"`
	// When the next decision is due, where that is known.
	NextDate string `json:"next_date,omitempty" cat:"date"`
	// What was possible and not chosen.
	Alternatives []Alternative `json:"alternatives,omitempty" cat:"json"`
	// What the decision was made from.
	Inputs DecisionInputs `json:"inputs" cat:"json"`
	// All integers that the price was computed from, as a JSON text. Absent where nothing was priced.
	Situation string `json:"situation,omitempty"`
}

// Alternative is one alternative.
type Alternative struct {
	// The action not taken.
	Action DecisionAction `json:"action"`
	// Why it was not taken.
	Reason string `json:"reason"`
	// Amount that it would have debited.
	AmountCents Cents `json:"amount_cents,omitempty" cat:"min=1"`
	// Last day on which the bank would have presented that debit. Absent: on one day only.
	TrackingUntil string `json:"tracking_until,omitempty" cat:"date"`
	// Chance that the debit would have been paid, in 1/10,000.
	ChancePer10000 *int64 `json:"chance_per_10000,omitempty" cat:"min=0 max=10000"`
	// What it was worth by month end: what it would collect less what its failures would cost.
	ValueCents *Cents `json:"value_cents,omitempty"`
}

// DecisionInputs is what a decision was made from.
type DecisionInputs struct {
	// Amount due.
	DueCents Cents `json:"due_cents" cat:"min=0"`
	// Collected so far.
	CollectedCents Cents `json:"collected_cents"`
	// With the bank, result not known yet.
	InFlightCents Cents `json:"in_flight_cents" cat:"min=0"`
	// Deposits of the customer that no debit has used yet.
	BudgetCents Cents `json:"budget_cents"`
	// Latest known balance of the account, where one is known.
	BalanceCents *Cents `json:"balance_cents,omitempty"`
	// Debits instructed before.
	Attempts int `json:"attempts" cat:"min=0"`
	// The policy's rail.
	Rail Rail `json:"rail"`
	// The latest deposit, where there is one.
	LastDepositDate string `json:"last_deposit_date,omitempty" cat:"date"`
	// The next expected income, where one is known.
	NextExpectedDate string `json:"next_expected_date,omitempty" cat:"date"`
	// Why the last failed debit failed, where one has.
	LastReason string `json:"last_reason,omitempty"`
	// What the account holds at least, by what is known.
	LowestCents *Cents `json:"lowest_cents,omitempty"`
	// What it holds at most. Absent: nothing that is known bounds it.
	HighestCents *Cents `json:"highest_cents,omitempty"`
	// Chance that the debit is paid, the one decided on or else the best one possible, in 1/10,000.
	ChancePer10000 *int64 `json:"chance_per_10000,omitempty" cat:"min=0 max=10000"`
	// What the decision is worth by month end: what it is to collect less what its failures are to cost.
	ValueCents *Cents `json:"value_cents,omitempty"`
	// The cell of the learned table that the chance rests on.
	Cell string `json:"cell,omitempty"`
	// How many cases the cell was learned from.
	CellCount int64 `json:"cell_count,omitempty" cat:"min=1"`
	// First day of the window in which the next income is expected.
	WindowFrom string `json:"window_from,omitempty" cat:"date"`
	// Last day of that window.
	WindowTo string `json:"window_to,omitempty" cat:"date"`
	// The guard that forbade what was worth most, where one did.
	Veto string `json:"veto,omitempty"`
	// The hash of the learned table.
	TableHash string `json:"table_hash,omitempty"`
}

// Rail is how a debit reaches the customer's bank.
type Rail string

// The rails.
const (
	RailEFT       Rail = "EFT"
	RailDebiCheck Rail = "DEBICHECK"
	RailRM        Rail = "RM"
)

// DebitInstruction is a debit for the bank's side to carry out. debit_id is the idempotency key: an instruction seen
// twice is carried out once.
//
//catalog:event TopicDebits Debit instruction
//catalog:table debits_log tenant_id, period_month, collection_id, attempt
type DebitInstruction struct {
	Meta
	// UUIDv8 of 32 hexadecimal digits; the result names it.
	DebitID string `json:"debit_id" cat:"pattern=^[0-9a-f]{32}$ after=period_month"`
	// The insurer.
	TenantID string `json:"tenant_id" cat:"low"`
	// The insurer's id of the customer.
	CustomerID string `json:"customer_id"`
	// The insurer's policy number.
	PolicyNumber string `json:"policy_number"`
	// The collection debited for.
	CollectionID string `json:"collection_id" cat:"uuid"`
	// The period of the collection, YYYY-MM.
	PeriodMonth Period `json:"period_month"`
	// Which debit of the collection it is: 1, 2, 3...
	Attempt int `json:"attempt" cat:"min=1"`
	// Amount to debit.
	AmountCents Cents `json:"amount_cents" cat:"min=1"`
	// Always ZAR.
	Currency string `json:"currency" cat:"enum=ZAR"`
	// The day on which the account is to be debited.
	ActionDate string `json:"action_date" cat:"date"`
	// Last day on which the bank may present the debit until it is paid. Absent: on action_date only.
	TrackingUntil string `json:"tracking_until,omitempty" cat:"date"`
	// The rail to use.
	Rail Rail `json:"rail"`
	// The mandate, where the policy names one.
	MandateReference string `json:"mandate_reference,omitempty"`
	// The deposits that the debit counts on, oldest first, 100 at most. Absent where no money was seen.
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
	// The insurer's further reference of the customer; may be empty.
	ExternalCustomerRef string `json:"external_customer_ref"`
	// The insurer's product; may be empty.
	ProductCode string `json:"product_code" cat:"low"`
	// Monthly premium.
	PremiumCents Cents `json:"collection_amount_cents" cat:"min=1 col=premium_cents"`
	// State of the policy.
	Status PolicyStatus `json:"status"`
	// How debits reach the bank.
	Rail Rail `json:"rail"`
	// The mandate, where one is named.
	MandateReference string `json:"mandate_reference,omitempty"`
	// The most one debit may take, where the mandate says so.
	MandateMaxCents Cents `json:"mandate_max_cents,omitempty" cat:"min=1"`
	// Only the full amount may be debited; absent means false.
	MandateFixed bool `json:"mandate_fixed,omitempty"`
	// Day of the first attempt while no income is known; absent means the configured day.
	CollectionDay int `json:"collection_day,omitempty" cat:"UInt8 min=1 max=31"`
}

// PolicyEvent is a policy after a change. The highest version is the policy as it is.
//
//catalog:event TopicPolicies Policy
//catalog:table policies_log tenant_id, policy_id, version
//catalog:index by_request request_id
//catalog:index by_policy policy_number
type PolicyEvent struct {
	Meta
	// Made of tenant and policy number.
	PolicyID string `json:"policy_id" cat:"uuid after=tenant_id"`
	// The insurer.
	TenantID string `json:"tenant_id" cat:"low"`
	// The insurer's id of the customer.
	CustomerID string `json:"customer_id" cat:"after=policy_number"`
	// The insurer's policy number.
	PolicyNumber string `json:"policy_number"`
	// Counts the changes: 1, 2, 3...
	Version int64 `json:"version" cat:"min=1 after=hold_reason"`
	PolicyTerms
	// Why the bank's answer forbids further debits, while it does.
	HoldReason string `json:"hold_reason,omitempty" cat:"low"`
	// The API request behind the change, where there was one.
	RequestID string `json:"request_id,omitempty"`
	// When the policy was made, UTC.
	CreatedAt time.Time `json:"created_at"`
	// When this version was made, UTC.
	UpdatedAt time.Time `json:"updated_at"`
}

// CollectionStatus is the outcome of a collection as reports show it.
type CollectionStatus string

// The collection statuses.
const (
	PaidFull            CollectionStatus = "PAID_FULL"
	PaidPartial         CollectionStatus = "PAID_PARTIAL"
	Unpaid              CollectionStatus = "UNPAID"
	CollectionCancelled CollectionStatus = "CANCELLED"
)

// CollectionEvent is a collection after a change, with the fact behind it. The highest version is the collection as it
// is; the sum of moved_cents over all versions is what was collected.
//
//catalog:event TopicCollections Collection
//catalog:table collections_log tenant_id, period_month, collection_id, version
//catalog:index by_policy policy_number
//catalog:rands shortfall after=in_flight_cents due_cents - collected_cents: Due less collected.
type CollectionEvent struct {
	Meta
	// Made of policy and period.
	CollectionID string `json:"collection_id" cat:"uuid after=period_month"`
	// The insurer.
	TenantID string `json:"tenant_id" cat:"low"`
	// The insurer's id of the customer.
	CustomerID string `json:"customer_id"`
	// The policy collected for.
	PolicyID string `json:"policy_id" cat:"uuid"`
	// The insurer's policy number.
	PolicyNumber string `json:"policy_number"`
	// The insurer's further reference of the customer; may be empty.
	ExternalCustomerRef string `json:"external_customer_ref" cat:"after=customer_id"`
	// The insurer's product; may be empty.
	ProductCode string `json:"product_code" cat:"low"`
	// The period collected for, YYYY-MM.
	PeriodMonth Period `json:"period_month" cat:"after=tenant_id"`
	// The execution that made the collection.
	ExecutionID string `json:"execution_id"`
	// Counts the changes: 1, 2, 3...
	Version int64 `json:"version" cat:"min=1 after=collection_id"`
	// Amount due, fixed when the collection was made.
	DueCents Cents `json:"due_cents" cat:"min=0"`
	// Collected so far.
	CollectedCents Cents `json:"collected_cents"`
	// With the bank, result not known yet.
	InFlightCents Cents `json:"in_flight_cents" cat:"min=0"`
	// Outcome so far.
	Status CollectionStatus `json:"collection_status"`
	// Action date of the first debit; absent before it.
	FirstAttemptDate string `json:"first_attempt_date,omitempty" cat:"date"`
	// Action date of the latest debit; absent before the first.
	LastAttemptDate string `json:"last_attempt_date,omitempty" cat:"date"`
	// Debits instructed.
	Attempts int `json:"number_of_attempts" cat:"min=0"`
	// Why the last failed debit failed; absent once paid in full.
	LastFailureReason string `json:"last_failure_reason,omitempty" cat:"low"`
	// The fact that made this version.
	Change Change `json:"change"`
}

// ChangeKind names the fact that made a version of a collection.
type ChangeKind string

// The facts in a collection's life. Where the bank answers a debit several times, each worse answer is a fact of its
// own. An answer that says no takes back what had been paid.
const (
	ChangeCreated      ChangeKind = "CREATED"
	ChangeInstructed   ChangeKind = "DEBIT_INSTRUCTED"
	ChangeUnpaid       ChangeKind = "DEBIT_UNPAID"
	ChangeRejected     ChangeKind = "DEBIT_REJECTED" // - the amount, or 0 where it had not been paid
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
	// What happened.
	Kind ChangeKind `json:"kind" cat:"col=change_kind"`
	// The debit it is about, where there is one.
	DebitID string `json:"debit_id,omitempty" cat:"col=change_debit_id"`
	// The bank's result behind it, where there is one.
	ResultID string `json:"result_id,omitempty" cat:"col=change_result_id"`
	// What it added to collected: positive, negative or zero.
	MovedCents Cents `json:"moved_cents"`
	// Amount of the debit it is about, where there is one.
	AmountCents Cents `json:"amount_cents,omitempty" cat:"min=1 col=change_amount_cents"`
	// The bank's reason code, where there is one.
	ReasonCode string `json:"reason_code,omitempty" cat:"low"`
	// The scheme of the code.
	ReasonScheme string `json:"reason_scheme,omitempty" cat:"enum=ZA,ISO"`
	// The bank's date, where there is one.
	EffectiveDate string `json:"effective_date,omitempty" cat:"date"`
}

// OpenItemKind is what is open about a debit.
type OpenItemKind string

// The kinds of open items.
const (
	OpenAmount   OpenItemKind = "AMOUNT_MISMATCH"   // the bank answered for another amount, and nothing else
	OpenPaid     OpenItemKind = "PAID_AFTER_UNPAID" // the bank says PAID of a day after the one on which it said no
	OpenNoAnswer OpenItemKind = "NO_ANSWER"         // the bank has not answered for answer_days
)

// OpenItemState tells whether somebody must still look.
type OpenItemState string

// The states of an open item.
const (
	ItemOpen     OpenItemState = "OPEN"
	ItemAnswered OpenItemState = "ANSWERED" // the bank's later answer closed it
	ItemClosed   OpenItemState = "CLOSED"   // a person closed it
)

// OpenItemEvent is something about a debit that nothing settles by itself and that people must see, after a change. The
// highest version is the item as it is. A debit has one item at most.
//
//catalog:event TopicOpenItems Open item
//catalog:table open_items_log tenant_id, item_id, version
//catalog:index by_policy policy_number
type OpenItemEvent struct {
	Meta
	// Made of the debit.
	ItemID string `json:"item_id" cat:"uuid after=tenant_id"`
	// The insurer.
	TenantID string `json:"tenant_id" cat:"low"`
	// The insurer's id of the customer.
	CustomerID string `json:"customer_id"`
	// The insurer's policy number.
	PolicyNumber string `json:"policy_number"`
	// The collection of the debit.
	CollectionID string `json:"collection_id" cat:"uuid"`
	// The period of the collection, YYYY-MM.
	PeriodMonth Period `json:"period_month"`
	// The debit it is about.
	DebitID string `json:"debit_id"`
	// Counts the changes: 1, 2, 3...
	Version int64 `json:"version" cat:"min=1 after=item_id"`
	// What is open.
	Kind OpenItemKind `json:"kind"`
	// Whether somebody must still look.
	State OpenItemState `json:"state"`
	// Amount of the debit.
	AmountCents Cents `json:"amount_cents" cat:"min=1"`
	// The amount the bank named, where it named another.
	SaidCents Cents `json:"said_cents,omitempty" cat:"min=1"`
	// Action date of the debit.
	ActionDate string `json:"action_date" cat:"date"`
	// Business date since which it is open.
	Since string `json:"since" cat:"date"`
	// The bank's result behind the change, where there is one.
	ResultID string `json:"result_id,omitempty"`
	// What the person who closed it had to say.
	Note string `json:"note,omitempty"`
	// The API request that closed it.
	RequestID string `json:"request_id,omitempty"`
}

// SettlementStatus is the state of a settlement.
type SettlementStatus string

// The settlement statuses.
const (
	SettlementPending  SettlementStatus = "pending"
	SettlementPaid     SettlementStatus = "paid"
	SettlementDisputed SettlementStatus = "disputed"
)

// SettlementEvent is a settlement statement after a change. Its figures never change; its status does. total_fees_cents
// + vat_cents + net_cents = total_collections_cents.
//
//catalog:event TopicSettlements Settlement
//catalog:table settlements_log tenant_id, period_month, sequence, version
type SettlementEvent struct {
	Meta
	// Made of tenant, period and sequence.
	SettlementID string `json:"settlement_id" cat:"uuid after=tenant_id"`
	// The insurer.
	TenantID string `json:"tenant_id" cat:"low"`
	// SETTLE-YYYY-MM-NNN, gap-free per tenant and period.
	Number string `json:"settlement_number" cat:"pattern=^SETTLE-[0-9]{4}-[0-9]{2}-[0-9]{3,}$"`
	// The period settled, YYYY-MM.
	PeriodMonth Period `json:"period_month"`
	// Statement of the period: 1, 2, 3...
	Sequence int `json:"sequence" cat:"min=1"`
	// Counts the changes of status: 1, 2...
	Version int64 `json:"version" cat:"min=1"`
	// Money collected less adjustments.
	TotalCollectionsCents Cents `json:"total_collections_cents"`
	// Part of the total that belongs to earlier periods.
	AdjustmentsCents Cents `json:"adjustments_cents"`
	// Distribution fee.
	DistributionFeeCents Cents `json:"distribution_fee_cents"`
	// Collections fee.
	CollectionsFeeCents Cents `json:"collections_fee_cents"`
	// Both fees.
	TotalFeesCents Cents `json:"total_fees_cents"`
	// VAT on the fees.
	VATCents Cents `json:"vat_cents"`
	// What the insurer is paid.
	NetCents Cents `json:"net_cents" cat:"rands=net_amount"`
	// The day of the EFT.
	PaymentDate string `json:"payment_date" cat:"date"`
	// EFT-YYYYMMDD-NNN, counted per tenant and payment date.
	PaymentReference string `json:"payment_reference" cat:"pattern=^EFT-[0-9]{8}-[0-9]{3,}$"`
	// State of the statement.
	Status SettlementStatus `json:"status"`
	// The API request that made the statement.
	RequestID string `json:"request_id"`
	// When the statement was made, UTC.
	CreatedAt time.Time `json:"created_at"`
	// Exactly which records of kasi.collections.v1 the statement counts.
	Coverage []Coverage `json:"coverage"`
}

// Coverage is the records of one period. On partition p they are the events of kasi.collections.v1 with from[p] <= seq
// < to[p].
type Coverage struct {
	// The period whose movements are counted, YYYY-MM.
	Period Period `json:"period_month" cat:"col=coverage_period"`
	// For each partition the first seq counted.
	From []int64 `json:"from" cat:"min=0 col=coverage_from"`
	// For each partition the first seq not counted.
	To []int64 `json:"to" cat:"min=0 col=coverage_to"`
}

// OutcomeEvent is the answer to one API command.
//
//catalog:event TopicOutcomes
//catalog:table outcomes_log request_id, row, event_id
//catalog:nullable business_date
type OutcomeEvent struct {
	Meta
	// API request.
	RequestID string `json:"request_id" cat:"after=tenant_id"`
	// Insurer that asked.
	TenantID string `json:"tenant_id" cat:"low"`
	// The command's place in its request; of a CSV the row after the header, from 1.
	Row int `json:"row"`
	// What came of it.
	Code string `json:"code" cat:"enum=OK,UNCHANGED,CONFLICT,NOT_FOUND"`
	// Why it was refused; empty when it was not.
	Message string `json:"message,omitempty"`
	// Policy the command is about; may be empty.
	PolicyNumber string `json:"policy_number,omitempty"`
	// The policy, collection or settlement the command made or met.
	ObjectID string `json:"object_id,omitempty"`
	// Stage that answered: owners, collect or settle.
	Stage string `json:"stage" cat:"low"`
}

// The outcome codes.
const (
	OutcomeOK        = "OK"
	OutcomeUnchanged = "UNCHANGED"
	OutcomeConflict  = "CONFLICT"
	OutcomeNotFound  = "NOT_FOUND"
)

// ExecutionEvent is how far an execution has come on one partition of the customers. The highest piece is how it stands
// there.
//
//catalog:event TopicExecutions
//catalog:table executions_log tenant_id, execution_id, part, piece
type ExecutionEvent struct {
	Meta
	// Made by the call that asked for it.
	ExecutionID string `json:"execution_id" cat:"after=tenant_id"`
	// The insurer.
	TenantID string `json:"tenant_id" cat:"low"`
	// The period whose collections are made, YYYY-MM.
	PeriodMonth Period `json:"period_month"`
	// The API request that asked for it.
	RequestID string `json:"request_id"`
	// Partition of the customers.
	Part int `json:"part" cat:"min=0"`
	// How many partitions the execution works on.
	Parts int `json:"parts" cat:"min=1"`
	// Counts the pieces of work done on this partition: 1, 2, 3...
	Piece int64 `json:"piece" cat:"min=1"`
	// Active policies without a collection of the period at the call, on all partitions.
	PoliciesQueued int64 `json:"policies_queued" cat:"min=0"`
	// The call named its policies; what became of each is in the outcomes of its request.
	Named bool `json:"named,omitempty"`
	// So far on this partition.
	ExecutionCounts
	// True once the partition has nothing left to do.
	Done bool `json:"done"`
}
