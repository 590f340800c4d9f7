package clickhouse

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/sinks/clickhouse/migrate"
	"github.com/kasi-collections/kasi/streams/kafkatest"
)

// watchful is quick with looks at what is stored already.
func watchful() tuning {
	t := quick()
	t.watch, t.rest = 50*time.Millisecond, 0
	return t
}

// loses has ClickHouse lose rows. A deletion is a mutation, which waits for the merges that the tests have stopped.
func (w *world) loses(statement string) {
	w.t.Helper()
	for _, table := range schemas.SunkTopics {
		w.exec("SYSTEM START MERGES " + table)
	}
	w.exec(statement)
	if !strings.HasPrefix(statement, "DROP") {
		w.stopMerges()
	}
}

// whole waits until every view shows every event.
func (w *world) whole() {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		for topic, table := range schemas.SunkTopics {
			var n uint64
			err := w.conn.QueryRow(context.Background(), "SELECT count() FROM "+table+" FINAL").Scan(&n)
			if err != nil || n != uint64(w.rows[topic]) {
				return false
			}
		}
		return true
	}, 30*time.Second, 10*time.Millisecond, "what was lost does not come back")
}

// Whatever ClickHouse loses while a sink runs comes back from Kafka by itself.
func TestWhatClickHouseLosesComesBack(t *testing.T) {
	w := newWorld(t, 2)
	for range 3 {
		w.write(5)
	}
	s := w.start(w.config(), watchful())
	w.caughtUp()
	for name, statements := range map[string][]string{
		"rows deleted":   {"DELETE FROM collections_log WHERE seq IN (1, 4, 5, 15)"},
		"the same again": {"DELETE FROM collections_log WHERE seq IN (1, 4, 5, 15)"},
		"the end":        {"DELETE FROM debits_log WHERE seq > 9"},
		"outcomes":       {"DELETE FROM outcomes_log WHERE seq > 12"},
		"a tick":         {"DELETE FROM calendar_log WHERE business_date = '2025-11-03'"},
		"parts detached": {"ALTER TABLE collections_log DETACH PARTITION tuple()"},
		"table emptied":  {"TRUNCATE TABLE settlements_log"},
		"table dropped":  {"DROP TABLE collections_log SYNC"},
		"states dropped": {"DROP TABLE collections_now SYNC", "DROP TABLE debits_now SYNC"},
		"states emptied": {
			"TRUNCATE TABLE collections_now", "TRUNCATE TABLE policies_now", "TRUNCATE TABLE decisions_now",
		},
		"a state's rows":    {"DELETE FROM debits_now WHERE attempt = 2", "DELETE FROM income_streams_now WHERE seq > 9"},
		"views dropped":     {"DROP VIEW collections", "DROP VIEW movements"},
		"outcomes dropped":  {"DROP TABLE outcomes_log SYNC"},
		"calendar dropped":  {"DROP TABLE calendar_log SYNC"},
		"marks emptied":     {"TRUNCATE TABLE sink_marks"},
		"marks dropped":     {"DROP TABLE sink_marks SYNC"},
		"reasons dropped":   {"DROP TABLE sink_holes SYNC"},
		"marks and a table": {"TRUNCATE TABLE sink_marks", "TRUNCATE TABLE debits_log"},
		"all dropped":       {"DROP DATABASE " + w.opts.Auth.Database + " SYNC"},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			for _, statement := range statements {
				w.loses(statement)
			}
			require.Eventually(t, func() bool {
				lacks, err := migrate.Lacks(context.Background(), w.conn)
				return err == nil && len(lacks) == 0
			}, 20*time.Second, 5*time.Millisecond)
			w.whole()
			w.write(1) // goes on
			w.caughtUp()
			w.whole()
			w.complete()
		})
	}
	w.t = t
	s.end()
}

