package clickhouse

import (
	"context"
	"fmt"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/kasi-collections/kasi/schemas"
)

// queryLedger sums the movements that a statement covers and counts, in the same look at the table, all events below
// the bounds: of every tenant, because a lost row has none. So what is summed is what was counted. Partition p's bounds
// are element p+1 of the arrays. A partition that the coverage does not know has bounds 0 and 0 and counts nothing. The
// text is compared whole in a test. %s is empty, or FINAL.
const queryLedger = `
WITH indexOf({periods:Array(String)}, period_month) AS i,
    tenant_id = {tenant:String} AND i > 0 AND moved_cents != 0
        AND seq >= {from:Array(Array(Int64))}[i][src_partition + 1]
        AND seq < {to:Array(Array(Int64))}[i][src_partition + 1] AS covered
SELECT src_partition, toInt64(count()), toInt64(groupBitmap(toUInt64(seq))),
    sumIf(moved_cents, covered), sumIf(moved_cents, covered AND period_month != {period:String}),
    toInt64(countIf(covered)), countIf(tenant_id = {tenant:String} AND period_month = {period:String}) > 0
FROM collections_log%s
WHERE seq >= 1 AND seq < {until:Array(Int64)}[src_partition + 1]
GROUP BY src_partition
SETTINGS short_circuit_function_evaluation = 'force_enable'`

// queryReturned adds up, of the statement's own period, what it counts debit by debit: a debit below zero takes back
// money that an earlier statement had counted, since within one range money comes before it goes. The second column is
// all of it, by which queryLedger's sums are held against this look at the table.
const queryReturned = `
SELECT sumIf(cents, cents < 0), sum(cents)
FROM
(
    SELECT sum(moved_cents) AS cents
    FROM collections_log FINAL
    WHERE tenant_id = {tenant:String} AND period_month = {period:String} AND moved_cents != 0
        AND seq >= {from:Array(Int64)}[src_partition + 1] AND seq < {to:Array(Int64)}[src_partition + 1]
    GROUP BY collection_id, change_debit_id
)`

// queryInFlight counts the debits of the periods covered that were with the bank at the cut. A collection has at most
// one; its latest version below the cut has its amount.
const queryInFlight = `
SELECT toInt64(countIf(cents > 0)), sum(cents)
FROM
(
    SELECT argMax(in_flight_cents, version) AS cents
    FROM collections_log
    WHERE tenant_id = {tenant:String} AND period_month IN {periods:Array(String)}
        AND seq < {to:Array(Array(Int64))}[indexOf({periods:Array(String)}, period_month)][src_partition + 1]
    GROUP BY period_month, collection_id
)`

// Ledger reads the movements of money for settlements over Conn, whose database is Kasi's.
//
// Both answers are given only over what is there: every event up to the bounds, each once. Else the error is a
// *schemas.Hole.
type Ledger struct{ Conn driver.Conn }

// Sum adds up the movements that a statement of (tenant, period) with coverage cov counts. It first waits until
// everything covered is in ClickHouse. If ctx ends before, the error names the partition that is behind and how far it
// is. Adjustments are the part of the total that belongs to other periods than the statement's, or takes back what an
// earlier one counted.
func (l Ledger) Sum(ctx context.Context, tenant string, period schemas.Period, cov []schemas.Coverage) (
	schemas.LedgerSums, error,
) {
	if len(cov) == 0 {
		return schemas.LedgerSums{}, nil
	}
	b, err := l.look(ctx, tenant, period, cov, nil)
	if err == nil {
		err = l.detail(ctx, tenant, period, cov, &b.sums)
	}
	if err != nil {
		return schemas.LedgerSums{}, fmt.Errorf("ledger of %s %s: %w", tenant, period, err)
	}
	return b.sums, nil
}

// detail adds to the sums what took back earlier statements' money, and the debits in flight.
func (l Ledger) detail(ctx context.Context, tenant string, period schemas.Period, cov []schemas.Coverage,
	sums *schemas.LedgerSums,
) error {
	periods, _, to, err := arrays(cov)
	if err != nil {
		return err
	}
	var debits int64
	err = l.Conn.QueryRow(ctx, queryInFlight, clickhouse.Named("tenant", tenant), clickhouse.Named("periods", periods),
		clickhouse.Named("to", to)).Scan(&debits, (*int64)(&sums.InFlightCents))
	if err != nil {
		return err
	}
	sums.InFlightDebits = int(debits)
	for _, c := range cov {
		if c.Period != period || !slices.ContainsFunc(c.From, func(seq int64) bool { return seq > 0 }) {
			continue // nothing of it has been counted before
		}
		var returned, own schemas.Cents
		err := l.Conn.QueryRow(ctx, queryReturned, clickhouse.Named("tenant", tenant),
			clickhouse.Named("period", string(period)), clickhouse.Named("from", c.From), clickhouse.Named("to", c.To)).
			Scan((*int64)(&returned), (*int64)(&own))
		if err != nil {
			return err
		}
		if want := sums.TotalCents - sums.AdjustmentsCents; own != want {
			return fmt.Errorf("the movements of %s add up to %s, and a moment before to %s", period, own, want)
		}
		sums.AdjustmentsCents += returned
	}
	return nil
}

