package streams

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
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
	"github.com/kasi-collections/kasi/streams/letters"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/stage"
)

// TestSnapshotsKeepTheChangelogShort runs with a broker that does not compact: the changelog is cut, and what is left
// restores the whole state.
func TestSnapshotsKeepTheChangelogShort(t *testing.T) {
	t.Parallel()
	const partitions = 2
	h := newHarness(t, partitions, func(c *stage.Config) { c.FreshTxnID, c.SnapshotAfter, c.MaxRecords = true, 2000, 20 })
	stopStage := h.startCount(h.cfg)
	for i := range 6 { // customers heard of once: only the snapshots keep them
		key := fmt.Sprintf("t\x1f%d-once", i)
		h.produce(&kgo.Record{
			Topic: schemas.TopicTimeline, Partition: int32(i % partitions), Key: []byte(key),
			Value: []byte("tx-" + key),
		})
	}
	h.feed(countInput(3000, partitions), 100, func(int) {})
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	stopStage()
	adm := h.admin()
	starts, err := adm.ListStartOffsets(h.ctx(), schemas.TopicStateCollect)
	require.NoError(t, err)
	ends, err := adm.ListEndOffsets(h.ctx(), schemas.TopicStateCollect)
	require.NoError(t, err)
	for p, end := range ends[schemas.TopicStateCollect] {
		first := starts[schemas.TopicStateCollect][p].Offset
		require.Positive(t, first, "partition %d was never cut", p)
		require.Less(t, end.Offset-first, end.Offset/3, "partition %d", p)
	}
	h.requireExactly(row("collect"), newCountTask)
	h.startCount(h.cfg)
	h.produce(countInput(3100, partitions)[3000:]...)
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	h.requireExactly(row("collect"), newCountTask)
}

// TestRestoreWaitsForOpenTransaction begins a restore while the changelog ends in a transaction that is not decided:
// the restore sees what it commits.
func TestRestoreWaitsForOpenTransaction(t *testing.T) {
	t.Parallel()
	said := new(lockedText)
	h := newHarness(t, 1, func(c *stage.Config) { c.Log = slog.New(slog.NewTextHandler(said, nil)) })
	cl, err := kgo.NewClient(h.cfg.Client(kgo.TransactionalID("other"), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	require.NoError(t, err)
	defer cl.Close()
	require.NoError(t, cl.BeginTransaction())
	require.NoError(t, cl.ProduceSync(h.ctx(), &kgo.Record{
		Topic: schemas.TopicStateCollect, Key: []byte("a"), Headers: stateHeaders,
		Value: []byte(`{"n":7}`),
	}).FirstErr())
	_, into := newCountTask()
	done := make(chan error, 1)
	go func() { done <- stage.Restore(h.ctx(), h.cfg, row("collect"), map[int32]stage.Memory{0: into}) }()
	select {
	case <-done:
		require.Fail(t, "the restore did not wait")
	case <-time.After(100 * time.Millisecond):
	}
	id, _, err := cl.ProducerID(h.ctx())
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return strings.Contains(said.String(), fmt.Sprintf("the transaction of producer %d ", id))
	}, patience, progress.RetryPause, "the restore waits in silence")
	require.NoError(t, cl.EndTransaction(h.ctx(), kgo.TryCommit))
	require.NoError(t, <-done)
	require.Equal(t, `{"n":7}`, snapshotOf(t, into)["a"])
}

