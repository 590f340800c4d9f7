// Package rig is a broker with all topics on which stand-ins of the stages run, for tests of what waits for stages.
package rig

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
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/topics"
)

// Rig is the broker: what a wait for stages waits for is the offsets of the stand-ins.
type Rig struct {
	*testing.T
	Cluster *kfake.Cluster // nil on a real Kafka
	Cfg     stage.Config
}

// New is on the Kafka that the environment asks for.
func New(t *testing.T) *Rig {
	t.Helper()
	return on(t, kafkatest.Start(t))
}

// NewFake is on the embedded Kafka, for tests that count or falsify its answers.
func NewFake(t *testing.T) *Rig {
	t.Helper()
	return on(t, kafkatest.Fake(t))
}

func on(t *testing.T, kafka *kafkatest.Kafka) *Rig {
	t.Helper()
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.OffsetFetch), 9) // names, not ids, so that lie can answer
	r := &Rig{T: t, Cluster: kafka.Fake, Cfg: stage.Config{
		Brokers: kafka.Brokers, Partitions: 4, Replication: kafka.Replication, FreshTxnID: true,
		KgoOpts: []kgo.Opt{kgo.MetadataMinAge(50 * time.Millisecond), kgo.MaxVersions(versions)},
	}}
	n, err := topics.Ensure(r.Context(), r.Cfg)
	require.NoError(t, err)
	require.EqualValues(t, 4, n)
	return r
}

// Context ends with the test, and after a minute.
func (r *Rig) Context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	r.Cleanup(cancel)
	return ctx
}

// Date reads a date.
func Date(t testing.TB, s string) civil.Date {
	t.Helper()
	d, err := civil.ParseDate(s)
	require.NoError(t, err)
	return d
}

// Stage runs a stand-in: a transactional group member that writes, for each record, what copyTo makes of it. It does
// not take anything over before gate is closed. Nil copyTo writes nothing, nil gate is open.
func (r *Rig) Stage(group string, gate <-chan struct{}, copyTo func(*kgo.Record) *kgo.Record, topics ...string) {
	r.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	sess, err := kgo.NewGroupTransactSession(r.Cfg.Client(
		kgo.TransactionalID("stand-in-"+group), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))...)
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

// Stages runs all stand-ins: intake takes everything to the timeline, collect answers each record that is not a tick
// with one on the collections.
func (r *Rig) Stages() {
	r.Intake(nil)
	r.Collect(nil)
	r.Stage(schemas.GroupSettle, nil, nil, schemas.TopicSettlementCommands)
}

// Intake is the stand-in of both halves of intake.
func (r *Rig) Intake(gate <-chan struct{}) {
	toTimeline := func(in *kgo.Record) *kgo.Record {
		return &kgo.Record{Topic: schemas.TopicTimeline, Partition: in.Partition, Key: in.Key, Value: in.Value}
	}
	r.Stage(schemas.GroupIntake, gate, toTimeline,
		schemas.TopicFeedTransactions, schemas.TopicFeedIncomes, schemas.TopicRailResults, schemas.TopicPayoutResults)
	r.Stage(schemas.GroupPolicies, gate, toTimeline, schemas.TopicPolicyCommands)
}

// Collect is the stand-in of collect.
func (r *Rig) Collect(gate <-chan struct{}) {
	r.Stage(schemas.GroupCollect, gate, func(in *kgo.Record) *kgo.Record {
		if string(in.Key) == "tick" {
			return nil
		}
		return &kgo.Record{Topic: schemas.TopicCollections, Partition: in.Partition, Key: in.Key, Value: in.Value}
	}, schemas.TopicTimeline)
}

