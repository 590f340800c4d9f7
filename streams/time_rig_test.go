package streams

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/kafkatest"
)

// rig is a broker with all topics on which stand-ins of the stages run: what the calendar waits for is their offsets.
type rig struct {
	*testing.T
	cluster *kfake.Cluster // nil on a real Kafka
	cfg     Config
}

// newRig is on the Kafka that the environment asks for.
func newRig(t *testing.T) *rig {
	t.Helper()
	return rigOn(t, kafkatest.Start(t))
}

// newFakeRig is on the embedded Kafka, for tests that count or falsify its answers.
func newFakeRig(t *testing.T) *rig {
	t.Helper()
	return rigOn(t, kafkatest.Fake(t))
}

func rigOn(t *testing.T, kafka *kafkatest.Kafka) *rig {
	t.Helper()
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.OffsetFetch), 9) // names, not ids, so that lie can answer
	r := &rig{T: t, cluster: kafka.Fake, cfg: Config{
		Brokers: kafka.Brokers, Partitions: 4, Replication: kafka.Replication, FreshTxnID: true,
		KgoOpts: []kgo.Opt{kgo.MetadataMinAge(50 * time.Millisecond), kgo.MaxVersions(versions)},
	}}
	n, err := EnsureTopics(r.context(), r.cfg)
	require.NoError(t, err)
	require.EqualValues(t, 4, n)
	return r
}

func (r *rig) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	r.Cleanup(cancel)
	return ctx
}

// calendar is started on day start, manual, with these cut-off times.
func (r *rig) calendar(start string, times ...string) *Calendar {
	r.Helper()
	c, err := NewCalendar(r.cfg, nil)
	require.NoError(r, err)
	r.Cleanup(c.Close)
	if len(times) == 0 {
		times = []string{"15:00"}
	}
	c.times = func(civil.Date) []string { return times }
	require.NoError(r, c.startManual(r.context(), date(r, start)))
	return c
}

func date(t testing.TB, s string) civil.Date {
	t.Helper()
	d, err := civil.ParseDate(s)
	require.NoError(t, err)
	return d
}

// stage runs a stand-in: a transactional group member that writes, for each record, what copyTo makes of it. It does
// not take anything over before gate is closed. Nil copyTo writes nothing, nil gate is open.
func (r *rig) stage(group string, gate <-chan struct{}, copyTo func(*kgo.Record) *kgo.Record, topics ...string) {
	r.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	sess, err := kgo.NewGroupTransactSession(r.cfg.client(
		kgo.TransactionalID("stand-in-"+group), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0))...)
	require.NoError(r, err)
	done := make(chan struct{})
	r.Cleanup(func() { cancel(); <-done; sess.Close() })
	go func() {
		defer close(done)
		if gate != nil {
			select {
			case <-gate:
			case <-ctx.Done():
				return
			}
		}
		for ctx.Err() == nil {
			fetches := sess.PollRecords(ctx, 1000)
			if fetches.NumRecords() == 0 || sess.Begin() != nil {
				continue
			}
			fetches.EachRecord(func(in *kgo.Record) {
				if copyTo == nil {
					return
				}
				if out := copyTo(in); out != nil {
					sess.Produce(context.Background(), out, nil)
				}
			})
			_, _ = sess.End(context.Background(), kgo.TryCommit)
		}
	}()
}

// stages runs all stand-ins: intake takes everything to the timeline, collect answers each record that is not a tick
// with one on the collections.
func (r *rig) stages() {
	r.intake(nil)
	r.collect(nil)
	r.stage(schemas.GroupSettle, nil, nil, schemas.TopicSettlementCommands)
}

func (r *rig) intake(gate <-chan struct{}) {
	toTimeline := func(in *kgo.Record) *kgo.Record {
		return &kgo.Record{Topic: schemas.TopicTimeline, Partition: in.Partition, Key: in.Key, Value: in.Value}
	}
	r.stage(schemas.GroupIntake, gate, toTimeline, outsideTopics...)
	r.stage(schemas.GroupPolicies, gate, toTimeline, schemas.TopicPolicyCommands)
}

func (r *rig) collect(gate <-chan struct{}) {
	r.stage(schemas.GroupCollect, gate, func(in *kgo.Record) *kgo.Record {
		if string(in.Key) == "tick" {
			return nil
		}
		return &kgo.Record{Topic: schemas.TopicCollections, Partition: in.Partition, Key: in.Key, Value: in.Value}
	}, schemas.TopicTimeline)
}

// produce writes to one partition as an outsider would, in a transaction where txn is given, which is then ended as
// commit says.
func (r *rig) produce(topic string, partition int32, value string, txn string, commit kgo.TransactionEndTry) {
	r.Helper()
	opts := []kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner())}
	if txn != "" {
		opts = append(opts, kgo.TransactionalID(txn))
	}
	cl, err := kgo.NewClient(r.cfg.client(opts...)...)
	require.NoError(r, err)
	defer cl.Close()
	if txn != "" {
		require.NoError(r, cl.BeginTransaction())
	}
	require.NoError(r, cl.ProduceSync(r.context(), &kgo.Record{
		Topic: topic, Partition: partition,
		Value: []byte(value),
	}).FirstErr())
	if txn != "" {
		require.NoError(r, cl.EndTransaction(r.context(), commit))
	}
}