// TestRefusesAStateInPart takes rows away from a changelog, at its begin or in the middle: the stage stops and names
// the way out, and takes nothing in a second time.
func TestRefusesAStateInPart(t *testing.T) {
	t.Parallel()
	written := func(t *testing.T) (*harness, []*kgo.Record) {
		h := newCuttable(t, 1)
		h.produce(countInput(200, 1)...)
		stopStage := h.startCount(h.cfg)
		h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
		stopStage()
		return h, h.read(schemas.TopicStateCollect)[0]
	}
	var records []*kgo.Record
	t.Run("whole", func(t *testing.T) { _, records = written(t) })
	t.Run("a row lost in the middle", func(t *testing.T) {
		t.Parallel()
		other := newHarness(t, 1)
		other.produce(countInput(200, 1)...)
		for _, r := range records {
			if string(r.Key) != string(records[0].Key) {
				r.Value = bytes.Replace(r.Value, []byte(`"topic":`), []byte(`"other":`), 1)
				other.produce(&kgo.Record{Topic: r.Topic, Key: r.Key, Value: r.Value, Headers: r.Headers})
			}
		}
		err := other.refused()
		require.ErrorContains(t, err, "does not hold the whole state of stage collect")
		require.ErrorContains(t, err, "delete it and the group")
		require.Empty(t, other.read(schemas.TopicTransactions)[0])
	})
	t.Run("the first row cut off", func(t *testing.T) {
		t.Parallel()
		h, records := written(t)
		latest := map[string]int64{}
		for _, r := range records {
			latest[string(r.Key)] = r.Offset
		}
		before := kadm.Offsets{}
		before.Add(kadm.Offset{Topic: schemas.TopicStateCollect, At: 1 + slices.Min(slices.Collect(maps.Values(latest)))})
		_, err := h.admin().DeleteRecords(h.ctx(), before)
		require.NoError(t, err)
		written := len(h.read(schemas.TopicTransactions)[0])
		require.ErrorContains(t, h.refused(), "does not hold the whole state of stage collect")
		require.Len(t, h.read(schemas.TopicTransactions)[0], written)
	})
}

// refused is why the counting stage does not serve; nil where it does.
func (h *harness) refused() error {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return stage.Run(ctx, h.cfg, row("collect"), newCountTask, cancel)
}

// TestStateOfTheLayoutBefore restores a changelog as the last build before rows left it, goes on, and restores again.
func TestStateOfTheLayoutBefore(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 1)
	key := schemas.CustomerKey("acme", "C")
	h.produce(
		ofState([]byte(key), `{"v":2,"t":"acme","c":"C",`+
			`"p":[{"n":"POL-C","v":1,"c":15000,"s":"active","r":"DEBICHECK","a":1}],"k":[{"n":"POL-C","p":"2025-11","v":1,`+
			`"d":15000,"g":20397,"i":0,"w":{}}],"x":"AQAAAAAAAACqTwAA","y":20393}`),
		ofState([]byte(key+"2"), `{"v":2,"t":"acme","c":"C2"}`),
		ofState([]byte(stage.FactsKey),
			`{"next":0,"tick":{"date":"2025-11-01","cutoff":0},"seq":{"`+schemas.TopicCollections+`":1}}`))
	m := newMonth(t, 1)
	m.tick("2025-11-05", 1)
	m.result(debitOf("C", 1), "r1", schemas.ResultPaid, "2025-11-05")
	h.produce(m.records...)
	stopStage := h.start(runCollect(h.cfg))
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	stopStage()
	require.Len(t, h.read(schemas.TopicDebits)[0], 1)
	var last schemas.CollectionEvent
	events := h.read(schemas.TopicCollections)[0]
	require.NoError(t, json.Unmarshal(events[len(events)-1].Value, &last))
	require.Equal(t, schemas.PaidFull, last.Status)
	require.Equal(t, int64(3), last.Seq)
	_, into := collectTasks()
	require.NoError(t, stage.Restore(h.ctx(), h.cfg, row("collect"), map[int32]stage.Memory{0: into}))
	require.Equal(t, 2, into.Keys(), "also the customer that nothing has happened to since")
	require.Equal(t, int64(1), into.Now().Seq[schemas.TopicDebits])
}

// stateHeaders are those of a stage's record on a changelog.
var stateHeaders = []kgo.RecordHeader{{Key: schemas.HeaderKind, Value: []byte(schemas.KindState)}}

func ofState(key []byte, value string) *kgo.Record {
	return &kgo.Record{Topic: schemas.TopicStateCollect, Key: key, Value: []byte(value), Headers: stateHeaders}
}

// TestStrayRecordsOnTheChangelog writes on a changelog what no stage wrote: a restore passes it over.
func TestStrayRecordsOnTheChangelog(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 1)
	h.produce(countInput(50, 1)...)
	stopStage := h.startCount(h.cfg)
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	stopStage()
	for _, value := range []string{"no JSON", "", `{"n":1}`} {
		h.produce(&kgo.Record{Topic: schemas.TopicStateCollect, Key: []byte("t\x1fcustomer-1"), Value: []byte(value)})
		h.produce(&kgo.Record{Topic: schemas.TopicStateCollect, Key: []byte(stage.FactsKey), Value: []byte(value)})
	}
	h.produce(countInput(100, 1)[50:]...)
	h.startCount(h.cfg)
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	h.requireExactly(row("collect"), newCountTask)
}

