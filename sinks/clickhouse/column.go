package clickhouse

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"github.com/kasi-collections/kasi/schemas"
)

// row is one decoded event and where it came from.
type row[E any] struct {
	event E
	schemas.Source
}

// column fills one column of a ClickHouse block from decoded rows. Filling column by column costs a fraction of
// appending row by row (measured in bench_test.go), and money goes in as integer cents because a decimal costs many
// times an integer.
type column[E any] struct {
	name string
	fill func(to driver.BatchColumn, rows []row[E]) error
}

// cellError says which row of a column cannot be stored, before ClickHouse is asked.
type cellError struct {
	row int
	err error
}

func (e *cellError) Error() string { return e.err.Error() }
func (e *cellError) Unwrap() error { return e.err }

// of makes a column whose values are taken by get. The batch copies what is appended to it, so the slice of values is
// used again.
func of[E, V any](name string, get func(r *row[E]) (V, error)) column[E] {
	spare := sync.Pool{New: func() any { return new([group]V) }}
	return column[E]{name, func(to driver.BatchColumn, rows []row[E]) error {
		block := spare.Get().(*[group]V)
		defer func() {
			clear(block[:]) // a spare one must not hold on to a record's text
			spare.Put(block)
		}()
		values := block[:len(rows)]
		for i := range rows {
			v, err := get(&rows[i])
			if err != nil {
				return &cellError{i, err}
			}
			values[i] = v
		}
		return to.Append(values)
	}}
}

// value is a column of what get gives, as it is.
func value[E, V any](name string, get func(e *E) V) column[E] {
	return of(name, func(r *row[E]) (V, error) { return get(&r.event), nil })
}

// jsons keeps a list or object as its text; what is absent is an empty one.
func jsons[E any](name string, get func(e *E) json.RawMessage, empty string) column[E] {
	return of(name, func(r *row[E]) (string, error) {
		if raw := get(&r.event); len(raw) > 0 && string(raw) != "null" {
			return string(raw), nil
		}
		return empty, nil
	})
}

// lists is an array column with one element for each object of a list.
func lists[E, T, V any](name string, list func(e *E) []T, get func(e *T) V) column[E] {
	return of(name, func(r *row[E]) ([]V, error) {
		objects := list(&r.event)
		vs := make([]V, len(objects))
		for i := range objects {
			vs[i] = get(&objects[i])
		}
		return vs, nil
	})
}

// counts refuses what its unsigned column cannot hold.
func counts[V uint8 | uint32, E any](name string, get func(e *E) int64) column[E] {
	return of(name, func(r *row[E]) (V, error) {
		n := get(&r.event)
		if int64(V(n)) != n {
			return 0, fmt.Errorf("%d is not between 0 and %d", n, ^V(0))
		}
		return V(n), nil
	})
}

func ids[E any](name string, get func(e *E) string) column[E] {
	return of(name, func(r *row[E]) (uuid.UUID, error) { return uuid.Parse(get(&r.event)) })
}

func instants[E any](name string, get func(e *E) time.Time) column[E] {
	return of(name, func(r *row[E]) (time.Time, error) {
		t := get(&r.event)
		if y := t.Year(); y < schemas.FirstYear || y > schemas.LastYear {
			return t, fmt.Errorf("the instant is in year %d; expected %d to %d", y, schemas.FirstYear, schemas.LastYear)
		}
		return t, nil
	})
}

func dates[E any](name string, get func(e *E) string) column[E] { return days(name, get, false) }

// maybeDates stores an empty date as NULL.
func maybeDates[E any](name string, get func(e *E) string) column[E] { return days(name, get, true) }

func days[E any](name string, get func(e *E) string, nullable bool) column[E] {
	type block struct {
		values   [group]time.Time
		pointers [group]*time.Time
	}
	spare := sync.Pool{New: func() any { return new(block) }}
	return column[E]{name, func(to driver.BatchColumn, rows []row[E]) error {
		d := spare.Get().(*block)
		defer spare.Put(d)
		var text string // of the date read last: neighbours mostly have the same one
		var day time.Time
		for i := range rows {
			d.pointers[i] = nil
			s := get(&rows[i].event)
			if nullable && s == "" {
				continue
			}
			if s != text || s == "" {
				var err error
				if day, err = parseDate(s); err != nil {
					return &cellError{i, err}
				}
				text = s
			}
			d.values[i] = day
			d.pointers[i] = &d.values[i]
		}
		if nullable {
			return to.Append(d.pointers[:len(rows)])
		}
		return to.Append(d.values[:len(rows)])
	}}
}

// parseDate reads YYYY-MM-DD. A ClickHouse Date would wrap silently beyond its years.
func parseDate(s string) (time.Time, error) {
	t, err := schemas.ParseDate(s)
	if err != nil {
		return t, fmt.Errorf("%q is not a date; expected YYYY-MM-DD", s)
	}
	if y := t.Year(); y < schemas.FirstYear || y > schemas.LastYear {
		return t, fmt.Errorf("%q is outside what the database holds; expected years %d to %d", s, schemas.FirstYear,
			schemas.LastYear)
	}
	return t, nil
}
