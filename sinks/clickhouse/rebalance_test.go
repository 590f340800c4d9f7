package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kasi-collections/kasi/schemas"
)

// Sinks come and go while records flow; partitions change hands in the middle of everything.
func TestSinksShareAndRebalance(t *testing.T) {
	w := newWorld(t, 4)
	first := w.start(w.config(), quick())
	w.write(5)
	for range 3 {
		second := w.start(w.config(), quick())
		for range 4 {
			w.write(5)
		}
		w.members(2)
		w.write(5)
		first.end()
		w.write(5)
		first = second
		w.members(1)
	}
	w.caughtUp()
	first.end()
	w.exact()
}

// members waits until the group is stable with n members.
func (w *world) members(n int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		groups, err := w.admin.DescribeGroups(ctx, schemas.GroupSink)
		require.NoError(w.t, err, "the group never had %d members", n)
		if g := groups[schemas.GroupSink]; g.State == "Stable" && len(g.Members) == n {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
}

// A sink that hangs in the middle of a flush is put out of the group. Its successor repeats the planned range and goes
// on; when the first one wakes up, ClickHouse has forgotten its tokens: it looks before it inserts. Its commit is
// refused and rewinds nothing.
func TestSinkThoughtDeadCannotRewind(t *testing.T) {
	for _, at := range []step{stepPlanned, stepInserted, stepMarked} {
		t.Run(at.String(), func(t *testing.T) {
			w := newFakeWorld(t, 2)
			w.window(1)
			hangs, wake := make(chan struct{}), make(chan struct{})
			var once atomic.Bool
			tn := quick()
			tn.session = 900 * time.Millisecond // less than the rebalance timeout, as in operation
			tn.hook = func(s step, cs []*chunk) error {
				if s == at && hasRows(cs) && once.CompareAndSwap(false, true) {
					close(hangs)
					<-wake
				}
				return nil
			}
			w.write(6)
			zombie := w.start(w.config(), tn)
			<-hangs
			w.write(4)
			successor := w.start(w.config(), quick())
			w.caughtUp() // the group waits for the zombie's rebalance timeout (1 s) and goes on without it
			var refused atomic.Int64
			w.kafka.Fake.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
				w.kafka.Fake.KeepControl()
				refused.Add(1)
				return nil, nil, false
			})
			close(wake)
			require.Eventually(t, func() bool { return refused.Load() > 0 }, 20*time.Second, time.Millisecond,
				"the zombie did not try to commit")
			w.neverRewinds()
			w.write(3)
			w.caughtUp()
			zombie.end()
			w.caughtUp()
			successor.end()
			w.exact()
		})
	}
}

// A second sink joins while the first one has sent part of its rows. For as long as the group waits, the first one
// finishes them; beyond that they are taken over, and what ClickHouse gets of the first one's late is not stored again.
func TestRebalanceInMidInsert(t *testing.T) {
	for name, late := range map[string]bool{"finished": false, "taken over": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 4)
			var second *running
			for i := range 2 {
				p, through := newProxy(t, w.opts)
				cfg := w.config()
				cfg.ClickHouse = through
				tn := quick()
				tn.session = 900 * time.Millisecond
				first := w.start(cfg, tn)
				if second != nil {
					second.end()
				}
				w.write(2)
				w.caughtUp()
				held := stall{after: 8 + 16*i, done: make(chan struct{})} // 4 KB and more: beyond any query, within the block
				p.stall.Store(&held)
				w.transaction(kgo.TryCommit, 60)
				require.Eventually(t, func() bool { return p.held.Load() > 0 }, 20*time.Second, time.Millisecond,
					"no insert was held")
				require.Eventually(t, func() bool { return w.inserting() > 0 }, 20*time.Second, time.Millisecond,
					"no insert is under way")
				w.transaction(kgo.TryCommit, 3)
				second = w.start(w.config(), tn)
				w.rebalancing()
				require.Positive(t, w.inserting(), "the insert was to be under way when the group rebalances")
				if late {
					w.caughtUp() // the group waits for the rebalance timeout (1 s) and goes on without the first sink
					require.Positive(t, w.inserting(), "the insert was to be under way until the other sink had taken over")
				}
				p.stall.Store(nil)
				close(held.done)
				w.members(2)
				w.write(2)
				w.caughtUp()
				first.end()
			}
			second.end()
			w.exact()
		})
	}
}

// rebalancing waits until the group has seen a new member and waits for the others.
func (w *world) rebalancing() {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		groups, err := w.admin.DescribeGroups(context.Background(), schemas.GroupSink)
		return err == nil && groups[schemas.GroupSink].State == "PreparingRebalance"
	}, 20*time.Second, time.Millisecond, "the group does not rebalance")
}

