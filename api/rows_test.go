package api_test

import (
	"context"
	"sync/atomic"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// failingConn is a real connection whose answers break off after some rows.
type failingConn struct {
	driver.Conn
	after int
}

func (c failingConn) Query(ctx context.Context, query string, args ...any) (driver.Rows, error) {
	rows, err := c.Conn.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return &failingRows{Rows: rows, left: c.after}, nil
}

// awayConn is a real connection that can be cut off.
type awayConn struct {
	driver.Conn
	away *atomic.Bool
}

func (c awayConn) QueryRow(ctx context.Context, query string, args ...any) driver.Row {
	if c.away.Load() {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		ctx = ended
	}
	return c.Conn.QueryRow(ctx, query, args...)
}

type failingRows struct {
	driver.Rows
	left int
}

func (r *failingRows) Next() bool {
	r.left--
	return r.left >= 0 && r.Rows.Next()
}

func (r *failingRows) Err() error {
	if r.left < 0 {
		return errCut
	}
	return r.Rows.Err()
}
