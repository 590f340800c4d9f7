package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/segmentio/encoding/json"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/schemas"
)

// Beside the tables of events the sink keeps tables of current states (schemas.States), from which the views answer at
// once, however long the history is. A state's rows are made of the same records, after the events' own rows and before
// the mark. So a mark promises both.
//
// No token and no look is needed. A merge takes the latest version, or the greatest of each column, so a row that goes
// in twice, late or out of order changes nothing. Whoever repeats a chunk writes its states again.

// latest is a table that keeps the latest row of each object of an event, with its columns but for some.
type latest struct {
	table   string
	without []string
}

// derived makes rows of a state S out of events E.
type derived[E, S any] struct {
	from    *tableOf[E]
	query   string
	columns []column[S]
	// make is a row of the state; ok is false where the event makes none.
	make func(r *row[E]) (s row[S], ok bool)
}

func (d *derived[E, S]) insertQuery() string   { return d.query }
func (d *derived[E, S]) columnNames() []string { return names(d.columns) }
func (d *derived[E, S]) states() []table       { return nil }

func (d *derived[E, S]) fill(b driver.Batch, records []*kgo.Record) error {
	events := make([]row[E], min(group, len(records)))
	for records := range slices.Chunk(records, group) {
		if err := d.from.decode(records, events[:len(records)]); err != nil {
			return err
		}
		var rows []row[S]
		var of []*kgo.Record
		for i := range records {
			if s, ok := d.make(&events[i]); ok {
				rows, of = append(rows, s), append(of, records[i])
			}
		}
		if len(rows) == 0 {
			continue
		}
		if err := fillColumns(b, d.columns, rows, of); err != nil {
			return err
		}
	}
	return nil
}

// withStates are the tables of events with the states that are derived from them.
func withStates(all map[string]table) map[string]table {
	columns := debitStateColumns()
	query := insertInto("debits_now", columns)
	debits, _ := all[schemas.TopicDebits].(*tableOf[schemas.DebitInstruction])
	debits.kept = append(debits.kept, &derived[schemas.DebitInstruction, schemas.DebitState]{
		debits, query, columns, func(r *row[schemas.DebitInstruction]) (row[schemas.DebitState], bool) {
			return row[schemas.DebitState]{schemas.InstructedDebit(r.event), r.Source}, true
		},
	})
	collections, _ := all[schemas.TopicCollections].(*tableOf[schemas.CollectionEvent])
	collections.kept = append(collections.kept, &derived[schemas.CollectionEvent, schemas.DebitState]{
		collections, query, columns, func(r *row[schemas.CollectionEvent]) (row[schemas.DebitState], bool) {
			d, ok := schemas.ChangedDebit(&r.event)
			return row[schemas.DebitState]{event: d}, ok
		},
	})
	decisions, _ := all[schemas.TopicDecisions].(*tableOf[decisionEventRow])
	decisions.kept = append(decisions.kept, &derived[decisionEventRow, schemas.DebitState]{
		decisions, query, columns, func(r *row[decisionEventRow]) (row[schemas.DebitState], bool) {
			var in schemas.DecisionInputs
			if r.event.DebitID != "" && json.Unmarshal(r.event.Inputs, &in) != nil {
				return row[schemas.DebitState]{}, false // the table of decisions shows them as they are
			}
			d, ok := schemas.DecidedDebit(&r.event.DecisionEvent, in)
			return row[schemas.DebitState]{event: d}, ok
		},
	})
	return all
}

// keep writes the states of the chunks' records: one insert a table for all partitions, since no token names it.
func (s *sink) keep(ctx context.Context, cs []*chunk) error {
	ctx, cancel := context.WithTimeout(ctx, s.tuning.insertTimeout)
	defer cancel()
	of := make(map[string][]*chunk)
	for _, c := range cs {
		of[c.topic] = append(of[c.topic], c)
	}
	var g errgroup.Group
	g.SetLimit(s.tuning.workers)
	errs := make([]error, len(of))
	for i, topic := range slices.Sorted(maps.Keys(of)) {
		g.Go(func() error {
			var records []*kgo.Record
			for _, c := range of[topic] {
				records = append(records, c.records...)
			}
			if errs[i] = s.keepRecords(s.bounded(ctx), topic, records); errs[i] == nil {
				for _, c := range of[topic] {
					c.step = stepKept
				}
			}
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs: one topic's failure does not end the others
	return errors.Join(errs...)
}

func (s *sink) keepRecords(ctx context.Context, topic string, records []*kgo.Record) error {
	if len(records) == 0 {
		return nil
	}
	for _, state := range s.tables[topic].states() {
		if err := insert(s.stateSettings(ctx), s.conn, state, records); err != nil {
			return fmt.Errorf("states of %s: %w", topic, err)
		}
	}
	return nil
}

// stateSettings are those of an insert of states. ClickHouse must not take a block for a repetition: it may have lost
// the rows of the first one. A chunk may hold many periods, each a part.
func (s *sink) stateSettings(ctx context.Context) context.Context {
	s.mu.Lock()
	settings := maps.Clone(s.settings)
	s.mu.Unlock()
	settings["insert_deduplicate"], settings["max_partitions_per_insert_block"] = 0, 0
	if _, known := settings["deduplicate_insert"]; known {
		settings["deduplicate_insert"] = "disable"
	}
	return clickhouse.Context(ctx, clickhouse.WithSettings(settings))
}

// healStates makes the states again that lack something: after a table or a part was lost, and where an earlier build
// had none. It compares numbers with the tables of events, which are whole by now. That reads all of them, so it rests
// a hundred times as long as it looked.
func (s *sink) healStates(ctx context.Context) error {
	if time.Now().Before(s.statesDue) {
		return nil
	}
	began := time.Now()
	for _, state := range schemas.States() {
		short, err := lacks(ctx, s.conn, state)
		if err != nil {
			return err
		}
		if !short {
			continue
		}
		s.cfg.Log.Warn("sink: ClickHouse lacks current states; they are made again from the events", "table", state.Name)
		if err := FillState(ctx, s.conn, state); err != nil {
			return err
		}
	}
	s.statesDue = time.Now().Add(max(s.tuning.watch, 10*s.tuning.rest*time.Since(began)))
	return nil
}

// lacks tells whether a state lacks something that the events said when it was first asked. States are written after
// the events, so they are given a moment.
func lacks(ctx context.Context, conn driver.Conn, state schemas.State) (bool, error) {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"max_bytes_before_external_group_by": 300_000_000, "max_threads": 1,
	}))
	count := func(query string) (n int64, err error) {
		if err := conn.QueryRow(ctx, "SELECT toInt64(("+query+"))").Scan(&n); err != nil {
			return n, fmt.Errorf("count %s: %w", state.Name, err)
		}
		return n, nil
	}
	ought, err := count(state.Ought)
	if err != nil {
		return false, err
	}
	for try := 0; ; try++ {
		holds, err := count(state.Holds)
		if err != nil || holds >= ought || try == 3 {
			return holds < ought, err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// FillState makes all rows of a state again from the events.
func FillState(ctx context.Context, conn driver.Conn, state schemas.State) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"max_partitions_per_insert_block": 0, "max_threads": 1, "async_insert": 0,
	}))
	for _, query := range state.Fill {
		if err := conn.Exec(ctx, query); err != nil {
			return fmt.Errorf("fill %s: %w", state.Name, err)
		}
	}
	return nil
}