// ClickHouse hangs for one of two sinks for longer than the group waits: the other one takes over, and when the first
// one's connection comes back, what it had under way is neither lost nor doubled.
func TestSinkHangingInsertIsTakenOver(t *testing.T) {
	w := newWorld(t, 2)
	p, through := newProxy(t, w.opts)
	cfg := w.config()
	cfg.ClickHouse = through
	planned, tn := make(chan struct{}), quick()
	tn.insertTimeout = 3 * time.Second // beyond the rebalance timeout
	var hanging, opened atomic.Bool
	tn.hook = func(s step, cs []*chunk) error {
		switch {
		case !hanging.Load() || !hasRows(cs):
		case s == stepPlanned && !opened.Load():
			close(planned)
		case s == stepInserted && opened.CompareAndSwap(false, true):
			p.gate.Unlock() // the try has failed; what it sent may still get through, and so does the next one
		}
		return nil
	}
	w.write(6)
	hanger := w.start(cfg, tn)
	w.caughtUp()
	p.gate.Lock()
	hanging.Store(true)
	w.transaction(kgo.TryCommit, 4)
	select {
	case <-planned:
	case <-time.After(20 * time.Second):
		require.Fail(t, "no flush began")
	}
	other := w.start(w.config(), quick())
	w.caughtUp()
	require.False(t, opened.Load(), "the insert was to hang until the other sink had taken over")
	w.write(5)
	require.Eventually(t, opened.Load, 20*time.Second, time.Millisecond, "the insert did not time out")
	w.members(2)
	w.write(3)
	w.caughtUp()
	hanger.end()
	other.end()
	w.exact()
}

// neverRewinds expects the committed offsets to stay at the end while the zombie is rejoining.
func (w *world) neverRewinds() {
	w.t.Helper()
	w.members(2)
	require.Empty(w.t, w.behind())
}

// Reading everything again from offset 0, in other chunks, changes no view and stores nothing twice.
func TestSinkReplayChangesNothing(t *testing.T) {
	w := newWorld(t, 2)
	for range 3 {
		w.write(9)
	}
	tn := quick()
	tn.linger = 500 * time.Millisecond // the first pass takes all in few large chunks
	w.drain(tn)
	before := w.contents()
	tn = quick()
	tn.maxRows = 7 // the replays in many small ones
	for range 2 {
		done, err := w.admin.FetchOffsets(t.Context(), schemas.GroupSink)
		require.NoError(t, err)
		again := kadm.Offsets{}
		done.Each(func(o kadm.OffsetResponse) { again.AddOffset(o.Topic, o.Partition, 0, -1) })
		require.NoError(t, w.admin.CommitAllOffsets(t.Context(), schemas.GroupSink, again))
		w.drain(tn)
	}
	require.Equal(t, before, w.contents())
	w.exact()
	_, err := w.admin.DeleteGroup(t.Context(), schemas.GroupSink)
	require.NoError(t, err)
	w.write(3)
	cfg, stored := w.config(), &heard{troubles: map[string]string{}}
	cfg.Observer = stored
	s := w.start(cfg, tn)
	w.caughtUp()
	s.end()
	require.EqualValues(t, 3*w.places(), stored.rows.Load(), "a group that has expired goes on at the marks")
	w.exact()
}

// A backlog larger than a default fetch (50 MB), full of aborted transactions: the fetch that a limit cuts short must
// not let them through.
func TestAbortedRecordsStayOut(t *testing.T) {
	w := newWorld(t, 16)
	topics := []string{
		schemas.TopicTransactions, schemas.TopicDeposits, schemas.TopicDecisions, schemas.TopicDebits,
		schemas.TopicCollections,
	}
	for range 5 {
		w.write(150, topics...)
	}
	w.drain(quick())
	w.exact()
}

// contents is a checksum of every view.
func (w *world) contents() map[string]uint64 {
	sums := make(map[string]uint64)
	for _, view := range []string{
		"transactions", "deposits", "decisions", "debits", "policies", "collections",
		"movements", "settlements", "settlement_lines", "calendar",
	} {
		sums[view] = w.number("SELECT sum(cityHash64(toString(tuple(*)))) FROM " + view)
	}
	return sums
}

// A ClickHouse that was emptied is filled again, although Kafka's commits say that all is done.
func TestSinkFillsAnEmptiedClickHouse(t *testing.T) {
	w := newWorld(t, 2)
	w.write(8)
	w.drain(quick())
	for _, table := range schemas.SunkTopics {
		w.exec("TRUNCATE TABLE " + table)
	}
	w.exec("TRUNCATE TABLE sink_marks")
	w.write(2)
	s := w.start(w.config(), quick())
	require.Eventually(t, func() bool {
		return w.number("SELECT count() FROM debits_log FINAL") == uint64(w.rows[schemas.TopicDebits])
	}, 20*time.Second, 10*time.Millisecond)
	w.caughtUp()
	s.end()
	w.complete()
}

