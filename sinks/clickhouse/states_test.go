package clickhouse

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/sinks/clickhouse/migrate"
)

// What the sink writes into a table of states is what the events say: made again from them by ClickHouse, each row is
// the same.
func TestStatesAreWhatTheEventsSay(t *testing.T) {
	w := newWorld(t, 2)
	w.write(9)
	w.drain(quick())
	books(t, w.conn) // debits with several answers
	for _, state := range schemas.States() {
		rows := "SELECT * FROM " + state.Name + " FINAL ORDER BY ALL"
		written := lines(t, w.conn, rows)
		require.NotEmpty(t, written, state.Name)
		w.exec("TRUNCATE TABLE " + state.Name)
		short, err := lacks(t.Context(), w.conn, state)
		require.NoError(t, err)
		require.True(t, short, state.Name)
		for range 2 { // a second time changes nothing
			require.NoError(t, FillState(t.Context(), w.conn, state))
			require.Equal(t, written, lines(t, w.conn, rows), state.Name)
		}
	}
}

// A chunk is one insert into a state, however many periods it spans.
func TestStatesOfManyPeriods(t *testing.T) {
	w := newWorld(t, 1)
	var events []schemas.CollectionEvent
	for i := range 150 {
		m := month{"POL-A", fmt.Sprintf("%d-%02d", 2000+i/12, i%12+1), 100}
		events = append(events, numbered(int64(i+1), m.event(1, schemas.ChangeCreated, "", 0, 0, schemas.Unpaid))...)
	}
	s := newSink(w.config(), quick(), w.conn, nil)
	var err error
	s.settings, err = settingsFor(t.Context(), w.conn, 0)
	require.NoError(t, err)
	require.NoError(t, s.keepRecords(context.Background(), schemas.TopicCollections,
		recordsOf(t, schemas.TopicCollections, 0, 0, events...)))
	require.EqualValues(t, 150, w.number("SELECT count() FROM collections"))
}

// A month of a state that no row came to for an hour is one part, so that FINAL has nothing to do; also where an
// earlier build made the table. The test's hour is a second.
func TestStatesAtRestAreOnePart(t *testing.T) {
	w := newWorld(t, 2)
	for range 3 {
		w.write(2)
		w.drain(quick())
	}
	const parts = "SELECT count() FROM system.parts WHERE active AND database = currentDatabase() AND table = "
	for _, state := range schemas.States() {
		alter := "ALTER TABLE " + state.Name
		w.exec(alter + " RESET SETTING min_age_to_force_merge_seconds")
		require.NoError(t, migrate.Up(t.Context(), w.opts, slog.New(slog.DiscardHandler)))
		require.EqualValues(t, 1, w.number("SELECT count() FROM system.tables WHERE database = currentDatabase() AND "+
			"name = '"+state.Name+"' AND engine_full LIKE '%min_age_to_force_merge_seconds = 3600%'"))
		w.exec(alter + " MODIFY SETTING min_age_to_force_merge_seconds = 1")
		require.Eventually(t, func() bool {
			return w.number(parts+"'"+state.Name+"'") == w.number("SELECT uniq(partition) FROM system.parts WHERE active AND "+
				"database = currentDatabase() AND table = '"+state.Name+"'")
		}, time.Minute, 100*time.Millisecond, state.Name)
	}
}