// lockedText is written and read at once.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestStateCountsMoreThanGroup moves the group's committed offset back, or removes it as a broker does after a week of
// rest: the state knows better, nothing is taken in twice, and the group knows it before there is a new record. On the
// embedded broker, which may lose one marker of a transaction, the state also counts where the group is ahead.
func TestStateCountsMoreThanGroup(t *testing.T) {
	t.Parallel()
	for name, move := range map[string]func(h *harness){
		"back":              func(h *harness) { h.setOffset(3) },
		"expired":           (*harness).deleteGroup,
		"forward, embedded": func(h *harness) { h.setOffset(90); h.cfg.FreshTxnID = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, 1)
			h.produce(countInput(50, 1)...)
			stopStage := h.startCount(h.cfg)
			h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
			stopStage()
			more := countInput(100, 1)[50:]
			if name == "forward, embedded" {
				h.produce(more...)
			}
			move(h)
			h.startCount(h.cfg)
			if name != "forward, embedded" {
				require.EqualValues(t, 50, h.committed(schemas.GroupCollect, schemas.TopicTimeline, 0))
				h.produce(more...)
			}
			h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
			require.Eventually(t, func() bool { return h.committed(schemas.GroupCollect, schemas.TopicTimeline, 0) == 100 },
				patience, progress.RetryPause)
			h.requireExactly(row("collect"), newCountTask)
		})
	}
}

// TestRefusesAStateBehindItsGroup stops where a group has taken in more than the state knows of, on every broker, and
// takes nothing in a second time.
func TestRefusesAStateBehindItsGroup(t *testing.T) {
	t.Parallel()
	cut := func(h *harness) {
		cut, err := h.admin().ListEndOffsets(h.ctx(), schemas.TopicStateCollect)
		require.NoError(h.t, err)
		_, err = h.admin().DeleteRecords(h.ctx(), cut.Offsets())
		require.NoError(h.t, err)
	}
	anew := func(h *harness) { h.createAnew(schemas.TopicStateCollect, 1) }
	for name, c := range map[string]struct {
		embedded bool
		harm     func(*harness)
		says     string
	}{
		"changelog cut":           {false, cut, "where the changelog was cut or created anew, restore it"},
		"changelog cut, embedded": {true, cut, "where the changelog was cut or created anew, restore it"},
		"changelog anew":          {false, anew, "where the changelog was cut or created anew, restore it"},
		"anew, embedded":          {true, anew, "where the changelog was cut or created anew, restore it"},
		"group forward": {
			false, func(h *harness) { h.setOffset(90) },
			"--group kasi.collect --topic kasi.customer.timeline.v1:0 --reset-offsets --to-offset 50 --execute",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := newHarness
			if strings.HasPrefix(name, "changelog cut") {
				start = newCuttable
			}
			h := start(t, 1, func(cfg *stage.Config) { cfg.FreshTxnID = c.embedded })
			h.produce(countInput(50, 1)...)
			stopStage := h.startCount(h.cfg)
			h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
			stopStage()
			c.harm(h)
			h.produce(countInput(100, 1)[50:]...)
			require.ErrorContains(t, h.runUntilEnd(newCountTask), c.says)
			require.Len(t, h.read(schemas.TopicTransactions)[0], 49, "nothing again, nothing new")
		})
	}
}