// records are the committed records of a partition.
func (r *rig) records(topic string, partition int32) []*kgo.Record {
	r.Helper()
	cl, err := kgo.NewClient(r.cfg.client()...)
	require.NoError(r, err)
	defer cl.Close()
	k := newPeeker(cl)
	ends, err := k.ends(r.context(), true, topic)
	require.NoError(r, err)
	var records []*kgo.Record
	_, err = k.scan(r.context(), place{topic, partition}, 0, ends[place{topic, partition}], 1<<20,
		func(rec *kgo.Record) error {
			if !rec.Attrs.IsControl() {
				records = append(records, rec)
			}
			return nil
		})
	require.NoError(r, err)
	return records
}

// ticks are those of a partition that a stage would act on: each once, none that is not after the last.
func (r *rig) ticks(topic string, partition int32) []schemas.Tick {
	r.Helper()
	var ticks []schemas.Tick
	for _, rec := range r.records(topic, partition) {
		if string(rec.Key) != "tick" {
			continue
		}
		var tick schemas.Tick
		require.NoError(r, json.Unmarshal(rec.Value, &tick))
		require.Equal(r, string(schemas.KindTick), header(rec, schemas.HeaderKind))
		if len(ticks) == 0 || tick.After(ticks[len(ticks)-1]) {
			ticks = append(ticks, tick)
		}
	}
	return ticks
}

// span are all ticks of the days from to to.
func span(from, to civil.Date, cutoffs int) []schemas.Tick {
	var ticks []schemas.Tick
	for d := from; !d.After(to); d = d.AddDays(1) {
		for c := range cutoffs + 1 {
			ticks = append(ticks, schemas.Tick{Date: d.String(), Cutoff: c})
		}
	}
	return ticks
}

// checkTicks tells how the partitions' ticks differ from the wanted ones.
func (r *rig) checkTicks(want []schemas.Tick) error {
	for _, topic := range []string{schemas.TopicTimeline, schemas.TopicSettlementCommands} {
		for p := range r.cfg.Partitions {
			if got := r.ticks(topic, p); !slices.Equal(got, want) {
				return fmt.Errorf("%s partition %d has the ticks %v, want %v", topic, p, got, want)
			}
		}
	}
	if got := r.ticks(schemas.TopicCalendar, 0); !slices.Equal(got, want) {
		return fmt.Errorf("the calendar has the ticks %v, want %v", got, want)
	}
	return nil
}

// asked counts the offset requests for a group from now on: whoever waits for the group makes many.
func (r *rig) asked(group string) *atomic.Int32 {
	n := new(atomic.Int32)
	r.cluster.ControlKey(int16(kmsg.OffsetFetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		r.cluster.KeepControl()
		if groupOf(req) == group {
			n.Add(1)
		}
		return nil, nil, false
	})
	return n
}

// lie makes the broker say that the group has taken everything over: what a caller that does not wait for the group
// would assume.
func (r *rig) lie(group string) {
	r.cluster.ControlKey(int16(kmsg.OffsetFetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		r.cluster.KeepControl()
		of := req.(*kmsg.OffsetFetchRequest)
		// Only the question for all offsets, which is the calendar's; the group's own members ask for their partitions.
		if groupOf(req) != group || len(of.Groups) == 0 || of.Groups[0].Topics != nil {
			return nil, nil, false
		}
		resp := of.ResponseKind().(*kmsg.OffsetFetchResponse)
		g := kmsg.NewOffsetFetchResponseGroup()
		g.Group = group
		for _, t := range schemas.Topics {
			topic := kmsg.NewOffsetFetchResponseGroupTopic()
			topic.Topic = t.Name
			for p := range r.cfg.Partitions {
				part := kmsg.NewOffsetFetchResponseGroupTopicPartition()
				part.Partition, part.Offset = p, 1<<40
				topic.Partitions = append(topic.Partitions, part)
			}
			g.Topics = append(g.Topics, topic)
		}
		resp.Groups = append(resp.Groups, g)
		return resp, nil, true
	})
}

func groupOf(req kmsg.Request) string {
	of := req.(*kmsg.OffsetFetchRequest)
	if len(of.Groups) > 0 {
		return of.Groups[0].Group
	}
	return of.Group
}

// until closes gate when n has reached many or done is closed.
func until(n *atomic.Int32, many int32, done <-chan struct{}, gate chan<- struct{}) {
	for n.Load() < many {
		select {
		case <-done:
			close(gate)
			return
		case <-time.After(time.Millisecond):
		}
	}
	close(gate)
}