// An older copy of ClickHouse's files is brought back while the sink runs: no mark is set past what is missing.
func TestOlderCopyBroughtBack(t *testing.T) {
	for name, tn := range map[string]tuning{"found at the next mark": quick(), "found without one": watchful()} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			server := startServer(t, dir, "127.0.0.1:0")
			require.NoError(t, migrate.Up(t.Context(), server.ClickHouse(), quiet))
			w := worldWith(t, kafkatest.Start(t), server.ClickHouse(), 2)
			s := w.start(w.config(), tn)
			w.write(6)
			w.caughtUp()
			stop := func() { require.NoError(t, server.Stop(context.Background())) }
			stop()
			require.NoError(t, os.CopyFS(filepath.Join(dir, "copy"), os.DirFS(filepath.Join(dir, "data"))))
			server = startServer(t, dir, w.opts.Addr[0])
			w.write(7)
			w.caughtUp()
			stop()
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "data")))
			require.NoError(t, os.Rename(filepath.Join(dir, "copy"), filepath.Join(dir, "data")))
			server = startServer(t, dir, w.opts.Addr[0])
			if tn.watch == 0 {
				w.write(1)
			}
			w.whole()
			w.caughtUp()
			w.complete()
			s.end()
		})
	}
}

// Refill fills what is named, or all that is missing, and says what it brought back and what Kafka has not any more.
func TestRefill(t *testing.T) {
	w := newWorld(t, 2)
	w.write(10)
	w.drain(quick())
	ctx := context.Background()
	refill := func(only Range) []Filled {
		t.Helper()
		var last Filled
		filled, err := Refill(ctx, w.config(), only, func(f Filled) { last = f })
		require.NoError(t, err)
		if len(filled) > 0 && filled[len(filled)-1].Rows > 0 {
			require.Equal(t, filled[len(filled)-1].Rows, last.Rows)
		}
		return filled
	}
	all := Range{Partition: -1}
	require.Empty(t, refill(all))
	w.loses("DELETE FROM collections_log WHERE src_partition = 1 AND seq BETWEEN 3 AND 5")
	w.loses("DELETE FROM debits_log WHERE src_partition = 0 AND seq = 10")
	collections := schemas.Hole{Topic: schemas.TopicCollections, Partition: 1, From: 3, To: 5}
	require.Equal(t, []Filled{
		{Hole: collections, Rows: 3}, {Hole: schemas.Hole{Topic: schemas.TopicDebits, From: 10, To: 10}, Rows: 1},
	}, refill(all))
	w.exact()
	require.Empty(t, refill(all))

	w.loses("DELETE FROM collections_log WHERE src_partition = 1 AND seq % 2 = 1")
	require.Equal(t, []Filled{{
		Hole: schemas.Hole{Topic: schemas.TopicCollections, Partition: 1, From: 1, To: 9}, Rows: 5,
	}}, refill(all), "what is lost here and there is read once")
	w.exact()

	w.loses("DELETE FROM collections_log WHERE src_partition = 1 AND seq BETWEEN 3 AND 8")
	require.Equal(t, []Filled{{Hole: collections, Rows: 3}}, refill(Range{schemas.TopicCollections, 1, 3, 5}))
	require.Equal(t, []Filled{{Hole: collections}}, refill(Range{schemas.TopicCollections, 1, 3, 5}),
		"again changes nothing")
	require.Equal(t, int64(3), refill(Range{Topic: schemas.TopicCollections, Partition: -1})[0].Rows)
	w.exact()

	_, err := w.admin.DeleteRecords(ctx, kadm.OffsetsFromRecords(kgo.Record{Topic: schemas.TopicDebits, Offset: 14}))
	require.NoError(t, err)
	w.loses("DELETE FROM debits_log WHERE src_partition = 0 AND seq < 7")
	require.Equal(t, []Filled{{
		Hole: schemas.Hole{Topic: schemas.TopicDebits, From: 1, To: 6}, Rows: 2,
		Gone: []schemas.Hole{{Topic: schemas.TopicDebits, From: 1, To: 4}},
	}}, refill(all)[:1])
	require.EqualValues(t, 1, w.number("SELECT count() FROM sink_holes WHERE topic = '"+schemas.TopicDebits+
		"' AND partition = 0 AND from_seq = 1 AND to_seq = 4 AND why LIKE '%Kafka does not hold them any more%'"),
		"other processes can say why")
	for _, wrong := range []Range{
		{Topic: "x", Partition: -1},
		{Partition: 1},
		{Topic: schemas.TopicDebits, Partition: -1, From: 1},
		{schemas.TopicDebits, 0, 5, 4},
		{schemas.TopicCalendar, 0, 1, 2},
		{schemas.TopicDebits, 0, 99, 0},
	} {
		_, err := Refill(ctx, w.config(), wrong, func(Filled) {})
		require.Error(t, err, wrong)
	}
}

