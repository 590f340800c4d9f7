package streams

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/kafkatest"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/retry"
	"github.com/kasi-collections/kasi/streams/stage"
)

// troubled remembers what is told of trouble.
type troubled struct {
	stage.Observer
	mu   sync.Mutex
	told map[string]string // text by kind and place
}

func newTroubled() *troubled {
	return &troubled{Observer: stage.NoObserver(), told: map[string]string{}}
}

// Troubled implements stage.Observer.
func (o *troubled) Troubled(_, kind, where, text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told[kind+" "+where] = text
}

func (o *troubled) of(kind, where string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.told[kind+" "+where]
}

// newCuttable is a harness whose changelogs can be cut. Apache Kafka refuses to cut a compacted topic.
func newCuttable(t testing.TB, partitions int32, change ...func(*stage.Config)) *harness {
	t.Helper()
	return harnessOn(t, kafkatest.Fake(t), partitions, change...)
}

// removeBefore removes the records of partition 0 before an offset, as a retention does.
func (h *harness) removeBefore(topic string, offset int64) {
	h.t.Helper()
	before := kadm.Offsets{}
	before.Add(kadm.Offset{Topic: topic, Partition: 0, At: offset})
	done, err := h.admin().DeleteRecords(h.ctx(), before)
	require.NoError(h.t, err)
	require.NoError(h.t, done.Error())
}

// TestIntakeSaysWhatWasRemoved has a retention take records of a feed that intake has not read: they are named, and the
// rest is taken in.
func TestIntakeSaysWhatWasRemoved(t *testing.T) {
	t.Parallel()
	heard := newTroubled()
	h := newHarness(t, 1, func(c *stage.Config) { c.Observer = heard })
	feed := func(n int) {
		for range n {
			h.produce(outside(schemas.TopicFeedTransactions, goodTransaction))
		}
	}
	end := h.startIntake()
	feed(3)
	h.caughtUp(schemas.GroupIntake, schemas.TopicFeedTransactions)
	end()
	require.Empty(t, heard.told)
	feed(5)
	h.removeBefore(schemas.TopicFeedTransactions, 7)
	h.startIntake()
	h.caughtUp(schemas.GroupIntake, schemas.TopicFeedTransactions)
	require.Contains(t, heard.of(stage.TroubleRemoved, schemas.TopicFeedTransactions+"-0"), "offsets 3 to 6 were removed")
	require.Len(t, h.read(schemas.TopicTimeline)[0], 3+1)
}

// TestIntakeSaysWhatItNeverRead has a retention take records of a partition of which intake has read none.
func TestIntakeSaysWhatItNeverRead(t *testing.T) {
	t.Parallel()
	heard := newTroubled()
	h := newHarness(t, 1, func(c *stage.Config) { c.Observer = heard })
	for range 5 {
		h.produce(outside(schemas.TopicFeedTransactions, goodTransaction))
	}
	h.removeBefore(schemas.TopicFeedTransactions, 3)
	h.startIntake()
	h.caughtUp(schemas.GroupIntake, schemas.TopicFeedTransactions)
	require.Contains(t, heard.of(stage.TroubleRemoved, schemas.TopicFeedTransactions+"-0"), "offsets 0 to 2 were removed")
}

