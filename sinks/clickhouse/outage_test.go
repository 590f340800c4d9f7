package clickhouse

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// proxy stands between the sink and ClickHouse and can break connections in two ways.
type proxy struct {
	listener net.Listener
	target   string
	// budget is how many more bytes may go to the server; when it is used up, connections break and are counted.
	// Negative: no limit.
	budget atomic.Int64
	// spent, if set, is called when the budget is used up, before the connections break.
	spent func()
	// stall, if set, holds every connection back in the middle of a block; held counts those.
	stall atomic.Pointer[stall]
	held  atomic.Int64
	// mute swallows what the server answers and breaks the connection at its first answer after at least after bytes went
	// in.
	mute   atomic.Bool
	after  int64
	broken atomic.Int64
	// gate, while locked, holds back what the sink sends.
	gate  sync.RWMutex
	mu    sync.Mutex
	conns map[net.Conn]bool
}

// stall holds back a stream that has run for so many bufferfuls without a break, until done is closed.
type stall struct {
	after int
	done  chan struct{}
}

func newProxy(t testing.TB, opts *clickhouse.Options) (*proxy, *clickhouse.Options) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: l, target: opts.Addr[0], conns: make(map[net.Conn]bool)}
	p.budget.Store(-1)
	go p.serve()
	t.Cleanup(func() { _ = l.Close(); p.breakAll() })
	through := *opts
	through.Addr = []string{l.Addr().String()}
	return p, &through
}

func (p *proxy) serve() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		p.conns[in], p.conns[out] = true, true
		p.mu.Unlock()
		var sent atomic.Int64
		done := func() { _ = in.Close(); _ = out.Close() }
		go func() { defer done(); p.upstream(out, in, &sent) }()
		go func() { defer done(); p.downstream(in, out, &sent) }()
	}
}

func (p *proxy) upstream(to io.Writer, from io.Reader, sent *atomic.Int64) {
	buf := make([]byte, 512)
	for full := 0; ; {
		n, err := from.Read(buf)
		if full++; n < len(buf) {
			full = 0
		}
		if s := p.stall.Load(); s != nil && full >= s.after {
			p.held.Add(1)
			<-s.done
		}
		p.gate.RLock()
		p.gate.RUnlock() //nolint:staticcheck // passing the gate is the point
		if left := p.budget.Load(); n > 0 && left >= 0 {
			if after := p.budget.Add(-int64(n)); after < 0 {
				p.budget.Store(0)
				_, _ = to.Write(buf[:max(0, int64(n)+after)]) // the server gets exactly what the budget allows
				if p.broken.Add(1); p.spent != nil {
					p.spent()
				}
				return
			}
		}
		if n > 0 {
			sent.Add(int64(n))
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) downstream(to io.Writer, from io.Reader, sent *atomic.Int64) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if n > 0 && p.mute.Load() && sent.Load() > p.after {
			p.broken.Add(1)
			return
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) breakAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
}

// The connection to ClickHouse breaks in the middle of an insert, at many different bytes: before, within and after the
// rows.
func TestConnectionBreaksInMidInsert(t *testing.T) {
	w := newWorld(t, 2)
	p, through := newProxy(t, w.opts)
	cfg := w.config()
	cfg.ClickHouse = through
	s := w.start(cfg, quick())
	for i := range 12 {
		w.caughtUp()
		p.budget.Store(int64(3_000 + 4_771*i))
		w.write(40)
		require.Eventually(t, func() bool { return p.broken.Load() > int64(i) }, 20*time.Second, time.Millisecond,
			"the connection did not break")
		p.breakAll()
		p.budget.Store(-1)
	}
	w.caughtUp()
	s.end()
	w.exact()
}

// The rows arrive and the answer does not: the outcome is unknown to the sink, and it must not matter.
func TestSinkLosesTheAnswer(t *testing.T) {
	w := newWorld(t, 2)
	p, through := newProxy(t, w.opts)
	p.after = 8_000 // more than a handshake and a query without rows
	cfg := w.config()
	cfg.ClickHouse = through
	s := w.start(cfg, quick())
	w.write(50)
	w.caughtUp()
	for i := range 5 {
		p.mute.Store(true)
		w.write(50)
		require.Eventually(t, func() bool { return p.broken.Load() > int64(i) }, 20*time.Second, time.Millisecond,
			"no answer was swallowed")
		require.Eventually(t, func() bool { return w.allStored(schemas.TopicTransactions) },
			20*time.Second, 5*time.Millisecond, "the rows whose answer was swallowed did not arrive")
		p.mute.Store(false)
		w.caughtUp()
	}
	s.end()
	w.exact()
}

// ClickHouse refuses every insert for a while (its tables are away); nothing is dropped, nothing is skipped, and the
// group goes on.
func TestSinkWaitsForClickHouse(t *testing.T) {
	w := newWorld(t, 2)
	ctx := context.Background()
	s := w.start(w.config(), quick())
	w.write(3)
	w.caughtUp()
	before, err := readMarks(ctx, w.conn, schemas.TopicDebits)
	require.NoError(t, err)
	w.exec("RENAME TABLE debits_log TO away")
	for range 2 {
		w.transaction(kgo.TryCommit, 4) // none is aborted: a mark may move over records that make no rows
	}
	require.Eventually(t, func() bool { return w.allStored(schemas.TopicCollections) },
		20*time.Second, 5*time.Millisecond, "a table that is away must not hold up the others")
	require.NotEmpty(t, w.behind())
	marks, err := readMarks(ctx, w.conn, schemas.TopicDebits)
	require.NoError(t, err)
	require.Equal(t, before, marks, "a mark promises rows that are not there")
	w.exec("RENAME TABLE away TO debits_log")
	w.caughtUp()
	s.end()
	w.exact()
}
