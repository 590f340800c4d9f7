package streams

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/stage"
)

// gateTask is the counting task that waits at one key until it is let go.
type gateTask struct {
	countTask
	at   string
	met  func()
	open <-chan struct{}
}

func (g gateTask) Take(b *stage.Batch, rec *kgo.Record) error {
	if string(rec.Value) == g.at && b.Facts.Slice != nil {
		g.met()
		<-g.open
	}
	return g.countTask.Take(b, rec)
}

// gated is nine records, the seventh for all keys, and the tasks that wait in its second slice.
type gated struct {
	*harness
	met, open chan struct{}
	once      sync.Once // the task may be opened again
}

func newGated(t *testing.T) *gated {
	g := &gated{harness: newFakeHarness(t, 1), met: make(chan struct{}), open: make(chan struct{})}
	g.produce(nineRecords()...)
	g.cfg.SliceKeys = 2
	return g
}

func nineRecords() []*kgo.Record {
	at := time.UnixMilli(1_700_000_000_000)
	var input []*kgo.Record
	for i, value := range []string{"a", "b", "c", "d", "e", "f", "all", "g", "h"} {
		input = append(input, &kgo.Record{
			Topic: schemas.TopicTimeline, Key: []byte("t\x1f" + value), Value: []byte(value),
			Timestamp: at.Add(time.Duration(i) * time.Second),
		})
	}
	return input
}

func (g *gated) tasks() (stage.Task, stage.Memory) {
	tk, m := newCountTask()
	return gateTask{tk.(countTask), "all", func() { g.once.Do(func() { close(g.met) }) }, g.open}, m
}

func (g *gated) waiting() {
	g.t.Helper()
	select {
	case <-g.met:
	case <-time.After(patience):
		require.Fail(g.t, "the record was not worked on in slices")
	}
}

// TestGroupWaitsForTheLastSlice: while a record is worked on in slices, the group stands at it, though the records
// behind it were polled with it. Whoever waits for the group would take it for done.
func TestGroupWaitsForTheLastSlice(t *testing.T) {
	t.Parallel()
	g := newGated(t)
	g.startTask(g.cfg, g.tasks)
	g.waiting()
	require.Equal(t, int64(6), g.committed(schemas.GroupCollect, schemas.TopicTimeline, 0), "the record's own offset")
	require.Len(t, flat(g.read(schemas.TopicTransactions)), 6+2, "its first slice")
	close(g.open)
	g.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	require.Equal(t, int64(9), g.committed(schemas.GroupCollect, schemas.TopicTimeline, 0))
	g.requireExactly(row("collect"), newCountTask)
}

// TestStoppedBetweenSlicesBehindAMarker: the marker of a transaction lies before a record that is worked on in slices,
// as intake's transactions put it there. The stage is stopped between two slices. What it starts from agrees with its
// group, which stands at the record itself.
func TestStoppedBetweenSlicesBehindAMarker(t *testing.T) {
	t.Parallel()
	g := &gated{harness: newFakeHarness(t, 1), met: make(chan struct{}), open: make(chan struct{})}
	g.cfg.SliceKeys, g.cfg.AgreeTimeout = 2, time.Second
	records := nineRecords()
	g.produceTransaction(records[:6]...)
	g.produce(records[6:]...)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- stage.Run(ctx, g.cfg, row("collect"), g.tasks, nil) }()
	g.waiting()
	cancel()
	close(g.open)
	require.NoError(t, <-ended)
	require.Equal(t, int64(7), g.committed(schemas.GroupCollect, schemas.TopicTimeline, 0), "offset 6 is the marker")

	g.startTask(g.cfg, newCountTask)
	g.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	g.requireExactly(row("collect"), newCountTask)
}

// produceTransaction produces records in one transaction.
func (g *gated) produceTransaction(records ...*kgo.Record) {
	g.t.Helper()
	cl, err := kgo.NewClient(
		g.cfg.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID("outside"))...)
	require.NoError(g.t, err)
	defer cl.Close()
	require.NoError(g.t, cl.BeginTransaction())
	require.NoError(g.t, cl.ProduceSync(g.ctx(), records...).FirstErr())
	require.NoError(g.t, cl.EndTransaction(g.ctx(), kgo.TryCommit))
}

// TestSliceCommittedAfterAll: the broker commits a slice in the middle and answers that it did not. The group's offset
// is the same before and after, so only the slice's number tells.
func TestSliceCommittedAfterAll(t *testing.T) {
	t.Parallel()
	g := newGated(t)
	w := &wire{}
	g.startTask(g.wired(w), g.tasks)
	g.waiting()
	fired := answered(kmsg.EndTxn, 0, 1, kerr.TransactionAbortable)(g.harness, w)
	close(g.open)
	g.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	require.Equal(t, 1, fired())
	g.requireExactly(row("collect"), newCountTask)
}

// TestOthersGoOnBesideSlices: a partition whose record takes many transactions does not keep the others waiting.
func TestOthersGoOnBesideSlices(t *testing.T) {
	t.Parallel()
	h := newFakeHarness(t, 2)
	const keys = 300
	of := func(p int32, key, value string) *kgo.Record {
		return &kgo.Record{Topic: schemas.TopicTimeline, Partition: p, Key: []byte(key), Value: []byte(value)}
	}
	var input []*kgo.Record
	for i := range keys {
		input = append(input, of(0, string(rune('a'+i%26))+time.Duration(i).String(), "one"))
	}
	cfg := h.cfg
	cfg.SliceKeys, cfg.MaxRecords = 1, 50
	h.startTask(cfg, newCountTask)
	h.produce(append(input, of(0, "", "all"))...)
	reaches := func(p int32, offset int64) {
		require.Eventually(t, func() bool {
			return h.committed(schemas.GroupCollect, schemas.TopicTimeline, p) == offset
		}, patience, progress.RetryPause)
	}
	reaches(0, keys)
	h.produce(of(1, "x", "other"))
	reaches(1, 1)
	require.Equal(t, int64(keys), h.committed(schemas.GroupCollect, schemas.TopicTimeline, 0), "the slices were not over")
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	h.requireExactly(row("collect"), newCountTask)
}
