package schemas

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
//catalog:latest income_streams_now seq tenant_id, customer_id, stream_id
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
