package streams

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/stage"
)

// broker is a fault that the broker answers with instead of doing the work (or, where kfake says so, after it).
func broker(f kfake.Fault) func(*harness, *wire) func() int {
	return func(h *harness, _ *wire) func() int { return h.cluster.Fault(f).Hits }
}

// answered is a fault after the request was applied.
func answered(key kmsg.Key, lose, falsify int32, code *kerr.Error) func(*harness, *wire) func() int {
	return func(_ *harness, w *wire) func() int {
		w.code = code
		w.key.Store(int32(key))
		w.lose.Store(lose)
		w.falsify.Store(falsify)
		return func() int { return int(w.hits.Load()) }
	}
}

// fault is one thing that goes wrong; inject arms it and returns how often it has fired.
type fault struct {
	name   string
	inject func(*harness, *wire) func() int
}

// faults are those that hit a stage between an input and an output topic.
func faults(in, out string) []fault {
	end, produce, offsets := kmsg.EndTxn, kmsg.Produce, kmsg.TxnOffsetCommit
	return []fault{
		{"no fault", func(*harness, *wire) func() int { return func() int { return 1 } }},
		{"EndTxn refused, coordinator moved", broker(kfake.Fault{Keys: []kmsg.Key{end}, Err: kerr.NotCoordinator, Count: 3})},
		{"EndTxn refused, coordinator loads", broker(kfake.Fault{
			Keys: []kmsg.Key{end}, Err: kerr.CoordinatorLoadInProgress,
			Count: 3,
		})},
		{
			"EndTxn refused, concurrent transactions",
			broker(kfake.Fault{Keys: []kmsg.Key{end}, Err: kerr.ConcurrentTransactions, Count: 3}),
		},
		{"EndTxn refused, unknown server error", broker(kfake.Fault{
			Keys: []kmsg.Key{end}, Err: kerr.UnknownServerError,
			Count: 1,
		})},
		{"EndTxn refused, fenced", broker(kfake.Fault{Keys: []kmsg.Key{end}, Err: kerr.ProducerFenced, Count: 1})},
		{"EndTxn refused, abortable", broker(kfake.Fault{Keys: []kmsg.Key{end}, Err: kerr.TransactionAbortable, Count: 1})},
		{"EndTxn applied, answer lost", answered(end, 3, 0, nil)},
		{"EndTxn applied, answered as unknown server error", answered(end, 0, 1, kerr.UnknownServerError)},
		{"EndTxn applied, answered as fenced", answered(end, 0, 1, kerr.ProducerFenced)},
		{"EndTxn applied, answered as coordinator moved", answered(end, 0, 2, kerr.NotCoordinator)},
		{"EndTxn applied, answered as abortable", answered(end, 0, 1, kerr.TransactionAbortable)},
		{"offsets refused, rebalance", broker(kfake.Fault{
			Keys: []kmsg.Key{offsets}, Err: kerr.RebalanceInProgress,
			Count: 2,
		})},
		{"offsets refused, old generation", broker(kfake.Fault{
			Keys: []kmsg.Key{offsets}, Err: kerr.IllegalGeneration,
			Count: 2,
		})},
		{"offsets refused, unknown member", broker(kfake.Fault{
			Keys: []kmsg.Key{offsets}, Err: kerr.UnknownMemberID,
			Count: 1,
		})},
		{
			"offsets refused, metadata too large",
			broker(kfake.Fault{Keys: []kmsg.Key{offsets}, Err: kerr.OffsetMetadataTooLarge, Count: 1}),
		},
		{"offsets applied, answered as timed out", broker(kfake.Fault{
			Keys: []kmsg.Key{offsets}, Err: kerr.RequestTimedOut,
			Count: 2,
		})},
		{"offsets applied, answer lost", answered(offsets, 2, 0, nil)},
		{"produce refused, leader moved", broker(kfake.Fault{
			Keys: []kmsg.Key{produce}, Topic: out,
			Err: kerr.NotLeaderForPartition, Count: 3,
		})},
		{"produce refused, too large", broker(kfake.Fault{
			Keys: []kmsg.Key{produce}, Topic: out, Err: kerr.MessageTooLarge,
			Count: 2,
		})},
		{"produce applied, answered as timed out", broker(kfake.Fault{
			Keys: []kmsg.Key{produce}, Topic: out,
			Err: kerr.RequestTimedOut, Count: 2,
		})},
		{"produce applied, answer lost", answered(produce, 3, 0, nil)},
		{"produce refused, fenced", broker(kfake.Fault{
			Keys: []kmsg.Key{produce}, Topic: out, Err: kerr.InvalidProducerEpoch,
			Count: 1,
		})},
		{"fetch refused, leader moved", broker(kfake.Fault{
			Keys: []kmsg.Key{kmsg.Fetch}, Topic: in,
			Err: kerr.NotLeaderForPartition, Count: 3,
		})},
		{"heartbeat refused, unknown member", broker(kfake.Fault{
			Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.UnknownMemberID,
			Count: 1,
		})},
	}
}

