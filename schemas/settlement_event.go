package schemas

import "time"

// SettlementStatus is the state of a settlement.
type SettlementStatus string

// The settlement statuses.
const (
	SettlementPending  SettlementStatus = "pending"
	SettlementPaid     SettlementStatus = "paid"
	SettlementDisputed SettlementStatus = "disputed"
	// SettlementCarried is one whose payable is zero or less: it is never paid, the next statement takes it up.
	SettlementCarried SettlementStatus = "carried_forward"
)

// SettlementChange names the fact that made a version of a settlement.
type SettlementChange string

// The facts in a settlement's life.
const (
	SettlementCreated    SettlementChange = "CREATED"
	SettlementInstructed SettlementChange = "PAYOUT_INSTRUCTED"
	SettlementPaidOut    SettlementChange = "PAID"
	SettlementFailed     SettlementChange = "PAYOUT_FAILED"
	SettlementRetried    SettlementChange = "PAYOUT_RETRIED"
	SettlementInDispute  SettlementChange = "DISPUTED"
	SettlementResolved   SettlementChange = "RESOLVED"
)

// PayoutState is how the EFT instruction of a settlement stands.
type PayoutState string

// The states of a payout.
const (
	PayoutInstructed PayoutState = "INSTRUCTED"
	PayoutPaid       PayoutState = "PAID"
	PayoutFailed     PayoutState = "FAILED"
)

// SettlementEvent is a settlement statement after a change. Its figures never change; its status does. total_fees_cents
// + vat_cents + net_cents = total_collections_cents; net_cents + brought_forward_cents = payable_cents.
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
	// Part of the total that belongs to earlier periods, or takes back what an earlier statement had counted.
	AdjustmentsCents Cents `json:"adjustments_cents"`
	// Distribution fee.
	DistributionFeeCents Cents `json:"distribution_fee_cents"`
	// Collections fee.
	CollectionsFeeCents Cents `json:"collections_fee_cents"`
	// Both fees.
	TotalFeesCents Cents `json:"total_fees_cents"`
	// VAT on the fees.
	VATCents Cents `json:"vat_cents"`
	// Total less fees and VAT: what the statement by itself is worth to the insurer.
	NetCents Cents `json:"net_cents" cat:"rands=net_amount"`
	// Nets of earlier statements that were not paid, zero or negative; each is taken up once.
	BroughtForwardCents Cents `json:"brought_forward_cents"`
	// What the insurer is paid: net and brought forward. Zero or less is carried forward.
	PayableCents Cents `json:"payable_cents" cat:"rands=payable_amount"`
	// Debits of the periods counted that were with the bank at the cut. They count in a later statement.
	InFlightDebits int `json:"in_flight_debits" cat:"min=0"`
	// Amount of the debits that were with the bank at the cut.
	InFlightCents Cents `json:"in_flight_cents" cat:"min=0"`
	// The day of the EFT; a later one where it could not be sent on its day.
	PaymentDate string `json:"payment_date" cat:"date"`
	// EFT-YYYYMMDD-NNN, counted per tenant and payment date; absent where nothing is paid.
	PaymentReference string `json:"payment_reference,omitempty" cat:"pattern=^EFT-[0-9]{8}-[0-9]{3,}$"`
	// State of the statement.
	Status SettlementStatus `json:"status"`
	// The fact that made this version.
	Change SettlementChange `json:"change" cat:"col=change_kind"`
	// Why it was disputed last, or how that was resolved; absent before.
	Note string `json:"note,omitempty"`
	// The latest EFT instruction; absent before the first.
	PayoutID string `json:"payout_id,omitempty"`
	// How that instruction stands; absent before it.
	PayoutState PayoutState `json:"payout_state,omitempty"`
	// EFT instructions given: more than one where an earlier one failed.
	Payouts int `json:"payouts" cat:"min=0"`
	// The day on which it was paid; absent before.
	PaidDate string `json:"paid_date,omitempty" cat:"date"`
	// The API request that made the statement.
	RequestID string `json:"request_id"`
	// When the statement was made, UTC.
	CreatedAt time.Time `json:"created_at"`
	// The business date on which the statement was made.
	MadeDate string `json:"made_date,omitempty" cat:"date"`
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
