package api

import (
	"context"
	"time"

	"github.com/kasi-collections/kasi/schemas"
)

const sqlSettlementList = `SELECT settlement_id, settlement_number, period_month, total_collections_cents, distribution_fee_cents, collections_fee_cents,
    total_fees_cents, vat_cents, net_cents, payment_date, status, payment_reference, created_at
FROM
(
    SELECT * FROM settlements_log
    WHERE tenant_id = {tenant:String}
        AND (empty({period:String}) OR period_month = {period:String})
        AND period_month >= {after_period:String} AND (period_month > {after_period:String} OR settlement_number > {after_number:String})
    ORDER BY period_month, sequence, version DESC
    LIMIT 1 BY period_month, sequence
)
WHERE empty({status:String}) OR status = {status:String}
ORDER BY period_month, settlement_number
LIMIT {limit:UInt32}`

const sqlSettlementByID = `SELECT settlement_id, settlement_number, period_month, total_collections_cents, distribution_fee_cents, collections_fee_cents,
    total_fees_cents, vat_cents, net_cents, payment_date, status, payment_reference, created_at
FROM settlements_log
WHERE tenant_id = {tenant:String} AND settlement_id = {id:UUID}
ORDER BY version DESC
LIMIT 1`

// The periods covered are named once more from outside, since only that reaches the index of collections_log through
// the view.
const sqlSettlementLines = `SELECT settlement_number, line_type, period_month, customer_id, external_customer_ref, policy_number, product_code, amount_cents
FROM settlement_lines
WHERE tenant_id = {tenant:String} AND settlement_id = {id:UUID}
    AND period_month IN (SELECT arrayJoin(coverage_period) FROM settlements_log WHERE tenant_id = {tenant:String} AND settlement_id = {id:UUID})
ORDER BY line_type = 'ADJUSTMENT', period_month, policy_number, collection_id`

const sqlSettlementLinesSum = `SELECT sum(amount_cents)
FROM settlement_lines
WHERE tenant_id = {tenant:String} AND settlement_id = {id:UUID}
    AND period_month IN (SELECT arrayJoin(coverage_period) FROM settlements_log WHERE tenant_id = {tenant:String} AND settlement_id = {id:UUID})`

// settlementFilter is what GET /settlements filters by; empty fields do not filter.
type settlementFilter struct{ period, status string }

func scanSettlement(row scanner) (st Settlement, err error) {
	var period, status string
	var total, distribution, collections, fees, vat, net int64
	var payment time.Time
	err = row.Scan(&st.ID, &st.SettlementNumber, &period, &total, &distribution, &collections, &fees, &vat, &net, &payment,
		&status,
		&st.PaymentReference, &st.CreatedAt)
	st.PeriodMonth, st.Status = schemas.Period(period), schemas.SettlementStatus(status)
	st.TotalCollections, st.DistributionFee, st.CollectionsFee = schemas.Rands(total), schemas.Rands(distribution),
		schemas.Rands(collections)
	st.TotalFees, st.Vat, st.NetAmount = schemas.Rands(fees), schemas.Rands(vat), schemas.Rands(net)
	st.PaymentDate, st.CreatedAt = payment.UTC().Format(time.DateOnly), st.CreatedAt.UTC()
	return st, err
}

// settlementPage reads one row more than the page holds. Within a period, numbers sort as sequences do up to 999
// statements.
func (s *server) settlementPage(ctx context.Context, tenant string, f settlementFilter, p page) ([]Settlement, error) {
	return allRows(ctx, s.db, sqlSettlementList, []any{
		arg("tenant", tenant), arg("period", f.period), arg("status", f.status), arg("after_period", p.after[0]),
		arg("after_number", p.after[1]),
		arg("limit", p.limit+1),
	}, scanSettlement)
}

func (s *server) settlementByID(ctx context.Context, tenant, id string) (Settlement, bool, error) {
	return oneRow(ctx, s.db, sqlSettlementByID, []any{arg("tenant", tenant), arg("id", id)}, scanSettlement)
}

// settlementLine is one line of a statement's export.
type settlementLine struct {
	number, kind, period, customer, externalRef, policy, product string
	amount                                                       int64
}

func scanLine(row scanner) (l settlementLine, err error) {
	err = row.Scan(&l.number, &l.kind, &l.period, &l.customer, &l.externalRef, &l.policy, &l.product, &l.amount)
	return l, err
}

func (s *server) eachLine(ctx context.Context, tenant, id string, use func(settlementLine) error) error {
	return eachRow(ctx, s.db, sqlSettlementLines, []any{arg("tenant", tenant), arg("id", id)}, scanLine, use)
}

func (s *server) linesSum(ctx context.Context, tenant, id string) (schemas.Cents, error) {
	n, _, err := oneRow(ctx, s.db, sqlSettlementLinesSum, []any{arg("tenant", tenant), arg("id", id)}, scanOne[int64])
	return schemas.Cents(n), err
}