// TestRestoresAgainUntilItAgrees has a leader tell an old end of the changelog, as one does that came back before it
// was missed: the restore goes on until the state knows what the group knows.
func TestRestoresAgainUntilItAgrees(t *testing.T) {
	t.Parallel()
	h := newFakeHarness(t, 1, func(c *stage.Config) { c.MaxRecords, c.AgreeTimeout = 10, patience })
	h.produce(countInput(50, 1)...)
	stopStage := h.startCount(h.cfg)
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	stopStage()
	h.produce(countInput(100, 1)[50:]...)
	var lies atomic.Int32
	h.cluster.ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
		h.cluster.KeepControl()
		asked := req.(*kmsg.ListOffsetsRequest)
		if len(asked.Topics) != 1 || asked.Topics[0].Topic != schemas.TopicStateCollect ||
			asked.Topics[0].Partitions[0].Timestamp != -1 || lies.Load() == 3 {
			return nil, nil, false
		}
		lies.Add(1)
		resp := asked.ResponseKind().(*kmsg.ListOffsetsResponse)
		topic, part := kmsg.NewListOffsetsResponseTopic(), kmsg.NewListOffsetsResponseTopicPartition()
		topic.Topic, part.Offset, part.Timestamp = schemas.TopicStateCollect, 0, -1
		topic.Partitions = append(topic.Partitions, part)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
	h.startCount(h.cfg)
	require.EqualValues(t, 3, lies.Load())
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	h.requireExactly(row("collect"), newCountTask)
}

// TestKnownRecordsAreLeftOut hands a batch to a state that has taken it in: nothing comes of it again. The client is
// told where to read on and does not bring such a batch; this is what holds where it, or a broker that tore a
// transaction, does.
func TestKnownRecordsAreLeftOut(t *testing.T) {
	t.Parallel()
	st, records := row("collect"), countInput(20, 1)
	for i, r := range records {
		r.Offset = int64(i)
	}
	tk, m := newCountTask()
	run := func(records []*kgo.Record) (out int) {
		made, err := stage.Dry(st, tk, m, 0, 1, records...)
		require.NoError(t, err)
		m.Merge()
		for _, r := range made {
			if r.Topic != st.State {
				out++
			}
		}
		return out
	}
	require.Equal(t, 10, run(records[:10]))
	require.Zero(t, run(records[:10]))
	require.Equal(t, 10, run(records))
}

// admin is a client for what an operator's tools do.
func (h *harness) admin() *kadm.Client { return kadm.NewClient(h.client()) }

func (h *harness) client() *kgo.Client {
	h.t.Helper()
	cl, err := kgo.NewClient(h.cfg.Client()...)
	require.NoError(h.t, err)
	h.t.Cleanup(cl.Close)
	return cl
}

// createAnew deletes a topic and creates another of its name, and waits until the broker shows that one: the controller
// answers earlier.
func (h *harness) createAnew(topic string, partitions int32) {
	h.t.Helper()
	cl := h.client()
	adm := kadm.NewClient(cl)
	_, err := adm.DeleteTopic(h.ctx(), topic)
	require.NoError(h.t, err)
	var made kadm.CreateTopicResponse
	require.Eventually(h.t, func() bool {
		made, err = adm.CreateTopic(h.ctx(), partitions, h.cfg.Replication, nil, topic)
		return err == nil
	}, patience, progress.RetryPause)
	require.Eventually(h.t, func() bool {
		topics, err := progress.Topics(h.ctx(), cl, topic)
		return err == nil && len(topics[topic].Partitions) == int(partitions) && topics[topic].TopicID == made.ID
	}, patience, progress.RetryPause)
}

// setOffset writes the collect group's committed offset of partition 0, as an operator's tool does.
func (h *harness) setOffset(to int64) {
	h.t.Helper()
	cl, err := kgo.NewClient(h.cfg.Client()...)
	require.NoError(h.t, err)
	defer cl.Close()
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: schemas.TopicTimeline, Partition: 0, At: to, LeaderEpoch: -1})
	done, err := kadm.NewClient(cl).CommitOffsets(h.ctx(), schemas.GroupCollect, offsets)
	require.NoError(h.t, err)
	require.NoError(h.t, done.Error())
}

// deleteGroup removes the collect group with its offsets, as a broker does when it has rested for its retention.
func (h *harness) deleteGroup() {
	h.t.Helper()
	done, err := h.admin().DeleteGroup(h.ctx(), schemas.GroupCollect)
	require.NoError(h.t, errors.Join(err, done.Err))
}

// runUntilEnd runs the counting stage until it gives up.
func (h *harness) runUntilEnd(open stage.Open) error {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := stage.Run(ctx, h.cfg, row("collect"), open, nil)
	require.NoError(h.t, ctx.Err(), "the stage did not give up")
	return err
}

