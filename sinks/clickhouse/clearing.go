package clickhouse

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/kasi-collections/kasi/schemas"
)

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
		var instructed, answered, pending int64
		if err := rows.Scan(&c.Tenant, &instructed, &answered, &pending, &c.Open, &c.OldestDays); err != nil {
			return nil, fmt.Errorf("clearing balance: %w", err)
		}
		c.Instructed, c.Answered, c.Pending = schemas.Cents(instructed), schemas.Cents(answered), schemas.Cents(pending)
		out = append(out, c)
	}
	return out, rows.Err()
}