// TestPartitionIsSetAside has one partition's changelog cut: that partition stops, is named, and writes nothing again.
// The other goes on, and the first comes back when it is mended.
func TestPartitionIsSetAside(t *testing.T) {
	t.Parallel()
	heard := newTroubled()
	h := newCuttable(t, 2, func(c *stage.Config) { c.Observer = heard })
	h.produce(countInput(50, 2)...)
	end := h.startCount(h.cfg)
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	end()
	before := h.read(schemas.TopicTransactions)
	ends, err := h.admin().ListEndOffsets(h.ctx(), schemas.TopicStateCollect)
	require.NoError(t, err)
	cut, _ := ends.Lookup(schemas.TopicStateCollect, 0)
	h.removeBefore(schemas.TopicStateCollect, cut.Offset)
	h.produce(countInput(100, 2)[50:]...)
	end = h.startCount(h.cfg)
	trouble := func() string { return heard.of(stage.TroublePartition, schemas.TopicTimeline+"-0") }
	require.Contains(t, trouble(), "kasi.customer.timeline.v1 partition 0 is set aside and the others go on")
	require.Contains(t, trouble(), "would take records in a second time")
	input := h.read(schemas.TopicTimeline)
	require.Eventually(t, func() bool {
		return h.committed(schemas.GroupCollect, schemas.TopicTimeline, 1) == input[1][len(input[1])-1].Offset+1
	}, patience, progress.RetryPause)
	end()
	after := h.read(schemas.TopicTransactions)
	require.Equal(t, lines(before[0]), lines(after[0]))
	require.Greater(t, len(after[1]), len(before[1]))
	require.Empty(t, trouble(), "another instance may have it now")
}

// TestPartitionComesBack has a row of one partition's changelog overwritten, and written again later: the partition is
// set aside and goes on by itself, without a restart of the process.
func TestPartitionComesBack(t *testing.T) {
	t.Parallel()
	heard := newTroubled()
	h := newHarness(t, 2, func(c *stage.Config) {
		c.Observer, c.AgreeTimeout, c.AsidePause = heard, 100*time.Millisecond, 100*time.Millisecond
	})
	h.produce(countInput(50, 2)...)
	end := h.startCount(h.cfg)
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	end()
	rows := h.read(schemas.TopicStateCollect)[0]
	was := rows[slices.IndexFunc(rows, func(r *kgo.Record) bool { return string(r.Key) != stage.FactsKey })]
	for _, r := range rows {
		if string(r.Key) == string(was.Key) {
			was = r // the last one counts
		}
	}
	write := func(value []byte) {
		h.produce(&kgo.Record{Topic: was.Topic, Partition: 0, Key: was.Key, Value: value, Headers: was.Headers})
	}
	write([]byte(`{}`))
	h.startCount(h.cfg)
	trouble := func() string { return heard.of(stage.TroublePartition, schemas.TopicTimeline+"-0") }
	require.Eventually(t, func() bool { return trouble() != "" }, patience, progress.RetryPause)
	require.Contains(t, trouble(), "does not hold the whole state")
	h.produce(countInput(100, 2)[50:]...)
	write(was.Value)
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	require.Empty(t, trouble())
	h.requireExactly(row("collect"), newCountTask)
}

// TestLooksAtAPartitionAsideAreCheap has a partition stay set aside: a look restores it once, and no more while nothing
// has changed that a look judges by. Records that come on its topic are no such change.
func TestLooksAtAPartitionAsideAreCheap(t *testing.T) {
	t.Parallel()
	heard := &restores{troubled: newTroubled()}
	h := newCuttable(t, 2, func(c *stage.Config) {
		c.Observer, c.AgreeTimeout, c.AsidePause = heard, 100*time.Millisecond, 20*time.Millisecond
	})
	h.produce(countInput(50, 2)...)
	end := h.startCount(h.cfg)
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	end()
	rows := h.read(schemas.TopicStateCollect)[0]
	h.removeBefore(schemas.TopicStateCollect, rows[len(rows)-1].Offset) // the facts alone are left
	var looks atomic.Int64
	h.cluster.ControlKey(int16(kmsg.OffsetFetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		h.cluster.KeepControl()
		looks.Add(1)
		return nil, nil, false
	})
	h.startCount(h.cfg)
	trouble := func() string { return heard.of(stage.TroublePartition, schemas.TopicTimeline+"-0") }
	require.Eventually(t, func() bool { return trouble() != "" }, patience, progress.RetryPause)
	after := func(n int64) int64 { // so many looks
		began := looks.Load()
		require.Eventually(t, func() bool { return looks.Load() >= began+n }, patience, progress.RetryPause)
		return heard.n.Load()
	}
	n := after(3)
	h.produce(countInput(100, 2)[50:]...)
	require.Equal(t, n, after(3), "nothing has changed")
	h.produce(&kgo.Record{
		Topic: schemas.TopicStateCollect, Key: rows[0].Key, Value: rows[0].Value, Headers: rows[0].Headers,
	})
	require.Equal(t, n+1, after(3), "the changelog has changed, and nothing is mended")
	require.NotEmpty(t, trouble())
}

