package read

import (
	"context"
	"time"

	"github.com/kasi-collections/kasi/schemas"
)

// madeAt is when a statement was made, as users see it: under a manual calendar it is the same time of the business
// date.
const madeAt = `fromUnixTimestamp64Milli(toUnixTimestamp64Milli(created_at) + 86400000 *
        toInt64(coalesce(made_date - toDate(created_at, 'Africa/Johannesburg'), 0)), 'UTC')`

const settlementColumns = `settlement_id, settlement_number, period_month, total_collections_cents,
    distribution_fee_cents, collections_fee_cents, total_fees_cents, vat_cents, net_cents, payment_date, status,
    payment_reference, ` + madeAt + `, in_flight_debits, in_flight_cents, brought_forward_cents, payable_cents,
    adjustments_cents, paid_date, payout_state, note, version`

// Settlement is the latest version of a statement. PaymentDate is midnight UTC.
type Settlement struct {
	ID, Number                                                       string
	Period                                                           schemas.Period
	TotalCollectionsCents, DistributionFeeCents, CollectionsFeeCents schemas.Cents
	TotalFeesCents, VATCents, NetCents                               schemas.Cents
	PaymentDate                                                      time.Time
	Status                                                           schemas.SettlementStatus
	PaymentReference                                                 string
	CreatedAt                                                        time.Time
	InFlightDebits                                                   uint32
	InFlightCents, BroughtForwardCents, PayableCents                 schemas.Cents
	AdjustmentsCents                                                 schemas.Cents
	PaidDate                                                         *time.Time
	PayoutState, Note                                                string
	Version                                                          int64
}

const sqlSettlementList = `SELECT ` + settlementColumns + `
FROM
(
    SELECT * FROM settlements_log
    WHERE tenant_id = {tenant:String}
        AND (empty({period:String}) OR period_month = {period:String})
        AND period_month >= {after_period:String}
        AND (period_month > {after_period:String} OR settlement_number > {after_number:String})
    ORDER BY period_month, sequence, version DESC
    LIMIT 1 BY period_month, sequence
)
WHERE empty({status:String}) OR status = {status:String}
ORDER BY period_month, settlement_number
LIMIT {limit:UInt32}`

// Settlements are a page of the statements in the order of their periods and numbers. Within a period, numbers sort as
// sequences do up to 999 statements.
func (d *DB) Settlements(ctx context.Context, p Page) ([]Settlement, error) {
	return all[Settlement](ctx, d, sqlSettlementList, d.page(p, "after_period", "after_number"))
}

const sqlSettlementByID = `SELECT ` + settlementColumns + `
FROM settlements_log
WHERE tenant_id = {tenant:String} AND settlement_id = {id:UUID}
ORDER BY version DESC
LIMIT 1`

// Settlement is a statement by its id.
func (d *DB) Settlement(ctx context.Context, id string) (Settlement, bool, error) {
	return one[Settlement](ctx, d, sqlSettlementByID, params{"id": id})
}

// SettlementChange is one version of a statement. Date is midnight UTC.
type SettlementChange struct {
	Version int64
	Change  string
	Status  schemas.SettlementStatus
	Date    time.Time
	Note    string
}

const sqlSettlementHistory = `SELECT version, change_kind, status, business_date, note
FROM settlements_log
WHERE tenant_id = {tenant:String} AND settlement_id = {id:UUID}
ORDER BY version
LIMIT 1 BY version`

// SettlementHistory is each version of a statement, the first one first.
func (d *DB) SettlementHistory(ctx context.Context, id string) ([]SettlementChange, error) {
	return all[SettlementChange](ctx, d, sqlSettlementHistory, params{"id": id})
}

const sqlSettlementCovers = `SELECT arrayReduce('maxForEach', coverage_to)
FROM settlements_log
WHERE tenant_id = {tenant:String} AND settlement_id = {id:UUID}
LIMIT 1`

// SettlementCovers is, for each partition of kasi.collections.v1, the first seq that a statement does not count any
// more.
func (d *DB) SettlementCovers(ctx context.Context, id string) ([]int64, error) {
	row, _, err := one[struct{ Until []int64 }](ctx, d, sqlSettlementCovers, params{"id": id})
	return row.Until, err
}

// SettlementLine is one line of a statement's export.
type SettlementLine struct {
	Number, Type                                               string
	Period                                                     schemas.Period
	CustomerID, ExternalCustomerRef, PolicyNumber, ProductCode string
	AmountCents                                                schemas.Cents
	CollectionID                                               string
}

// The periods covered are named once more from outside, since only that reaches the index of collections_log through
// the view.
const linesOfSettlement = `
FROM settlement_lines
WHERE tenant_id = {tenant:String} AND settlement_id = {id:UUID}
    AND period_month IN
    (
        SELECT arrayJoin(coverage_period) FROM settlements_log
        WHERE tenant_id = {tenant:String} AND settlement_id = {id:UUID}
    )`

const sqlSettlementLines = `SELECT settlement_number, line_type, period_month, customer_id, external_customer_ref,
    policy_number, product_code, amount_cents, collection_id` + linesOfSettlement + `
ORDER BY line_type = 'ADJUSTMENT', period_month, policy_number, collection_id`

// EachSettlementLine hands over the lines of a statement one after the other, adjustments last. It has no time limit of
// its own.
func (d *DB) EachSettlementLine(ctx context.Context, id string, use func(SettlementLine) error) error {
	return each(ctx, d, sqlSettlementLines, params{"id": id}, use)
}

const sqlSettlementLinesPage = `SELECT settlement_number, line_type, period_month, customer_id, external_customer_ref,
    policy_number, product_code, amount_cents, collection_id` + linesOfSettlement + `
    AND (line_type = 'ADJUSTMENT', period_month, policy_number, toString(collection_id)) >
        ({after_type:String} = 'ADJUSTMENT', {after_period:String}, {after_number:String}, {after_id:String})
ORDER BY line_type = 'ADJUSTMENT', period_month, policy_number, toString(collection_id)
LIMIT {limit:UInt32}`

// SettlementLines are a page of the lines of a statement, in the order of EachSettlementLine.
func (d *DB) SettlementLines(ctx context.Context, id string, p Page) ([]SettlementLine, error) {
	values := d.page(p, "after_type", "after_period", "after_number", "after_id")
	values["id"] = id
	return all[SettlementLine](ctx, d, sqlSettlementLinesPage, values)
}

const sqlSettlementLinesSum = `SELECT sum(amount_cents)` + linesOfSettlement

// SettlementLinesSum is what the lines of a statement add up to.
func (d *DB) SettlementLinesSum(ctx context.Context, id string) (schemas.Cents, error) {
	row, _, err := one[struct{ Cents schemas.Cents }](ctx, d, sqlSettlementLinesSum, params{"id": id})
	return row.Cents, err
}