// heard remembers the sink's troubles.
type heard struct {
	mu       sync.Mutex
	troubles map[string]string // by kind
	rows     atomic.Int64      // inserted
}

func (h *heard) Inserted(_ string, rows int, _ time.Time) { h.rows.Add(int64(rows)) }
func (h *heard) InsertFailed(string)                      {}
func (h *heard) Missing(string, int32, int64)             {}
func (h *heard) Refilled(string, int)                     {}
func (h *heard) Troubled(_, kind, _, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.troubles[kind] = text
}

func (h *heard) trouble(kind string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.troubles[kind]
}

// A column that was dropped is not made again: its values are lost, and the rows would count as whole.
func TestColumnThatWasDroppedIsNotMadeAgain(t *testing.T) {
	w := newWorld(t, 1)
	w.write(3)
	var log lockedBuffer
	cfg := w.config()
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	told := &heard{troubles: map[string]string{}}
	cfg.Observer = told
	s := w.start(cfg, watchful())
	w.caughtUp()
	w.loses("ALTER TABLE collections_log DROP COLUMN moved, DROP COLUMN moved_cents")
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "drop table collections_log") },
		20*time.Second, 5*time.Millisecond)
	require.ErrorContains(t, migrate.Up(t.Context(), w.opts, quiet), "drop table collections_log")
	require.Contains(t, told.trouble("clickhouse"), "drop table collections_log")
	w.loses("DROP TABLE collections_log SYNC")
	w.whole()
	require.Eventually(t, func() bool { return told.trouble("clickhouse") == "" }, 20*time.Second, time.Millisecond)
	s.end()
	require.EqualValues(t, 3*15_000, w.number("SELECT toUInt64(sum(moved_cents)) FROM collections_log"))
}

// A database of an earlier build is refused at once, with the way out.
func TestDatabaseOfAnEarlierBuildIsRefused(t *testing.T) {
	w := newWorld(t, 1)
	w.write(1)
	w.exec("ALTER TABLE sink_marks DROP COLUMN next_seq")
	began := time.Now()
	require.ErrorContains(t, migrate.Up(t.Context(), w.opts, quiet), "is of an earlier build")
	require.Less(t, time.Since(began), 2*time.Second)
	err := w.start(w.config(), quick()).result()
	require.ErrorContains(t, err, "is of an earlier build")
	require.ErrorContains(t, err, "start with an empty database")
}

// An event of ours that no column holds is set aside, and its number stays missing: what comes before and after it is
// stored, no sum is told over it, and the sink says why it cannot be filled.
func TestAnEventThatCannotBeStoredIsMissed(t *testing.T) {
	w := newWorld(t, 1)
	w.write(2, schemas.TopicCollections)
	bad := sample(schemas.TopicCollections, 0, 3).(schemas.CollectionEvent)
	bad.PolicyID = "no id"
	require.NoError(t, w.writer.BeginTransaction())
	require.NoError(t, w.writer.ProduceSync(t.Context(), &kgo.Record{
		Topic: schemas.TopicCollections, Value: encode(t, bad),
	}).FirstErr())
	require.NoError(t, w.writer.EndTransaction(t.Context(), kgo.TryCommit))
	w.seq[topicPartition{schemas.TopicCollections, 0}]++
	w.write(2, schemas.TopicCollections)
	cfg, aside := w.config(), atomic.Int64{}
	cfg.SetAside = func(_ context.Context, r *kgo.Record, ours bool, why string) error {
		assert.True(t, ours)
		assert.Equal(t, "an event of kasi.collections.v1 that cannot be stored: its column policy_id cannot hold it", why)
		aside.Add(1)
		return nil
	}
	told := &heard{troubles: map[string]string{}}
	cfg.Observer = told
	sink := w.start(cfg, watchful())
	require.Eventually(t, func() bool { return strings.Contains(told.trouble("hole"), "cannot be stored") },
		20*time.Second, 5*time.Millisecond)
	require.Contains(t, told.trouble("hole"), "lacks numbers 3 to 3 in ClickHouse")
	w.caughtUp()
	sink.end()
	require.EqualValues(t, 1, aside.Load())
	require.EqualValues(t, 4, w.number("SELECT count() FROM collections_log"))
	require.Equal(t, &schemas.Hole{Topic: schemas.TopicCollections, From: 3, To: 3},
		Whole(t.Context(), w.conn, schemas.TopicCollections, []int64{6}))
}