// HasCollections tells whether (tenant, period) has any collection before the cut, which is a seq for each partition.
// It waits as Sum does. What comes behind the cut never changes the answer.
func (l Ledger) HasCollections(ctx context.Context, tenant string, period schemas.Period, cut []int64) (bool, error) {
	b, err := l.look(ctx, tenant, period, nil, cut)
	if err != nil {
		return false, fmt.Errorf("collections of %s %s: %w", tenant, period, err)
	}
	return b.any, nil
}

// book is what one look at the ledger has found.
type book struct {
	sums schemas.LedgerSums
	any  bool // the tenant has a collection in the period
}

// look waits for the marks and reads everything below the bounds: the coverage's, or the cut. Rows that are stored
// twice are resolved in a second look. Where two events still share a number, one of them is not Kasi's.
func (l Ledger) look(ctx context.Context, tenant string, period schemas.Period, cov []schemas.Coverage, cut []int64) (
	book, error,
) {
	periods, from, to, err := arrays(cov)
	if err != nil {
		return book{}, err
	}
	until := furthest(append(to, cut))
	if err := waitMarks(ctx, l.Conn, schemas.TopicCollections, until); err != nil {
		return book{}, err
	}
	twice := -1 // a partition that holds more rows than numbers
	for _, final := range []string{"", " FINAL"} {
		b, found, err := l.read(ctx, final, clickhouse.Named("tenant", tenant), clickhouse.Named("period", string(period)),
			clickhouse.Named("periods", periods), clickhouse.Named("from", from), clickhouse.Named("to", to),
			clickhouse.Named("until", until))
		if err != nil {
			return book{}, err
		}
		twice = -1
		for p, seq := range until {
			if found[p].numbers < seq-1 {
				return book{}, series{topic: schemas.TopicCollections}.firstHole(ctx, l.Conn, until)
			}
			if found[p].rows > found[p].numbers {
				twice = p
			}
		}
		if twice < 0 {
			return b, nil
		}
	}
	return book{}, &schemas.Twins{Topic: schemas.TopicCollections, Partition: int32(twice)}
}

// read asks once.
func (l Ledger) read(ctx context.Context, final string, args ...any) (b book, found map[int]there, err error) {
	rows, err := l.Conn.Query(ctx, fmt.Sprintf(queryLedger, final), args...)
	if err != nil {
		return b, nil, err
	}
	defer rows.Close()
	found = make(map[int]there)
	for rows.Next() {
		var p uint32
		var t there
		var part schemas.LedgerSums
		var has bool
		if err := rows.Scan(&p, &t.rows, &t.numbers, (*int64)(&part.TotalCents), (*int64)(&part.AdjustmentsCents),
			&part.Movements, &has); err != nil {
			return b, nil, err
		}
		found[int(p)] = t
		b.sums.TotalCents += part.TotalCents
		b.sums.AdjustmentsCents += part.AdjustmentsCents
		b.sums.Movements += part.Movements
		b.any = b.any || has
	}
	return b, found, rows.Err()
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
    if(open = 0, 0, dateDiff('day', minIf(action, in_flight > 0), today)) AS oldest_days,
    toInt64(sum(items)) AS open_items
FROM
(
    SELECT tenant_id, amount_cents AS instructed_cents, 0 AS answered_cents, 0 AS pending_cents, 0 AS in_flight,
        action_date AS action, 0 AS items
    FROM debits_log FINAL
    WHERE period_month >= since
    UNION ALL
    SELECT tenant_id, 0, any(change_amount_cents), 0, 0, toDate(0), 0
    FROM collections_log FINAL
    WHERE period_month >= since AND change_kind IN ('DEBIT_PAID', 'DEBIT_UNPAID', 'DEBIT_REJECTED', 'DEBIT_DISPUTED')
    GROUP BY tenant_id, change_debit_id
    UNION ALL
    SELECT tenant_id, 0, 0, in_flight_cents, in_flight_cents > 0, assumeNotNull(last_attempt_date), 0
    FROM collections
    WHERE period_month >= since
    UNION ALL
    SELECT tenant_id, 0, 0, 0, 0, toDate(0), 1
    FROM open_items
    WHERE state = 'OPEN'
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
	// Items counts the open items, of all periods.
	Items int64
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
			&c.OldestDays, &c.Items)
		if err != nil {
			return nil, fmt.Errorf("clearing balance: %w", err)
		}
		out = append(out, c)
	}
	return out, rows.Err()
}
