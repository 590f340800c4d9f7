package schemas

import "time"

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
