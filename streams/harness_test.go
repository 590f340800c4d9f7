package streams

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/kafkatest"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/topics"
)

// patience bounds every wait of a test; the machine may be busy.
const patience = 90 * time.Second

// harness is a broker that a test has for itself, with all topics.
type harness struct {
	t       testing.TB
	cluster *kfake.Cluster // nil on a real Kafka
	cfg     stage.Config
}

// newHarness is on the Kafka that the environment asks for.
func newHarness(t testing.TB, partitions int32, change ...func(*stage.Config)) *harness {
	t.Helper()
	return harnessOn(t, kafkatest.Start(t), partitions, change...)
}

// newFakeHarness is on the embedded Kafka, for tests that make it misbehave.
func newFakeHarness(t testing.TB, partitions int32, change ...func(*stage.Config)) *harness {
	t.Helper()
	return harnessOn(t, kafkatest.Fake(t), partitions, change...)
}

func harnessOn(t testing.TB, kafka *kafkatest.Kafka, partitions int32, change ...func(*stage.Config)) *harness {
	t.Helper()
	h := &harness{t: t, cluster: kafka.Fake}
	h.cfg = stage.Config{
		Brokers: kafka.Brokers, Partitions: partitions, Replication: kafka.Replication, SliceKeys: 5,
		Tenants: []string{"acme"},
		Log:     testLog(t),
	}
	h.cfg.AgreeTimeout = time.Second
	h.cfg.KgoOpts = []kgo.Opt{
		kgo.MetadataMinAge(50 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }),
	}
	for _, c := range change {
		c(&h.cfg)
	}
	n, err := topics.Ensure(h.ctx(), h.cfg)
	require.NoError(t, err)
	require.Equal(t, partitions, n)
	return h
}

// testLog shows the stage's log where KASI_TEST_LOG is set.
func testLog(t testing.TB) *slog.Logger {
	if os.Getenv("KASI_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("test", t.Name())
}

func (h *harness) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	h.t.Cleanup(cancel)
	return ctx
}

// wired is the configuration whose connections the test may tamper with.
func (h *harness) wired(w *wire) stage.Config {
	cfg := h.cfg
	cfg.KgoOpts = append(append([]kgo.Opt{}, cfg.KgoOpts...), kgo.Dialer(w.dial))
	return cfg
}

