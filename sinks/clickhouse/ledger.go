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

// Ledger reads the movements of money for settlements.
type Ledger struct{ conn driver.Conn }

// NewLedger reads over conn, whose database is Kasi's.
func NewLedger(conn driver.Conn) *Ledger { return &Ledger{conn} }

// Sum adds up the movements that a statement of (tenant, period) with coverage cov counts. It first waits until
// everything covered is in ClickHouse. If ctx ends before, the error names the partition that is behind and how far it
// is. Adjustments are the part of the total that belongs to other periods than the statement's.
func (l *Ledger) Sum(ctx context.Context, tenant string, period schemas.Period,
	cov []schemas.Coverage,
) (schemas.LedgerSums, error) {
	var sums schemas.LedgerSums
	periods, from, to, err := arrays(cov)
	if err != nil || len(cov) == 0 {
		return sums, err
	}
	if err := waitMarks(ctx, l.conn, schemas.TopicCollections, furthest(to)); err != nil {
		return sums, err
	}
	var total, adjustments int64
	err = l.conn.QueryRow(ctx, queryLedger, clickhouse.Named("tenant", tenant), clickhouse.Named("period", string(period)),
		clickhouse.Named("periods", periods), clickhouse.Named("from", from), clickhouse.Named("to", to)).
		Scan(&total, &adjustments, &sums.Movements)
	if err != nil {
		return sums, fmt.Errorf("ledger of %s %s: %w", tenant, period, err)
	}
	sums.TotalCents, sums.AdjustmentsCents = schemas.Cents(total), schemas.Cents(adjustments)
	return sums, nil
}

// HasCollections tells whether (tenant, period) has any collection before the cut, which is a seq for each partition.
// It waits as Sum does. What comes behind the cut never changes the answer.
func (l *Ledger) HasCollections(ctx context.Context, tenant string, period schemas.Period, cut []int64) (bool, error) {
	if err := waitMarks(ctx, l.conn, schemas.TopicCollections, cut); err != nil {
		return false, err
	}
	var n uint64
	err := l.conn.QueryRow(ctx, queryHasCollections, clickhouse.Named("tenant", tenant),
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
		for p, seq := range bounds {
			if p == len(most) {
				most = append(most, 0)
			}
			most[p] = max(most[p], seq)
		}
	}
	return most
}
