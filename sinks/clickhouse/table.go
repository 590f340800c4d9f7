package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/segmentio/encoding/json" // decodes our events in a fifth of the standard library's time (bench_test.go)
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// BadRecordError says that a record cannot become a row. It is set aside (aside.go). An event of ours is then missing
// until a release reads it rightly, and no statement is made over it.
type BadRecordError struct {
	Topic     string
	Partition int32
	Offset    int64
	// Column is the table's column that refused the value; empty where the record is not the JSON expected.
	Column string
	Err    error
	record *kgo.Record // nil where the column refused a value and does not say whose
}

func (e *BadRecordError) Error() string {
	where := fmt.Sprintf("sinks: %s partition %d offset %d", e.Topic, e.Partition, e.Offset)
	if e.Column != "" {
		where += " column " + e.Column
	}
	return fmt.Sprintf("%s cannot be stored: %v; a release that can hold it brings it back", where, e.Err)
}

// Unwrap gives the cause.
func (e *BadRecordError) Unwrap() error { return e.Err }

func badRecord(r *kgo.Record, column string, err error) *BadRecordError {
	return &BadRecordError{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Column: column, Err: err, record: r}
}

// table turns the records of one topic into rows of one table.
type table interface {
	// insertQuery names the table and all its columns.
	insertQuery() string
	columnNames() []string
	// fill decodes records of one partition and appends them to a batch that was prepared with insertQuery; its error is a
	// *BadRecordError.
	fill(b driver.Batch, records []*kgo.Record) error
	// states are the tables of current states that the same records are rows of.
	states() []table
}

type tableOf[E any] struct {
	name, query string
	fields      []field[E] // in the order in which they are written
	columns     []column[E]
	kept        []table
}

func newTable[E any](topic string, fields []field[E], columns []column[E], kept ...latest) *tableOf[E] {
	t := &tableOf[E]{name: schemas.SunkTopics[topic], fields: fields, columns: columns}
	t.query = insertInto(t.name, columns)
	for _, l := range kept {
		some := slices.DeleteFunc(slices.Clone(columns), func(c column[E]) bool { return slices.Contains(l.without, c.name) })
		t.kept = append(t.kept, &tableOf[E]{
			name: l.table, query: insertInto(l.table, some), fields: fields, columns: some,
		})
	}
	return t
}

func insertInto[E any](table string, columns []column[E]) string {
	return "INSERT INTO " + table + " (" + strings.Join(names(columns), ", ") + ")"
}

func names[E any](columns []column[E]) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return names
}

func (t *tableOf[E]) insertQuery() string   { return t.query }
func (t *tableOf[E]) columnNames() []string { return names(t.columns) }
func (t *tableOf[E]) states() []table       { return t.kept }

// decode reads records into rows.
func (t *tableOf[E]) decode(records []*kgo.Record, into []row[E]) error {
	var c scan
	for i, r := range records {
		to := &into[i]
		*to = row[E]{Source: schemas.Source{Partition: uint32(r.Partition), Offset: r.Offset}}
		if !read(&c, t.fields, r.Value, &to.event) {
			to.event = *new(E) // scan may have got half way
			if err := json.Unmarshal(r.Value, &to.event); err != nil {
				return badRecord(r, "", err)
			}
		}
		if s, ok := any(&to.event).(interface{ Stamp(at time.Time) }); ok {
			s.Stamp(r.Timestamp)
		}
	}
	return nil
}

// group is how many rows are decoded and then appended, column by column: so few that they are still in the processor's
// cache, which the 400 bytes a row of a whole chunk would leave between one column and the next.
const group = 256

func (t *tableOf[E]) fill(b driver.Batch, records []*kgo.Record) error {
	rows := make([]row[E], min(group, len(records)))
	for records := range slices.Chunk(records, group) {
		rows = rows[:len(records)]
		if err := t.decode(records, rows); err != nil {
			return err
		}
		if err := fillColumns(b, t.columns, rows, records); err != nil {
			return err
		}
	}
	return nil
}

// fillColumns appends rows to a batch; records[i] is the one that made rows[i].
func fillColumns[E any](b driver.Batch, columns []column[E], rows []row[E], records []*kgo.Record) error {
	for i, c := range columns {
		if err := c.fill(b.Column(i), rows); err != nil {
			if cell := (*cellError)(nil); errors.As(err, &cell) {
				return badRecord(records[cell.row], c.name, err)
			}
			bad := badRecord(records[0], c.name, err)
			bad.record = nil
			return bad
		}
	}
	return nil
}

// insert sends records as one block; ctx carries settings and token (withSettings). An error other than
// *BadRecordError means that the outcome is not known: the block may be in the table. The same records must then be
// sent again under the same token, of which ClickHouse keeps one.
func insert(ctx context.Context, conn driver.Conn, t table, records []*kgo.Record) error {
	b, err := conn.PrepareBatch(ctx, t.insertQuery())
	if err != nil {
		return fmt.Errorf("prepare insert: %w", err)
	}
	if err := t.fill(b, records); err != nil {
		_ = b.Abort() // the connection is dropped; nothing was sent
		return err
	}
	if err := b.Send(); err != nil {
		return fmt.Errorf("send insert: %w", err)
	}
	return nil
}