// TestRefusesLostInput stops when the timeline no longer holds what the state needs, or has begun anew, and names the
// way out.
func TestRefusesLostInput(t *testing.T) {
	t.Parallel()
	t.Run("cut", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t, 1)
		h.produce(countInput(50, 1)...)
		stopStage := h.startCount(h.cfg)
		h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
		stopStage()
		h.produce(countInput(100, 1)[50:]...)
		before := kadm.Offsets{}
		before.Add(kadm.Offset{Topic: schemas.TopicTimeline, Partition: 0, At: 80})
		_, err := h.admin().DeleteRecords(h.ctx(), before)
		require.NoError(t, err)
		require.ErrorContains(t, h.runUntilEnd(newCountTask), "switch its retention off")
	})
	// A timeline made anew is another one, also when it has grown past what the state knows.
	for name, records := range map[string]int{"anew": 0, "anew and grown": 80} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, 1)
			h.produce(countInput(50, 1)...)
			stopStage := h.startCount(h.cfg)
			h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
			stopStage()
			h.createAnew(schemas.TopicTimeline, 1)
			h.produce(countInput(records, 1)...)
			require.ErrorContains(t, h.runUntilEnd(newCountTask), "was created anew")
		})
	}
}

// TestRefusesUnequalPartitions stops before anything is written to the wrong place.
func TestRefusesUnequalPartitions(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 2)
	h.createAnew(schemas.TopicStateCollect, 3)
	require.ErrorContains(t, h.runUntilEnd(newCountTask), "must have the same number")
}

// brokenTask fails on a record: with an error, or by a panic.
type brokenTask struct {
	countTask
	fails func() error
}

func (b brokenTask) Take(out *stage.Batch, rec *kgo.Record) error {
	if strings.HasSuffix(string(rec.Value), "42") {
		if err := b.fails(); err != nil {
			return err
		}
	}
	return b.countTask.Take(out, rec)
}

// TestFatalErrorStopsTheStage checks that an error that no repetition cures stops the stage and names the record, and
// that nothing of the record is written.
func TestFatalErrorStopsTheStage(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 1, func(c *stage.Config) { c.MaxRecords = 10 })
	h.produce(countInput(60, 1)...)
	err := h.runUntilEnd(func() (stage.Task, stage.Memory) {
		inner, m := newCountTask()
		return brokenTask{inner.(countTask), func() error { return stage.Fatal(errors.New("no such thing as 42")) }}, m
	})
	require.ErrorContains(t, err, "offset 42: no such thing as 42")
	for _, r := range h.read(schemas.TopicTransactions)[0] {
		require.NotContains(t, string(r.Value), "tx-000042")
	}
	h.startCount(h.cfg) // a mended program goes on where the broken one stopped
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	h.requireExactly(row("collect"), newCountTask)
}

// TestBugTakesItsRecordOnly checks that a mistake of the program costs the record at which it shows, that it is told,
// and that everything else is as if the record had been refused. What fails once is tried again.
func TestBugTakesItsRecordOnly(t *testing.T) {
	t.Parallel()
	refused := func() error {
		return schemas.Refuse(letters.ClassBug,
			"a mistake of the program: the log of collect says which; replay it with a mended version")
	}
	for name, fails := range map[string]func() error{
		"error": func() error { return errors.New("no such thing as 42") },
		"panic": func() error { panic("no such thing as 42") },
	} {
		for _, times := range []int32{1, 1 << 30} {
			t.Run(fmt.Sprintf("%s %d", name, times), func(t *testing.T) {
				t.Parallel()
				heard := newTroubled()
				h := newHarness(t, 2, func(c *stage.Config) { c.MaxRecords, c.Observer = 10, heard })
				input := countInput(160, 2)
				h.produce(input...)
				var failed atomic.Int32
				broken := func(fails func() error) stage.Open {
					return func() (stage.Task, stage.Memory) {
						inner, m := newCountTask()
						return brokenTask{inner.(countTask), fails}, m
					}
				}
				h.start(func(ctx context.Context, ready func()) error {
					return stage.Run(ctx, h.cfg, row("collect"), broken(func() error {
						if failed.Add(1) <= times {
							return fails()
						}
						return nil
					}), ready)
				})
				h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
				trouble := heard.of(stage.TroubleBug, fmt.Sprintf("%s-%d", schemas.TopicTimeline, input[42].Partition))
				if times == 1 {
					require.Empty(t, trouble)
					h.requireExactly(row("collect"), newCountTask)
					return
				}
				h.requireExactly(row("collect"), broken(refused))
				require.Contains(t, trouble, "kasi dlq list --class ENGINE_ERROR")
			})
		}
	}
}