// A ClickHouse that was filled from another Kafka would take new rows for old ones: the sink says so and stops.
func TestSinkRefusesAnotherKafkasClickHouse(t *testing.T) {
	w := newWorld(t, 2)
	w.exec("INSERT INTO sink_marks VALUES ('kasi.debits.v1', 1, 500, 400, now64(3))")
	require.ErrorContains(t, w.start(w.config(), quick()).result(),
		"kasi.debits.v1 partition 1 up to offset 500, but Kafka's ends at 0")
}

// Records that retention removed before they were stored stop the sink: what is lost must be known.
func TestSinkSaysWhatRetentionTook(t *testing.T) {
	w := newWorld(t, 1)
	w.write(5)
	w.drain(quick())
	w.write(5)
	_, err := w.admin.DeleteRecords(context.Background(),
		kadm.OffsetsFromRecords(kgo.Record{Topic: schemas.TopicDebits, Partition: 0, Offset: 20}))
	require.NoError(t, err)
	require.ErrorContains(t, w.start(w.config(), quick()).result(),
		"kasi.debits.v1 partition 0: Kafka's retention removed offsets 12 to 20 before they were in ClickHouse")
}

// A record that is not what the table expects is set aside, however often it must be tried, and the rest is stored.
// Where nobody takes it, it stops the sink, and the error says where it lies.
func TestSinkSetsABadRecordAside(t *testing.T) {
	for name, c := range map[string]struct{ value, want string }{
		"not JSON":   {`{`, "unexpected end of JSON"},
		"wrong type": {`{"amount_cents":1.5}`, "amount_cents"},
		"no id":      {`{"seq":5}`, "column collection_id"},
		"no date": {
			`{"collection_id":"6b617369-0000-5000-8000-636f6c6c6563",` +
				`"event_id":"6b617369-0000-5000-8000-636f6c6c6563","action_date":"5 November"}`,
			`column action_date cannot be stored: "5 November" is not a date`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 2)
			w.write(2)
			plain, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
			require.NoError(t, err)
			defer plain.Close()
			var bad []int64 // its offset is the broker's word: the marker before it may come after it
			add := func() {
				r := &kgo.Record{Topic: schemas.TopicDebits, Partition: 1, Value: []byte(c.value)}
				require.NoError(t, plain.ProduceSync(context.Background(), r).FirstErr())
				bad = append(bad, r.Offset)
			}
			add()
			err = w.start(w.config(), quick()).result()
			var refused *BadRecordError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, bad[0], refused.Offset)
			require.ErrorContains(t, err, fmt.Sprintf("sinks: kasi.debits.v1 partition 1 offset %d ", bad[0]))
			require.ErrorContains(t, err, c.want)

			add()
			w.write(3)
			add()
			cfg, aside, refusals := w.config(), []int64(nil), 0
			cfg.SetAside = func(_ context.Context, r *kgo.Record, ours bool, why string) error {
				if refusals++; refusals%2 == 1 {
					return errors.New("the broker of the dead letters is away")
				}
				require.False(t, ours)
				require.Regexp(t, "^no (record|event) of kasi.debits.v1", why)
				aside = append(aside, r.Offset)
				return nil
			}
			sink := w.start(cfg, quick())
			w.caughtUp()
			sink.end()
			w.exact()
			require.Equal(t, bad, aside)
		})
	}
}

// A record that claims to be an event of ours does not set the mark to a seq that nothing reaches, nor take the place
// of the event of its seq. Our own events, copied record by record, are taken in.
func TestStrangersDoNotMoveMarks(t *testing.T) {
	w := newWorld(t, 1)
	w.write(3, schemas.TopicDebits)
	plain, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	defer plain.Close()
	add := func(seq int64) int64 {
		r := &kgo.Record{Topic: schemas.TopicDebits, Value: encode(t, sample(schemas.TopicDebits, 0, seq))}
		require.NoError(t, plain.ProduceSync(context.Background(), r).FirstErr())
		return r.Offset
	}
	strangers := []int64{add(1_000_000), add(0), add(2)}
	for range 2 { // copies
		place := topicPartition{schemas.TopicDebits, 0}
		w.seq[place]++
		w.rows[schemas.TopicDebits]++
		add(w.seq[place])
	}
	w.write(2, schemas.TopicDebits)
	cfg, aside := w.config(), []int64(nil)
	cfg.SetAside = func(_ context.Context, r *kgo.Record, ours bool, why string) error {
		require.Contains(t, why, "no event of kasi.debits.v1")
		aside = append(aside, r.Offset)
		return nil
	}
	sink := w.start(cfg, quick())
	w.caughtUp()
	strangers = append(strangers, add(77))
	w.caughtUp()
	sink.end()
	w.exact()
	require.Equal(t, strangers, aside)
}
