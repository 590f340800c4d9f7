// Package read asks ClickHouse what a tenant's policies, collections, statements and requests are. It knows no HTTP, so
// that the API's handlers and whatever else shows or sends these facts ask here.
//
// A DB asks for one tenant, so another tenant's objects are not found. The queries are whole texts with bound
// parameters; no value is pasted into them. An optional filter is an empty parameter. Each text stands in
// testdata/queries as ClickHouse gets it.
//
// The queries read the *_log tables and take the latest version by LIMIT 1 BY. The views do the same, but resolve
// duplicates with FINAL first. That is not needed here: a row that was inserted twice has the same version, so LIMIT 1
// BY drops it, before and after merges. The views also let only filters on ids and numbers through to the table. Fields
// that never change between versions (numbers, customer, period) are filtered inside, status outside.
package read

import (
	"context"
	"database/sql"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/kasi-collections/kasi/schemas"
)

// timeout bounds a query whose answer is bounded: a ClickHouse that takes the connection and then hangs is an error,
// not a wait without end.
const timeout = 20 * time.Second

// DB asks ClickHouse for a tenant's objects and for what became of a request of his. Its methods can be called at the
// same time. Each error of ClickHouse, or of the way to it, is an *Error.
type DB struct {
	conn            driver.Conn
	tenant, request string
}

// New asks over conn, whose database is Kasi's.
func New(conn driver.Conn, tenant, request string) *DB { return &DB{conn, tenant, request} }

// Error is an error of ClickHouse or of the way to it. Busy says that ClickHouse has too much to do, which passes by
// itself. Lacking says that it lacks a table, a column or the whole database, which the sink makes again. Refused says
// that it will never answer this query. With none of them, it cannot be reached.
type Error struct {
	err                    error
	Busy, Lacking, Refused bool
}

func (e *Error) Error() string { return "clickhouse: " + e.err.Error() }
func (e *Error) Unwrap() error { return e.err }

func asError(err error) error {
	var refusal *clickhouse.Exception
	if err == nil {
		return nil
	}
	if errors.As(err, &refusal) {
		// Timeout, too slow, quota, too many queries, memory limit, too many parts.
		busy := slices.Contains([]int32{159, 160, 201, 202, 241, 252}, refusal.Code)
		// Unknown identifier, no such column, unknown table, unknown database.
		lacking := slices.Contains([]int32{47, 16, 60, 81}, refusal.Code)
		return &Error{err, busy, lacking, !busy && !lacking}
	}
	return &Error{err: err, Busy: errors.Is(err, context.DeadlineExceeded)}
}

// params are the values of a query's parameters by name, but for the tenant and the request.
type params map[string]any

func (d *DB) args(p params) []any {
	out := []any{clickhouse.Named("tenant", d.tenant), clickhouse.Named("request", d.request)}
	for name, v := range p {
		out = append(out, clickhouse.Named(name, v))
	}
	return out
}

// Page is the part of a list that is wanted: what it is filtered by, where an empty field does not filter, the sorting
// key of the last item seen before, and at most how many items.
type Page struct {
	Period, CustomerID, PolicyNumber, Status string
	ExternalCustomerRef, ProductCode, Reason string
	Failed, Attempted                        string    // yes or no
	UpdatedSince                             time.Time // zero: from the beginning
	Since                                    time.Time // the same, of the audit
	After                                    []string
	Limit                                    int
}

// page is the parameters of a list. after names those that its query has for the sorting key.
func (d *DB) page(p Page, after ...string) params {
	out := params{
		"period": p.Period, "customer_id": p.CustomerID, "policy_number": p.PolicyNumber,
		"policy_id": schemas.PolicyID(d.tenant, p.PolicyNumber), "status": p.Status, "limit": p.Limit,
		"external_customer_ref": p.ExternalCustomerRef, "product_code": p.ProductCode, "failure_reason": p.Reason,
		"failed": p.Failed, "attempted": p.Attempted, "updated_since": max(p.UpdatedSince.UnixMilli(), 0),
	}
	for i, name := range after {
		out[name] = p.After[i]
	}
	return out
}

// columns are pointers to a row's fields. The fields stand in the order of the query's columns. The driver fills plain
// types only, so a field of a named type goes to it as its plain one.
func columns(row any) []any {
	v := reflect.ValueOf(row).Elem()
	var out []any
	for i := range v.NumField() {
		field := v.Field(i).Addr()
		if v.Type().Field(i).Anonymous {
			out = append(out, columns(field.Interface())...)
			continue
		}
		switch v.Field(i).Kind() {
		case reflect.String:
			field = field.Convert(reflect.TypeFor[*string]())
		case reflect.Int64:
			field = field.Convert(reflect.TypeFor[*int64]())
		}
		out = append(out, field.Interface())
	}
	return out
}

// each runs a query and hands over one row after the other; the whole answer is never in memory. It stops at the first
// error.
func each[T any](ctx context.Context, d *DB, query string, p params, use func(T) error) error {
	rows, err := d.conn.Query(ctx, query, d.args(p)...)
	if err != nil {
		return asError(err)
	}
	defer rows.Close()
	var row T
	for into := columns(&row); rows.Next(); {
		if err := rows.Scan(into...); err != nil {
			return asError(err)
		}
		if err := use(row); err != nil {
			return err
		}
	}
	return asError(rows.Err())
}

// all runs a query whose answer is bounded by its LIMIT or its arguments.
func all[T any](ctx context.Context, d *DB, query string, p params) (out []T, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err = each(ctx, d, query, p, func(row T) error {
		out = append(out, row)
		return nil
	})
	return out, err
}

// one runs a query that answers at most one row; ok tells whether it did.
func one[T any](ctx context.Context, d *DB, query string, p params) (row T, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err = d.conn.QueryRow(ctx, query, d.args(p)...).Scan(columns(&row)...)
	if errors.Is(err, sql.ErrNoRows) {
		return row, false, nil
	}
	return row, err == nil, asError(err)
}

// count runs a query that answers one number.
func count(ctx context.Context, d *DB, query string, p params) (uint64, error) {
	row, _, err := one[struct{ N uint64 }](ctx, d, query, p)
	return row.N, err
}
