package clickhouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
	"github.com/kasi-collections/kasi/sinks/clickhouse/migrate"
	"github.com/kasi-collections/kasi/streams/kafkatest"
)

// window makes ClickHouse remember that many inserts of each table. A flush of more partitions than that forgets its
// own first tokens.
func (w *world) window(inserts int) {
	w.t.Helper()
	for _, table := range schemas.SunkTopics {
		query := fmt.Sprintf("ALTER TABLE %s MODIFY SETTING non_replicated_deduplication_window = %d", table, inserts)
		w.exec(query)
	}
}

// inserting counts the inserts that the server has under way.
func (w *world) inserting() int {
	w.t.Helper()
	return int(w.number("SELECT count() FROM system.processes WHERE query_kind = 'Insert' AND current_database = " +
		"currentDatabase()"))
}

// A sink is killed, and by the time its ranges are repeated ClickHouse has forgotten their tokens.
func TestSinkKilledBeyondTheWindow(t *testing.T) {
	w := newWorld(t, 4)
	w.window(1)
	for _, at := range []step{stepInserting, stepInserted, stepMarked} {
		w.write(3)
		w.dies(at)
		require.Eventually(t, func() bool { return w.inserting() == 0 }, 20*time.Second, time.Millisecond)
	}
	w.drain(quick())
	w.exact()
}

// ClickHouse stores a flush and is gone before it has said so. While it is away more arrives than its window holds.
func TestClickHouseAwayBeyondTheWindow(t *testing.T) {
	dir := t.TempDir()
	server := startServer(t, dir, "127.0.0.1:0")
	require.NoError(t, migrate.Up(t.Context(), server.ClickHouse(), quiet))
	w := worldWith(t, kafkatest.Start(t), server.ClickHouse(), 4)
	w.window(1)
	p, through := newProxy(t, w.opts)
	cfg := w.config()
	cfg.ClickHouse = through
	s := w.start(cfg, quick())
	w.caughtUp()
	for range 2 {
		p.after = 5_000 // more than a handshake and a query without rows
		p.mute.Store(true)
		w.write(20)
		require.Eventually(t, func() bool { return p.broken.Load() > 0 && w.allStored(schemas.TopicDebits) },
			20*time.Second, time.Millisecond, "the rows whose answer was swallowed did not arrive")
		require.Eventually(t, func() bool { return w.inserting() == 0 }, 20*time.Second, time.Millisecond)
		require.NotEmpty(t, w.behind())
		require.NoError(t, server.Stop(context.Background()))
		w.write(5)
		w.write(5)
		p.mute.Store(false)
		p.broken.Store(0)
		server = startServer(t, dir, w.opts.Addr[0])
		w.stopMerges()
		w.caughtUp()
	}
	s.end()
	w.exact()
}

func startServer(t *testing.T, dir, native string) *embedded.Server {
	t.Helper()
	server, err := embedded.Start(t.Context(), embedded.Options{
		Dir: dir, HTTPAddr: "127.0.0.1:0", NativeAddr: native, KasiPassword: "test-kasi", AnalystPassword: "test-analyst",
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	return server
}

// ClickHouse remembers a token and has lost rows of its insert, as a kill between the two or a power cut can leave it:
// a repetition under the token is taken for done and stores nothing. No mark may promise those rows, and the sink
// brings them back under another token, and only them.
func TestSinkMarksNoRowsThatTheTokenHides(t *testing.T) {
	w := newWorld(t, 2)
	w.write(6)
	tn, crash := quick(), errors.New("crash")
	tn.linger = time.Second // all that was written goes into the first flush
	tn.hook = func(s step, cs []*chunk) error {
		if s == stepInserted && hasRows(cs) {
			return crash
		}
		return nil
	}
	require.ErrorIs(t, w.start(w.config(), tn).result(), crash)
	require.True(t, w.allStored(schemas.TopicDebits))
	w.exec("SYSTEM START MERGES debits_log")
	w.exec("ALTER TABLE debits_log DELETE WHERE seq % 2 = 0 SETTINGS mutations_sync = 1")
	w.exec("SYSTEM STOP MERGES debits_log")
	require.False(t, w.allStored(schemas.TopicDebits))

	var log lockedBuffer
	cfg := w.config()
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	s := w.start(cfg, quick())
	w.caughtUp()
	s.end()
	w.exact()
	require.Contains(t, log.String(), "has the token of rows that it has lost")
}

// TestInsertUnderWay checks that an insert at work is seen by its token, and no other: rows that it will bring are not
// lost.
func TestInsertUnderWay(t *testing.T) {
	w := newWorld(t, 1)
	s := &sink{conn: w.conn}
	ctx := context.Background()
	done := make(chan error, 1)
	go func() {
		slow := withSettings(ctx, insertSettings(0), "debits-0-1-2-again-1")
		done <- w.conn.Exec(slow,
			"INSERT INTO sink_marks (topic, partition, next_offset, next_seq, at) SELECT 'none', 0, 0, 0, now() FROM "+
				"numbers(4) WHERE sleepEachRow(0.5) = 1")
	}()
	require.Eventually(t, func() bool {
		working, err := s.underWay(ctx, "debits-0-1-2")
		require.NoError(t, err)
		return working
	}, 20*time.Second, time.Millisecond)
	working, err := s.underWay(ctx, "debits-0-1-3")
	require.NoError(t, err)
	require.False(t, working)
	require.NoError(t, <-done)
	working, err = s.underWay(ctx, "debits-0-1-2")
	require.NoError(t, err)
	require.False(t, working)
}

// lockedBuffer is a buffer that may be read while it is written to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