// TestBugTakesItsKeyOnly checks that a mistake at one key of a record that concerns many costs that key alone; where it
// shows at too many, or outside of a key, the stage stops.
func TestBugTakesItsKeyOnly(t *testing.T) {
	t.Parallel()
	keys := make([]string, 300)
	for i := range keys {
		keys[i] = fmt.Sprintf("%03d", i)
	}
	open := func(fails func(key string) bool, outside func()) stage.Open {
		return func() (stage.Task, stage.Memory) {
			inner, m := newCountTask()
			return taskFunc(func(b *stage.Batch, rec *kgo.Record) error {
				return stage.ForAll(func() error {
					outside()
					return b.Each(keys, func(key string) error {
						return b.Guard(rec, key, func() error {
							one := &kgo.Record{Key: []byte(key), Value: []byte("tx-" + key), Timestamp: rec.Timestamp}
							if err := inner.Take(b, one); err != nil || !fails(key) {
								return err
							}
							panic("no such customer")
						})
					})
				})
			}), m
		}
	}
	all := kgo.Record{Topic: schemas.TopicTimeline, Key: []byte("all"), Value: []byte("all")}
	t.Run("two keys", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t, 1)
		h.produce(new(all))
		h.startTask(h.cfg, open(func(key string) bool { return key == "007" || key == "008" }, func() {}))
		h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
		require.Len(t, h.read(schemas.TopicTransactions)[0], len(keys)-2)
		dead := h.read(schemas.TopicDeadLetters)[0]
		require.Len(t, dead, 2)
		require.Equal(t, "007", string(dead[0].Key))
		require.Equal(t, "all", string(dead[0].Value))
		require.Equal(t, letters.ClassBug, progress.Header(dead[0], letters.HeaderErrorClass))
	})
	for says, with := range map[string]stage.Open{
		"the program failed on more than 100 records": open(func(string) bool { return true }, func() {}),
		"no such tick": open(func(string) bool { return false }, func() { panic("no such tick") }),
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			h := harnessOn(t, kafkatest.Fake(t), 1) // two hundred aborts take Apache Kafka more than a minute
			h.produce(new(all))
			require.ErrorContains(t, h.runUntilEnd(with), says)
		})
	}
}

// feedOrFail passes everything on and keeps no state. It fails on one record, once.
type feedOrFail struct{ fails *atomic.Bool }

func (p feedOrFail) Take(out *stage.Batch, rec *kgo.Record) error {
	if string(rec.Value) == "1500" && p.fails.CompareAndSwap(true, false) {
		return stage.Fatal(errors.New("no such thing as 1500"))
	}
	out.Route(schemas.TopicTimeline, schemas.KindTransaction, 0, "k", rec.Value, rec.Timestamp)
	return nil
}

// TestBugTakesBackWhatWasSent checks that a stage without state, whose batch was sent in part when a bug stopped it,
// leaves nothing of the batch.
func TestBugTakesBackWhatWasSent(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 1)
	var input []*kgo.Record
	var want []string
	for i := range 2000 {
		want = append(want, strconv.Itoa(i))
		input = append(input, &kgo.Record{Topic: schemas.TopicFeedTransactions, Value: []byte(want[i])})
	}
	h.produce(input...)
	var fails atomic.Bool
	fails.Store(true)
	open := func() (stage.Task, stage.Memory) { return feedOrFail{&fails}, nil }
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.ErrorContains(t, stage.Run(ctx, h.cfg, row("intake"), open, nil), "no such thing as 1500")
	h.start(func(ctx context.Context, ready func()) error {
		return stage.Run(ctx, h.cfg, row("intake"), open, ready)
	})
	h.caughtUp(schemas.GroupIntake, schemas.TopicFeedTransactions)
	var got []string
	for _, r := range h.read(schemas.TopicTimeline)[0] {
		got = append(got, string(r.Value))
	}
	require.Equal(t, want, got)
}
