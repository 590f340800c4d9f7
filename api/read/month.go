package read

import (
	"context"

	"github.com/kasi-collections/kasi/schemas"
)

// MonthStatus is the collections of a period that have one status. Untried are those without a debit.
type MonthStatus struct {
	Status                                  schemas.CollectionStatus
	Collections, Untried                    uint64
	DueCents, CollectedCents, InFlightCents schemas.Cents
}

const sqlMonthStatuses = `SELECT collection_status, count(), countIf(number_of_attempts = 0), sum(due_cents),
    sum(collected_cents), sum(in_flight_cents)
FROM collections_now FINAL
WHERE tenant_id = {tenant:String} AND period_month = {period:String}
GROUP BY collection_status
ORDER BY collection_status`

// MonthStatuses are the collections of a period by status.
func (d *DB) MonthStatuses(ctx context.Context, p schemas.Period) ([]MonthStatus, error) {
	return all[MonthStatus](ctx, d, sqlMonthStatuses, params{"period": string(p)})
}

// MonthDay is what the bank's answers of one day moved for the collections of a period. Answers are counted as they
// came: a debit that was paid and then returned late counts twice.
type MonthDay struct {
	Period                 schemas.Period
	Date                   string
	MovedCents             schemas.Cents
	Paid, Failed, Disputed uint64
}

const sqlMonthDays = `SELECT period_month, toString(effective_date) AS day, sum(moved_cents),
    countIf(change_kind = 'DEBIT_PAID'), countIf(change_kind IN ('DEBIT_UNPAID', 'LATE_UNPAID', 'DEBIT_REJECTED')),
    countIf(change_kind IN ('DEBIT_DISPUTED', 'PAID_DISPUTED'))
FROM collections_log FINAL
WHERE tenant_id = {tenant:String} AND period_month IN {periods:Array(String)} AND isNotNull(effective_date)
GROUP BY period_month, effective_date
ORDER BY period_month, effective_date`

// MonthDays are the days of some periods on which the bank answered.
func (d *DB) MonthDays(ctx context.Context, periods ...schemas.Period) ([]MonthDay, error) {
	texts := make([]string, len(periods))
	for i, p := range periods {
		texts[i] = string(p)
	}
	return all[MonthDay](ctx, d, sqlMonthDays, params{"periods": texts})
}

// MonthReason is the answers of a period that were no, by the bank's reason code.
type MonthReason struct {
	Scheme, Code string
	Debits       uint64
	AmountCents  schemas.Cents
}

const sqlMonthReasons = `SELECT reason_scheme, reason_code, count(), sum(change_amount_cents)
FROM collections_log FINAL
WHERE tenant_id = {tenant:String} AND period_month = {period:String} AND change_kind IN
    ('DEBIT_UNPAID', 'LATE_UNPAID', 'DEBIT_REJECTED', 'DEBIT_DISPUTED', 'PAID_DISPUTED')
GROUP BY reason_scheme, reason_code
ORDER BY count() DESC, reason_scheme, reason_code`

// MonthReasons are why debits of a period failed, the most frequent reason first.
func (d *DB) MonthReasons(ctx context.Context, p schemas.Period) ([]MonthReason, error) {
	return all[MonthReason](ctx, d, sqlMonthReasons, params{"period": string(p)})
}

// Attention is what waits for a person: policies on hold, and open items.
type Attention struct{ Holds, OpenItems uint64 }

const sqlAttention = `SELECT
(
    SELECT count() FROM policies_now FINAL
    WHERE tenant_id = {tenant:String} AND hold_reason != '' AND status = 'active'
),
(
    SELECT count() FROM
    (
        SELECT argMax(state, version) AS state FROM open_items_log WHERE tenant_id = {tenant:String} GROUP BY item_id
    )
    WHERE state = 'OPEN'
)`

// Attention counts what waits for a person.
func (d *DB) Attention(ctx context.Context) (Attention, error) {
	a, _, err := one[Attention](ctx, d, sqlAttention, nil)
	return a, err
}

const sqlPeriods = `SELECT DISTINCT period_month FROM collections_now
WHERE tenant_id = {tenant:String}
ORDER BY period_month DESC
LIMIT 24`

// Periods are the periods that have collections, the latest first, 24 at most.
func (d *DB) Periods(ctx context.Context) ([]schemas.Period, error) {
	rows, err := all[struct{ Period schemas.Period }](ctx, d, sqlPeriods, nil)
	out := make([]schemas.Period, len(rows))
	for i, row := range rows {
		out[i] = row.Period
	}
	return out, err
}
