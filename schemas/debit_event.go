package schemas

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
	// The customer's bank, where the policy names it.
	Bank string `json:"bank,omitempty" cat:"low"`
	// What stands for the account with whoever files debits, where the policy names it.
	AccountToken string `json:"account_token,omitempty"`
	// The deposits that the debit counts on, oldest first, 100 at most. Absent where no money was seen.
	TransactionIDs []string `json:"transaction_ids,omitempty"`
}