// restores counts the restores.
type restores struct {
	*troubled
	n atomic.Int64
}

// Restored implements stage.Observer.
func (r *restores) Restored(string, time.Duration) { r.n.Add(1) }

// TestOtherRulesNeedAWord has a stage go on under other rules: refused, until an operator accepts just these. A state
// that does not say by which it was made takes the present ones.
func TestOtherRulesNeedAWord(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 1)
	fed := 0
	run := func(rules string, accept ...string) error {
		h.produce(countInput(fed+10, 1)[fed:]...)
		fed += 10
		cfg := h.cfg
		cfg.Rules, cfg.AcceptRules = rules, accept
		ctx, cancel := context.WithTimeout(h.ctx(), patience)
		defer cancel()
		adm := h.admin()
		go func() {
			for retry.Pause(ctx, progress.RetryPause) == nil {
				group, err := adm.FetchOffsets(ctx, schemas.GroupCollect)
				if o, ok := group.Lookup(schemas.TopicTimeline, 0); err == nil && ok && o.At == int64(fed) {
					cancel()
				}
			}
		}()
		return stage.Run(ctx, cfg, row("collect"), newCountTask, nil)
	}
	require.NoError(t, run(""))
	require.NoError(t, run("aaaa"), "the build before wrote no hash")
	require.ErrorContains(t, run("bbbb"), "was decided by the rules aaaa up to offset")
	require.ErrorContains(t, run("bbbb", "cccc"), "start it with --accept-rules bbbb")
	require.ErrorContains(t, run("cccc", "bbbb"), "--accept-rules cccc")
	require.NoError(t, run("bbbb", "cccc", "bbbb"))
	require.NoError(t, run("bbbb"))
	require.ErrorContains(t, run("aaaa"), "was decided by the rules bbbb")
	require.NoError(t, run(""), "who does not say its rules changes nothing")
	require.ErrorContains(t, run("aaaa"), "was decided by the rules bbbb")
}

// TestNewPartitionsAreReadWithinSeconds raises the partitions of a feed under a running intake.
func TestNewPartitionsAreReadWithinSeconds(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 2)
	h.startIntake()
	h.produce(outside(schemas.TopicFeedTransactions, goodTransaction))
	h.caughtUp(schemas.GroupIntake, schemas.TopicFeedTransactions)
	made, err := h.admin().UpdatePartitions(h.ctx(), 4, schemas.TopicFeedTransactions)
	require.NoError(t, err)
	require.NoError(t, made.Error())
	for p := range int32(4) {
		rec := outside(schemas.TopicFeedTransactions, goodTransaction)
		rec.Partition = p
		require.Eventually(t, func() bool {
			cl, err := kgo.NewClient(h.cfg.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
			require.NoError(t, err)
			defer cl.Close()
			return cl.ProduceSync(h.ctx(), rec).FirstErr() == nil
		}, patience, progress.RetryPause)
	}
	cl := h.client()
	looks := progress.New(cl)
	ends, err := looks.Ends(h.ctx(), false, schemas.TopicFeedTransactions)
	require.NoError(t, err)
	require.Len(t, ends, 4)
	began := time.Now()
	require.NoError(t, looks.Wait(h.ctx(), patience, ends,
		progress.Group{ID: schemas.GroupIntake, Topics: []string{schemas.TopicFeedTransactions}}))
	require.Less(t, time.Since(began), 30*time.Second)
}