// Produce writes to one partition as an outsider would, in a transaction where txn is given, which is then ended as
// commit says.
func (r *Rig) Produce(topic string, partition int32, value string, txn string, commit kgo.TransactionEndTry) {
	r.Helper()
	opts := []kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner())}
	if txn != "" {
		opts = append(opts, kgo.TransactionalID(txn))
	}
	cl, err := kgo.NewClient(r.Cfg.Client(opts...)...)
	require.NoError(r, err)
	defer cl.Close()
	if txn != "" {
		require.NoError(r, cl.BeginTransaction())
	}
	rec := &kgo.Record{Topic: topic, Partition: partition, Value: []byte(value)}
	require.NoError(r, cl.ProduceSync(r.Context(), rec).FirstErr())
	if txn != "" {
		require.NoError(r, cl.EndTransaction(r.Context(), commit))
	}
}

// Records are the committed records of a partition.
func (r *Rig) Records(topic string, partition int32) []*kgo.Record {
	r.Helper()
	cl, err := kgo.NewClient(r.Cfg.Client()...)
	require.NoError(r, err)
	defer cl.Close()
	k := progress.New(cl)
	ends, err := k.Ends(r.Context(), true, topic)
	require.NoError(r, err)
	var records []*kgo.Record
	at := progress.Place{Topic: topic, Partition: partition}
	_, err = k.Scan(r.Context(), at, 0, ends[at], 1<<20, func(rec *kgo.Record) error {
		if !rec.Attrs.IsControl() {
			records = append(records, rec)
		}
		return nil
	})
	require.NoError(r, err)
	return records
}

// Ticks are those of a partition that a stage would act on: each once, none that is not after the last.
func (r *Rig) Ticks(topic string, partition int32) []schemas.Tick {
	r.Helper()
	var ticks []schemas.Tick
	for _, rec := range r.Records(topic, partition) {
		if string(rec.Key) != "tick" {
			continue
		}
		var tick schemas.Tick
		require.NoError(r, json.Unmarshal(rec.Value, &tick))
		require.Equal(r, string(schemas.KindTick), progress.Header(rec, schemas.HeaderKind))
		if len(ticks) == 0 || tick.After(ticks[len(ticks)-1]) {
			ticks = append(ticks, tick)
		}
	}
	return ticks
}

// Span are all ticks of the days from to to.
func Span(from, to civil.Date, cutoffs int) []schemas.Tick {
	var ticks []schemas.Tick
	for d := from; !d.After(to); d = d.AddDays(1) {
		for c := range cutoffs + 1 {
			ticks = append(ticks, schemas.Tick{Date: d.String(), Cutoff: c})
		}
	}
	return ticks
}

// CheckTicks tells how the partitions' ticks differ from the wanted ones.
func (r *Rig) CheckTicks(want []schemas.Tick) error {
	for _, topic := range []string{schemas.TopicTimeline, schemas.TopicSettlementCommands} {
		for p := range r.Cfg.Partitions {
			if got := r.Ticks(topic, p); !slices.Equal(got, want) {
				return fmt.Errorf("%s partition %d has the ticks %v, want %v", topic, p, got, want)
			}
		}
	}
	if got := r.Ticks(schemas.TopicCalendar, 0); !slices.Equal(got, want) {
		return fmt.Errorf("the calendar has the ticks %v, want %v", got, want)
	}
	return nil
}

// Asked counts the offset requests for a group from now on: whoever waits for the group makes many.
func (r *Rig) Asked(group string) *atomic.Int32 {
	n := new(atomic.Int32)
	r.Cluster.ControlKey(int16(kmsg.OffsetFetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		r.Cluster.KeepControl()
		if groupOf(req) == group {
			n.Add(1)
		}
		return nil, nil, false
	})
	return n
}

// Lie makes the broker say that the group has taken everything over: what a caller that does not wait for the group
// would assume.
func (r *Rig) Lie(group string) {
	r.Cluster.ControlKey(int16(kmsg.OffsetFetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		r.Cluster.KeepControl()
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
			for p := range r.Cfg.Partitions {
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

// Until closes gate when n has reached many or done is closed.
func Until(n *atomic.Int32, many int32, done <-chan struct{}, gate chan<- struct{}) {
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
