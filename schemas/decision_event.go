package schemas

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
//catalog:latest decisions_now at tenant_id, period_month, policy_number, collection_id
//catalog:without decisions_now alternatives, inputs, situation
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
	// FIXED_SCHEDULE: the customer is one of the share that is collected from on the planned day, whatever is known.
	Group string `json:"group,omitempty"`
	// The hash of the learned table.
	TableHash string `json:"table_hash,omitempty"`
}