// TestExactlyOnceUnderFaults runs the stage over one input while one fault after the other hits it. Whatever happens,
// the outputs are those of an uninterrupted run, byte for byte. Each fault must have fired.
func TestExactlyOnceUnderFaults(t *testing.T) {
	t.Parallel()
	refused := kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Topic: schemas.TopicStateCollect, Err: kerr.MessageTooLarge,
		Count: 2,
	}
	for _, tc := range append(faults(schemas.TopicTimeline, schemas.TopicTransactions),
		fault{"changelog refused, too large", broker(refused)}) {
		for _, first := range []bool{false, true} {
			t.Run(tc.name+map[bool]string{true: ", first transaction"}[first], func(t *testing.T) {
				t.Parallel()
				const partitions = 3
				h := newFakeHarness(t, partitions)
				w := &wire{}
				cfg := h.wired(w)
				cfg.MaxRecords, cfg.SliceBytes = 40, 4_000
				input := countInput(600, partitions)
				stopStage, fired := stop(nil), func() int { return 1 }
				if first {
					fired = tc.inject(h, w)
					h.produce(input[:200]...)
					stopStage = h.startCount(cfg)
				} else {
					h.produce(input[:200]...)
					stopStage = h.startCount(cfg)
					h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
					fired = tc.inject(h, w)
				}
				h.produce(input[200:]...)
				require.Eventually(t, func() bool { return fired() > 0 }, patience, progress.RetryPause, "the fault never fired")
				h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
				stopStage()
				h.requireExactly(row("collect"), newCountTask)
			})
		}
	}
}

// Transactions that are aborted one after the other do not go round at full speed: a rebalance may take seconds, and
// what a slot has left waits for no poll.
func TestRepeatedAbortsArePaused(t *testing.T) {
	t.Parallel()
	const refusals = 12 // the pauses between them grow from 10 ms to 860 ms and are 1.7 s together
	h := newFakeHarness(t, 1)
	cfg := h.wired(&wire{})
	var mu sync.Mutex
	var aborts []time.Time
	cfg.Observer = observed{Observer: stage.NoObserver(), aborted: func() {
		mu.Lock()
		defer mu.Unlock()
		aborts = append(aborts, time.Now())
	}}
	h.cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.RebalanceInProgress, Count: refusals,
	})
	h.produce(countInput(40, 1)...)
	stopStage := h.startCount(cfg)
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	stopStage()
	h.requireExactly(row("collect"), newCountTask)
	require.GreaterOrEqual(t, len(aborts), refusals)
	require.Greater(t, aborts[refusals-1].Sub(aborts[0]), time.Second)
}

// feedInput is good and bad outside records, and what intake must make of them, by topic.
func feedInput(t *testing.T, n, partitions int) (input []*kgo.Record, expected map[string][]string) {
	t.Helper()
	expected = map[string][]string{}
	for i := range n {
		in := outside(schemas.TopicFeedTransactions, strings.Replace(goodTransaction, `"t1"`, fmt.Sprintf(`"t%d"`, i), 1))
		if i%40 == 0 {
			in.Value = fmt.Appendf(nil, "bad %d", i)
		}
		in.Partition = int32(i % partitions)
		input = append(input, in)
		stored := *in
		stored.Offset = int64(i / partitions)
		made, err := stage.Dry(row("intake"), &feedTask{tenants: anyone{}}, nil, 0, int32(partitions), &stored)
		require.NoError(t, err)
		for _, out := range made {
			expected[out.Topic] = append(expected[out.Topic], lines([]*kgo.Record{out})...)
		}
	}
	return input, expected
}

// TestIntakeExactlyOnceUnderFaults does the same to a stage without state, where nothing but the group's offset tells
// what has been taken over.
func TestIntakeExactlyOnceUnderFaults(t *testing.T) {
	t.Parallel()
	st := row("intake")
	for _, tc := range faults(schemas.TopicFeedTransactions, schemas.TopicTimeline) {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			const partitions = 2
			h := newFakeHarness(t, partitions)
			w := &wire{}
			cfg := h.wired(w)
			cfg.MaxRecords, cfg.SliceBytes = 20, 500
			fired := tc.inject(h, w)
			stopStage := h.start(func(ctx context.Context, ready func()) error {
				return stage.Run(ctx, cfg, st, feedTasks, ready)
			})
			input, expected := feedInput(t, 300, partitions)
			h.feed(input, 25, func(int) {})
			require.Eventually(t, func() bool { return fired() > 0 }, patience, progress.RetryPause, "the fault never fired")
			h.caughtUp(schemas.GroupIntake, schemas.TopicFeedTransactions)
			stopStage()
			require.ElementsMatch(t, expected[schemas.TopicTimeline], lines(flat(h.read(schemas.TopicTimeline))))
			require.ElementsMatch(t, expected[schemas.TopicDeadLetters], lines(flat(h.read(schemas.TopicDeadLetters))))
		})
	}
}

// TestExactlyOnceUnderCuts cuts all connections again and again while the stage works.
func TestExactlyOnceUnderCuts(t *testing.T) {
	t.Parallel()
	const partitions = 3
	h := newHarness(t, partitions)
	w := &wire{}
	cfg := h.wired(w)
	cfg.MaxRecords = 10
	var committed atomic.Int32
	cfg.Observer = observed{Observer: stage.NoObserver(), committed: func() {
		if n := committed.Add(1); n%7 == 0 && n <= 70 {
			go w.cut()
		}
	}}
	h.produce(countInput(3000, partitions)...)
	stopStage := h.startCount(cfg)
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	stopStage()
	require.GreaterOrEqual(t, committed.Load(), int32(70), "all ten cuts must have happened")
	h.requireExactly(row("collect"), newCountTask)
}

// observed is an Observer made of functions.
type observed struct {
	stage.Observer
	committed func()
	aborted   func()
}

func (o observed) Committed(string, int, int) {
	if o.committed != nil {
		o.committed()
	}
}

func (o observed) Aborted(string, error) {
	if o.aborted != nil {
		o.aborted()
	}
}
