package clickhouse

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/kasi-collections/kasi/schemas"
)

// queryDebits counts the debits of the calendar's month and the one before by what the bank said last.
const queryDebits = `
WITH (SELECT max(business_date) FROM calendar_log) AS today
SELECT d.tenant_id, toString(d.period_month), toString(d.status), ifNull(any(c.reason), ''), toInt64(count()),
    toInt64(sum(d.amount_cents))
FROM debits AS d LEFT JOIN reason_codes AS c USING (reason_scheme, reason_code)
WHERE d.period_month IN (formatDateTime(today, '%Y-%m'), formatDateTime(toStartOfMonth(today) - 1, '%Y-%m'))
GROUP BY d.tenant_id, d.period_month, d.status, d.reason_scheme, d.reason_code
ORDER BY ALL`

// DebitCount is how many debits of a tenant's period stand alike, and over how much.
type DebitCount struct {
	Tenant, Period string
	// Status is what the bank said last: pending, paid, unpaid, rejected or disputed. Reason says why, in the words of
	// reports; empty where the bank gave no code, or one that nobody knows.
	Status, Reason string
	Count          int64
	Amount         schemas.Cents
}

// ReadDebits asks ClickHouse how the debits of the calendar's month and of the one before stand.
func ReadDebits(ctx context.Context, conn driver.Conn) ([]DebitCount, error) {
	rows, err := conn.Query(ctx, queryDebits)
	if err != nil {
		return nil, fmt.Errorf("debits by status: %w", err)
	}
	defer rows.Close()
	var out []DebitCount
	for rows.Next() {
		var c DebitCount
		if err := rows.Scan(&c.Tenant, &c.Period, &c.Status, &c.Reason, &c.Count, (*int64)(&c.Amount)); err != nil {
			return nil, fmt.Errorf("debits by status: %w", err)
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// Disk is a disk of the ClickHouse server, in bytes.
type Disk struct {
	Name        string
	Free, Total uint64
}

// ReadDisks asks ClickHouse for its disks.
func ReadDisks(ctx context.Context, conn driver.Conn) ([]Disk, error) {
	rows, err := conn.Query(ctx, "SELECT name, free_space, total_space FROM system.disks ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("disks of ClickHouse: %w", err)
	}
	defer rows.Close()
	var out []Disk
	for rows.Next() {
		var d Disk
		if err := rows.Scan(&d.Name, &d.Free, &d.Total); err != nil {
			return nil, fmt.Errorf("disks of ClickHouse: %w", err)
		}
		out = append(out, d)
	}
	return out, rows.Err()
}
