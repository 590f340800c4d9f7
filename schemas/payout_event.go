package schemas

// PayoutEvent is an instruction to pay a settlement by EFT. Each is given once; one that failed is followed by another
// with an id of its own.
//
//catalog:event TopicPayouts EFT instruction
//catalog:table payouts_log tenant_id, settlement_id, payout_id
type PayoutEvent struct {
	Meta
	// 32 hexadecimal digits, made of the settlement and the number of its instruction.
	PayoutID string `json:"payout_id" cat:"pattern=^[0-9a-f]{12}8[0-9a-f]{3}[89ab][0-9a-f]{15}$ after=settlement_id"`
	// The insurer that is paid.
	TenantID string `json:"tenant_id" cat:"low"`
	// The statement that is paid.
	SettlementID string `json:"settlement_id" cat:"uuid after=tenant_id"`
	// The statement's number.
	SettlementNumber string `json:"settlement_number" cat:"pattern=^SETTLE-[0-9]{4}-[0-9]{2}-[0-9]{3,}$"`
	// What is paid.
	AmountCents Cents `json:"amount_cents" cat:"min=1"`
	// ZAR.
	Currency string `json:"currency" cat:"low enum=ZAR"`
	// The day on which it is paid.
	PaymentDate string `json:"payment_date" cat:"date"`
	// The reference that the insurer sees on its bank statement.
	PaymentReference string `json:"payment_reference" cat:"pattern=^EFT-[0-9]{8}-[0-9]{3,}$"`
}

// PayoutResult is the bank's answer to one EFT instruction. The first answer stands.
//
//catalog:feed TopicPayoutResults Result of an EFT instruction
type PayoutResult struct {
	// The id of kasi.payouts.v1, in either case.
	PayoutID string `json:"payout_id" cat:"id pattern=^[0-9a-fA-F]{12}8[0-9a-fA-F]{3}[89abAB][0-9a-fA-F]{15}$"`
	// What happened to the payment.
	Status PayoutStatus `json:"status"`
	// The bank's date of the answer.
	EffectiveDate string `json:"effective_date" cat:"date"`
}

// PayoutStatus is what the bank says of an EFT instruction.
type PayoutStatus string

// The statuses a bank reports of a payout.
const (
	PayoutWasPaid   PayoutStatus = "PAID"
	PayoutHasFailed PayoutStatus = "FAILED"
)