// TestStageNoticesWhatIsRemovedWhileItRuns: the client goes on from the start of a log that was cut under it without a
// word. A stage with state stops, one without says what is gone.
func TestStageNoticesWhatIsRemovedWhileItRuns(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"collect", "intake"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			heard := newTroubled()
			h := newHarness(t, 1, func(c *stage.Config) { c.Observer, c.MaxRecords = heard, 10 })
			st := row(name)
			topic := st.Inputs[0]
			began, goOn := make(chan struct{}), make(chan struct{})
			var once sync.Once
			open := func() (stage.Task, stage.Memory) {
				var m stage.Memory
				if st.State != "" {
					_, m = newCountTask()
				}
				return taskFunc(func(*stage.Batch, *kgo.Record) error {
					once.Do(func() { close(began); <-goOn })
					return nil
				}), m
			}
			done := make(chan error, 1)
			ctx, cancel := context.WithCancel(h.ctx())
			defer cancel()
			cfg := h.cfg
			// One small batch a fetch, so that what is removed has not been fetched before.
			cfg.KgoOpts = append(slices.Clone(cfg.KgoOpts), kgo.FetchMaxBytes(1), kgo.FetchMaxPartitionBytes(1))
			go func() { done <- stage.Run(ctx, cfg, st, open, nil) }()
			for i := range 60 {
				h.produce(&kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "%d", i)})
			}
			<-began
			h.removeBefore(topic, 50)
			close(goOn)
			if st.State != "" {
				require.ErrorContains(t, <-done, "the records between are gone")
				return
			}
			h.caughtUp(st.Group, topic)
			require.Regexp(t, "offsets [0-9]+ to 49 were removed", heard.of(stage.TroubleRemoved, topic+"-0"))
			cancel()
			require.NoError(t, <-done)
		})
	}
}

// taskFunc is a task without state.
type taskFunc func(*stage.Batch, *kgo.Record) error

// Take implements stage.Task.
func (f taskFunc) Take(b *stage.Batch, rec *kgo.Record) error { return f(b, rec) }

// TestLateTickSendsOnItsOwnDay: a tick of the real calendar that was missed on a Wednesday and is written on the
// Saturday makes debits for the Monday, the first day on which the bank acts. A tick of a manual calendar is always on
// its day.
func TestLateTickSendsOnItsOwnDay(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]string{schemas.CalendarReal: "2025-11-10", schemas.CalendarManual: "2025-11-05"} {
		m := newMonth(t, 1)
		m.tick("2025-11-05", 0)
		m.policy("C", 15000)
		m.execute("C")
		m.tick("2025-11-05", 1)
		late := m.records[len(m.records)-1]
		late.Timestamp = time.Date(2025, 11, 7, 22, 0, 0, 0, time.UTC) // Saturday in Johannesburg
		late.Headers = append(late.Headers, kgo.RecordHeader{Key: schemas.HeaderCalendar, Value: []byte(mode)})
		tk, mem := collectTasks()
		var debits []schemas.DebitInstruction
		for _, r := range takeAll(t, row("collect"), tk, mem, 1, m.records...) {
			if r.Topic == schemas.TopicDebits {
				var d schemas.DebitInstruction
				require.NoError(t, json.Unmarshal(r.Value, &d))
				debits = append(debits, d)
			}
		}
		require.Len(t, debits, 1, mode)
		require.Equal(t, want, debits[0].ActionDate, mode)
		require.Equal(t, "2025-11-05", debits[0].BusinessDate, mode)

		// The answer of Monday overtakes the ticks of the days between. Nobody has seen a Tuesday.
		m.records = nil
		m.result(debits[0].DebitID, "tuesday", schemas.ResultUnpaid, "2025-11-11")
		m.result(debits[0].DebitID, "monday", schemas.ResultPaid, "2025-11-10")
		for _, r := range m.records {
			r.Timestamp = time.Date(2025, 11, 10, 6, 0, 0, 0, time.UTC)
		}
		refused := map[string]int{schemas.CalendarReal: 1, schemas.CalendarManual: 2}
		require.Len(t, classes(takeAll(t, row("collect"), tk, mem, 1, m.records...)), refused[mode], mode)
	}
}
