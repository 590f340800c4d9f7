package clickhouse

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/kasi-collections/kasi/schemas"
)

// The ledger's queries. Each is compared whole in a test and run against known rows.
const (
	// queryLedger sums the movements a statement covers. Partition p's bounds are element p+1 of the arrays. A partition
	// that the coverage does not know has bounds 0 and 0 and counts nothing.
	queryLedger = `
WITH indexOf({periods:Array(String)}, period_month) AS i
SELECT sum(moved_cents), sumIf(moved_cents, period_month != {period:String}), toInt64(count())
FROM collections_log FINAL
WHERE tenant_id = {tenant:String} AND period_month IN {periods:Array(String)} AND moved_cents != 0
    AND seq >= {from:Array(Array(Int64))}[i][src_partition + 1]
    AND seq < {to:Array(Array(Int64))}[i][src_partition + 1]`

	queryHasCollections = `
SELECT count() FROM (SELECT 1 FROM collections_log WHERE tenant_id = {tenant:String} AND period_month = {period:String}
    AND seq < {cut:Array(Int64)}[src_partition + 1] LIMIT 1)`
)

// Ledger reads the movements of money for settlements over Conn, whose database is Kasi's.
type Ledger struct{ Conn driver.Conn }

// Sum adds up the movements that a statement of (tenant, period) with coverage cov counts. It first waits until
// everything covered is in ClickHouse. If ctx ends before, the error names the partition that is behind and how far it
// is. Adjustments are the part of the total that belongs to other periods than the statement's.
func (l Ledger) Sum(ctx context.Context, tenant string, period schemas.Period, cov []schemas.Coverage) (
	sums schemas.LedgerSums, err error,
) {
	periods, from, to, err := arrays(cov)
	if err != nil || len(cov) == 0 {
		return sums, err
	}
	if err := waitMarks(ctx, l.Conn, schemas.TopicCollections, furthest(to)); err != nil {
		return sums, err
	}
	err = l.Conn.QueryRow(ctx, queryLedger, clickhouse.Named("tenant", tenant), clickhouse.Named("period", string(period)),
		clickhouse.Named("periods", periods), clickhouse.Named("from", from), clickhouse.Named("to", to)).
		Scan((*int64)(&sums.TotalCents), (*int64)(&sums.AdjustmentsCents), &sums.Movements)
	if err != nil {
		return schemas.LedgerSums{}, fmt.Errorf("ledger of %s %s: %w", tenant, period, err)
	}
	return sums, nil
}

// HasCollections tells whether (tenant, period) has any collection before the cut, which is a seq for each partition.
// It waits as Sum does. What comes behind the cut never changes the answer.
func (l Ledger) HasCollections(ctx context.Context, tenant string, period schemas.Period, cut []int64) (bool, error) {
	if err := waitMarks(ctx, l.Conn, schemas.TopicCollections, cut); err != nil {
		return false, err
	}
	var n uint64
	err := l.Conn.QueryRow(ctx, queryHasCollections, clickhouse.Named("tenant", tenant),
		clickhouse.Named("period", string(period)), clickhouse.Named("cut", cut)).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("collections of %s %s: %w", tenant, period, err)
	}
	return n > 0, nil
}

// arrays turns coverage into the query's three parallel arrays.
func arrays(cov []schemas.Coverage) (periods []string, from, to [][]int64, err error) {
	seen := make(map[schemas.Period]bool, len(cov))
	for _, c := range cov {
		if len(c.From) != len(c.To) || seen[c.Period] {
			return nil, nil, nil, fmt.Errorf("coverage of %s names the period twice or has %d lower and %d upper bounds",
				c.Period, len(c.From), len(c.To))
		}
		seen[c.Period] = true
		periods, from, to = append(periods, string(c.Period)), append(from, c.From), append(to, c.To)
	}
	return periods, from, to, nil
}

// furthest is the greatest bound of each partition.
func furthest(to [][]int64) []int64 {
	var most []int64
	for _, bounds := range to {
		most = append(most, make([]int64, max(0, len(bounds)-len(most)))...)
		for p, seq := range bounds {
			most[p] = max(most[p], seq)
		}
	}
	return most
}

// clearingMonths is how many past periods the clearing balance covers: more than a dispute may take, and few enough to
// ask every minute.
const clearingMonths = 4

// queryClearing balances what the bank was instructed to take (debits_log) against what it answered (facts of
// collections_log, each debit once) and what the collections hold as in flight. A debit, its facts and its collection
// are of one period, so a bound on the period limits all three alike.
const queryClearing = `
WITH
    (SELECT max(business_date) FROM calendar_log) AS today,
    formatDateTime(today - toIntervalMonth({months:UInt8}), '%Y-%m') AS since
SELECT tenant_id,
    sum(instructed_cents) AS instructed, sum(answered_cents) AS answered, sum(pending_cents) AS pending,
    toInt64(sum(in_flight)) AS open,
    if(open = 0, 0, dateDiff('day', minIf(action, in_flight > 0), today)) AS oldest_days
FROM
(
    SELECT tenant_id, amount_cents AS instructed_cents, 0 AS answered_cents, 0 AS pending_cents, 0 AS in_flight,
        action_date AS action
    FROM debits_log FINAL
    WHERE period_month >= since
    UNION ALL
    SELECT tenant_id, 0, any(change_amount_cents), 0, 0, toDate(0)
    FROM collections_log FINAL
    WHERE period_month >= since AND change_kind IN ('DEBIT_PAID', 'DEBIT_UNPAID', 'DEBIT_REJECTED', 'DEBIT_DISPUTED')
    GROUP BY tenant_id, change_debit_id
    UNION ALL
    SELECT tenant_id, 0, 0, in_flight_cents, in_flight_cents > 0, assumeNotNull(last_attempt_date)
    FROM collections
    WHERE period_month >= since
)
GROUP BY tenant_id ORDER BY tenant_id`

// Clearing is where a tenant's debits of the last periods stand with the bank.
type Clearing struct {
	Tenant string
	// Instructed is what the bank was instructed to take, Answered the part of it that the bank has answered, Pending the
	// part in flight.
	Instructed, Answered, Pending schemas.Cents
	// Open counts debits in flight; OldestDays is the calendar's days since the action date of the oldest of them.
	Open, OldestDays int64
}

// Balance is the clearing balance: instructed - succeeded - failed - disputed - pending. It is zero but for the moment
// in which the sink has stored one side and not yet the other.
func (c Clearing) Balance() schemas.Cents { return c.Instructed - c.Answered - c.Pending }

// ReadClearing asks ClickHouse for the clearing of every tenant that has debits or collections in the last periods.
func ReadClearing(ctx context.Context, conn driver.Conn) ([]Clearing, error) {
	rows, err := conn.Query(ctx, queryClearing, clickhouse.Named("months", clearingMonths))
	if err != nil {
		return nil, fmt.Errorf("clearing balance: %w", err)
	}
	defer rows.Close()
	var out []Clearing
	for rows.Next() {
		var c Clearing
		err := rows.Scan(&c.Tenant, (*int64)(&c.Instructed), (*int64)(&c.Answered), (*int64)(&c.Pending), &c.Open,
			&c.OldestDays)
		if err != nil {
			return nil, fmt.Errorf("clearing balance: %w", err)
		}
		out = append(out, c)
	}
	return out, rows.Err()
}
