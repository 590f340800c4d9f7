package api_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"
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

// rowText writes a row's columns as text, with blanks between them.
func rowText(t *testing.T, rows driver.Rows, first bool) string {
	t.Helper()
	types := rows.ColumnTypes()
	values := make([]any, len(types))
	for i, c := range types {
		values[i] = reflect.New(c.ScanType()).Interface()
	}
	require.NoError(t, rows.Scan(values...))
	var out []string
	for i, v := range values {
		elem := reflect.Indirect(reflect.ValueOf(v))
		if elem.Kind() == reflect.Pointer {
			elem = elem.Elem()
		}
		if !elem.IsValid() {
			out = append(out, "NULL")
			continue
		}
		text := fmt.Sprint(elem.Interface())
		if at, ok := elem.Interface().(time.Time); ok {
			text = at.UTC().Format(time.DateTime)
			if types[i].DatabaseTypeName() == "Date" || types[i].DatabaseTypeName() == "Nullable(Date)" {
				text = at.Format(time.DateOnly)
			}
		}
		out = append(out, text)
	}
	if first {
		return out[0]
	}
	return strings.Join(out, " ")
}