// produce writes records as they are, partition included, and waits for the broker.
func (h *harness) produce(records ...*kgo.Record) {
	h.t.Helper()
	cl, err := kgo.NewClient(h.cfg.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	require.NoError(h.t, err)
	defer cl.Close()
	require.NoError(h.t, cl.ProduceSync(h.ctx(), records...).FirstErr())
}

// stop ends a running stage and checks that it ended without an error.
type stop func()

// start runs a stage in the background and waits until it serves.
func (h *harness) start(run func(ctx context.Context, ready func()) error) stop {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done, serves := make(chan error, 1), make(chan struct{})
	var once sync.Once
	go func() { done <- run(ctx, func() { once.Do(func() { close(serves) }) }) }()
	select {
	case <-serves:
	case err := <-done:
		require.NoError(h.t, err, "the stage ended before it was ready")
	case <-time.After(patience):
		require.Fail(h.t, "the stage was never ready")
	}
	var ended sync.Once
	end := func() {
		ended.Do(func() {
			cancel()
			select {
			case err := <-done:
				require.NoError(h.t, err)
			case <-time.After(patience):
				require.Fail(h.t, "the stage did not stop")
			}
		})
	}
	h.t.Cleanup(end)
	return end
}

// startCount runs the counting stage.
func (h *harness) startCount(cfg stage.Config) stop {
	h.t.Helper()
	return h.startTask(cfg, newCountTask)
}

// startTask runs a task in place of collect's.
func (h *harness) startTask(cfg stage.Config, open stage.Open) stop {
	h.t.Helper()
	return h.start(func(ctx context.Context, ready func()) error {
		return stage.Run(ctx, cfg, row("collect"), open, ready)
	})
}

// caughtUp waits until the group has taken over all the input and no transaction is open.
func (h *harness) caughtUp(group string, topics ...string) {
	h.t.Helper()
	cl, err := kgo.NewClient(h.cfg.Client()...)
	require.NoError(h.t, err)
	defer cl.Close()
	g := progress.New(cl)
	ends, err := g.Ends(h.ctx(), false, topics...)
	require.NoError(h.t, err)
	require.NoError(h.t, g.Wait(h.ctx(), patience, ends, progress.Group{ID: group, Topics: topics}))
}

// read is everything committed on a topic, by partition. It waits until all there is has been decided: a broker answers
// a commit before the outputs' markers are written.
func (h *harness) read(topic string) [][]*kgo.Record {
	h.t.Helper()
	cl, err := kgo.NewClient(h.cfg.Client()...)
	require.NoError(h.t, err)
	defer cl.Close()
	looks := progress.New(cl)
	ends, err := looks.Ends(h.ctx(), false, topic)
	require.NoError(h.t, err)
	require.Eventually(h.t, func() bool {
		decided, err := looks.Ends(h.ctx(), true, topic)
		for at, end := range ends {
			if err != nil || decided[at] < end {
				return false
			}
		}
		return true
	}, patience, progress.RetryPause, "a transaction on %s is never decided", topic)
	out := make([][]*kgo.Record, len(ends))
	for at, end := range ends {
		next, err := looks.Scan(h.ctx(), at, 0, end, 8<<20, func(r *kgo.Record) error {
			if !r.Attrs.IsControl() {
				out[at.Partition] = append(out[at.Partition], r)
			}
			return nil
		})
		require.NoError(h.t, err)
		require.GreaterOrEqual(h.t, next, end, "%s partition %d", topic, at.Partition)
	}
	return out
}

// lines are records as text, to compare what matters and to read a difference.
func lines(records []*kgo.Record) []string {
	var out []string
	for _, r := range records {
		var headers []string
		for _, h := range r.Headers {
			headers = append(headers, h.Key+"="+string(h.Value))
		}
		out = append(out, fmt.Sprintf("%q %s %d [%s]", r.Key, r.Value, r.Timestamp.UnixMilli(), strings.Join(headers, " ")))
	}
	return out
}

// committed is a group's offset on one partition.
func (h *harness) committed(group, topic string, p int32) int64 {
	h.t.Helper()
	cl, err := kgo.NewClient(h.cfg.Client()...)
	require.NoError(h.t, err)
	defer cl.Close()
	offsets, err := kadm.NewClient(cl).FetchOffsets(h.ctx(), group)
	require.NoError(h.t, err)
	o, _ := offsets.Lookup(topic, p)
	return o.At
}

// row is a stage of the topology.
func row(name string) stage.Row {
	i := slices.IndexFunc(Topology, func(s Stage) bool { return s.Name == name })
	return Topology[i].Row
}

// countTask is a processor simple enough to be its own oracle: it counts the records of each key and says so. A record
// may count for all keys; the harness has them worked on in slices.
type countTask struct {
	*stage.Store[counted]
}

type counted struct {
	N int `json:"n"`
}

func newCountTask() (stage.Task, stage.Memory) {
	s := stage.NewStore(stage.JSONCodec(func(c *counted) *counted { d := *c; return &d }))
	return countTask{s}, s
}

func (c countTask) Take(b *stage.Batch, rec *kgo.Record) error {
	if strings.HasPrefix(string(rec.Value), "bad") {
		return schemas.Refuse("TEST", "bad on purpose")
	}
	count := func(key string) error {
		s := c.Edit(key)
		s.N++
		ev := schemas.TransactionEvent{}
		ev.TransactionID, ev.AmountCents = string(rec.Value), schemas.Cents(s.N)
		return b.Event(schemas.TopicTransactions, key, &ev, rec.Timestamp)
	}
	if strings.HasPrefix(string(rec.Value), "all") {
		return b.Each(c.All(), count)
	}
	return count(string(rec.Key))
}

// countInput makes n records for the counting stage. Some count for every key of their partition.
func countInput(n int, partitions int32) []*kgo.Record {
	out := make([]*kgo.Record, 0, n)
	for i := range n {
		key := fmt.Sprintf("t\x1fcustomer-%d", i%37)
		value := fmt.Sprintf("tx-%06d", i)
		switch {
		case i%50 == 49:
			value = fmt.Sprintf("bad-%06d", i)
		case i%70 == 69:
			value = fmt.Sprintf("all-%06d", i)
		}
		out = append(out, &kgo.Record{
			Topic: schemas.TopicTimeline, Partition: schemas.PartitionOf(schemas.RoutingHash(key), partitions),
			Key: []byte(key), Value: []byte(value), Timestamp: time.UnixMilli(1_700_000_000_000 + int64(i)),
		})
	}
	return out
}

// want is what a stage makes of an input when nothing ever goes wrong: the task run by itself over each partition, in
// one batch.
func want(t testing.TB, st stage.Row, open stage.Open, input [][]*kgo.Record, count int32) map[progress.Place][]string {
	t.Helper()
	out := map[progress.Place][]string{}
	for p, records := range input {
		tk, m := open()
		made, err := stage.Dry(st, tk, m, int32(p), count, records...)
		require.NoError(t, err)
		for _, r := range made {
			at := progress.Place{Topic: r.Topic, Partition: r.Partition}
			out[at] = append(out[at], lines([]*kgo.Record{r})...)
		}
	}
	return out
}

// requireExactly compares every output of the stage, byte for byte and in order, with what an uninterrupted run makes.
// The changelog depends on where batches were cut, so only the state that it restores is compared; dead letters share
// one partition, so their order is free.
func (h *harness) requireExactly(st stage.Row, open stage.Open) {
	h.t.Helper()
	input := h.read(st.Inputs[0])
	expected := want(h.t, st, open, input, int32(len(input)))
	for _, o := range st.Outputs {
		if slices.Contains(st.Inputs, o.Topic) {
			continue // what a stage leaves to itself is among the input already
		}
		var wantAll, haveAll []string
		for p, records := range h.read(o.Topic) {
			have, exp := lines(records), expected[progress.Place{Topic: o.Topic, Partition: int32(p)}]
			if o.Dense {
				require.Equal(h.t, exp, have, "%s partition %d", o.Topic, p)
			}
			wantAll, haveAll = append(wantAll, exp...), append(haveAll, have...)
		}
		require.ElementsMatch(h.t, wantAll, haveAll, o.Topic)
	}
	h.requireState(st, open, input)
}

// requireState restores the changelog and compares it with the state after an uninterrupted run.
func (h *harness) requireState(st stage.Row, open stage.Open, input [][]*kgo.Record) {
	h.t.Helper()
	count := int32(len(input))
	for p, records := range input {
		if len(records) == 0 {
			continue
		}
		_, restored := open()
		require.NoError(h.t, stage.Restore(h.ctx(), h.cfg, st, map[int32]stage.Memory{int32(p): restored}))
		tk, m := open()
		_, err := stage.Dry(st, tk, m, int32(p), count, records...)
		require.NoError(h.t, err)
		m.Merge()
		require.Equal(h.t, snapshotOf(h.t, m), snapshotOf(h.t, restored), "state of partition %d", p)
	}
}

// snapshotOf is a whole state as text. The number of keys is counted apart, because a snapshot that leaves some out
// would do so on both sides of a comparison.
func snapshotOf(t testing.TB, m stage.Memory) map[string]string {
	t.Helper()
	out := map[string]string{"number of keys": strconv.Itoa(m.Keys())}
	m.Now().Topic = "" // no part of a state that no Kafka has heard of
	require.NoError(t, m.Snapshot(func(key string, value []byte) { out[key] = string(value) }))
	return out
}
