package api

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// The queries are whole texts with bound parameters; nothing is ever pasted into them. An optional filter is an empty
// parameter.
//
// They read the *_log tables and take the latest version by LIMIT 1 BY. The views do the same, but resolve duplicates
// with FINAL first, which is not needed here (a row that was inserted twice has the same version, so LIMIT 1 BY drops
// it, before and after merges), and let only filters on ids and numbers through to the table. Fields that never change
// between versions (numbers, customer, period) are filtered inside, status outside.

// queryTimeout bounds a query whose answer is bounded: a ClickHouse that takes the connection and then hangs is a 503,
// not a request without end.
const queryTimeout = 20 * time.Second

func arg(name string, value any) any { return clickhouse.Named(name, value) }

// eachRow runs a query and hands over one row after the other; the whole answer is never in memory. It stops at the
// first error.
func eachRow[T any](ctx context.Context, db driver.Conn, query string, args []any, scan func(scanner) (T, error),
	use func(T) error,
) error {
	rows, err := db.Query(ctx, query, args...)
	if err != nil {
		return &dbError{err}
	}
	defer rows.Close()
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return &dbError{err}
		}
		if err := use(item); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return &dbError{err}
	}
	return nil
}

// allRows runs a query whose answer is bounded by its LIMIT or its arguments.
func allRows[T any](ctx context.Context, db driver.Conn, query string, args []any, scan func(scanner) (T, error)) ([]T,
	error,
) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var out []T
	err := eachRow(ctx, db, query, args, scan, func(item T) error {
		out = append(out, item)
		return nil
	})
	return out, err
}

// oneRow runs a query that answers at most one row; ok tells whether it did.
func oneRow[T any](ctx context.Context, db driver.Conn, query string, args []any,
	scan func(scanner) (T, error),
) (item T, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	item, err = scan(db.QueryRow(ctx, query, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return item, false, nil
	}
	if err != nil {
		return item, false, &dbError{err}
	}
	return item, true, nil
}

type scanner interface{ Scan(dest ...any) error }

// scanOne reads a row of one column.
func scanOne[T any](row scanner) (v T, err error) {
	err = row.Scan(&v)
	return v, err
}
