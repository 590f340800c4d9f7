package streams_test

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams"
	"github.com/kasi-collections/kasi/streams/internal/rig"
	"github.com/kasi-collections/kasi/streams/kafkatest"
	"github.com/kasi-collections/kasi/streams/progress"
)

// lost is a transaction of a producer of ours that is decided, and of which a partition has records and no marker.
type lost struct {
	*rig.Rig
	cl       *kgo.Client
	producer *kgo.Client
	id       int64
	epoch    int16
	at       progress.Place
	gone     int16 // transactions since, where the broker is told what it has decided
}

// lose begins a transaction with one record on each of the places, ends it, and then writes the batch of one more place
// as if it had come before: its marker is what a broker has lost. Such a late batch is refused by a Kafka that verifies
// transactions, so the test switches that off.
//
// The embedded Kafka writes all markers of a transaction at once. There it stays open, markers are written by hand, and
// the coordinator is made to say that it is decided.
func lose(t *testing.T, how kgo.TransactionEndTry, seen []progress.Place, at progress.Place,
	headers ...kgo.RecordHeader,
) *lost {
	t.Helper()
	l := &lost{Rig: rig.New(t), at: at}
	var err error
	l.producer, err = kgo.NewClient(l.Cfg.Client(kgo.TransactionalID("kasi-test-"+t.Name()),
		kgo.TransactionTimeout(10*time.Minute), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	require.NoError(t, err)
	t.Cleanup(l.producer.Close)
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.Produce), 11) // later ones ask the coordinator whatever the configuration says
	l.cl, err = kgo.NewClient(append(l.Cfg.Client(), kgo.MaxVersions(versions))...)
	require.NoError(t, err)
	t.Cleanup(l.cl.Close)
	if l.Cluster != nil {
		l.pretend(how, seen, headers)
		return l
	}
	l.verify(false)
	t.Cleanup(func() { l.verify(true) })
	l.transact(how, seen...)
	l.late(headers)
	return l
}

// pretend is lose on the embedded Kafka.
func (l *lost) pretend(how kgo.TransactionEndTry, seen []progress.Place, headers []kgo.RecordHeader) {
	require.NoError(l, l.producer.BeginTransaction())
	for _, at := range seen {
		rec := &kgo.Record{Topic: at.Topic, Partition: at.Partition, Value: []byte("seen")}
		require.NoError(l, l.producer.ProduceSync(l.Context(), rec).FirstErr())
	}
	rec := &kgo.Record{Topic: l.at.Topic, Partition: l.at.Partition, Value: []byte("late"), Headers: headers}
	require.NoError(l, l.producer.ProduceSync(l.Context(), rec).FirstErr())
	var err error
	l.id, l.epoch, err = l.producer.ProducerID(l.Context())
	require.NoError(l, err)
	for _, at := range seen {
		m := kadm.TxnMarkers{ProducerID: l.id, ProducerEpoch: l.epoch + 1, Commit: how == kgo.TryCommit}
		m.Topics.Add(at.Topic, at.Partition)
		_, err := kadm.NewClient(l.cl).WriteTxnMarkers(l.Context(), m)
		require.NoError(l, err)
	}
	state := map[kgo.TransactionEndTry]string{kgo.TryCommit: "CompleteCommit", kgo.TryAbort: "CompleteAbort"}[how]
	l.Cluster.ControlKey(int16(kmsg.DescribeTransactions), func(req kmsg.Request) (kmsg.Response, error, bool) {
		l.Cluster.KeepControl()
		resp := req.ResponseKind().(*kmsg.DescribeTransactionsResponse)
		s := kmsg.NewDescribeTransactionsResponseTransactionState()
		s.TransactionalID = req.(*kmsg.DescribeTransactionsRequest).TransactionalIDs[0]
		s.State, s.ProducerID, s.ProducerEpoch = state, l.id, l.epoch+1+l.gone
		resp.TransactionStates = append(resp.TransactionStates, s)
		return resp, nil, true
	})
}

// transact writes a record to each of the places in one transaction.
func (l *lost) transact(how kgo.TransactionEndTry, seen ...progress.Place) {
	l.Helper()
	require.NoError(l, l.producer.BeginTransaction())
	for _, at := range seen {
		rec := &kgo.Record{Topic: at.Topic, Partition: at.Partition, Value: []byte("seen")}
		require.NoError(l, l.producer.ProduceSync(l.Context(), rec).FirstErr())
	}
	var err error
	l.id, l.epoch, err = l.producer.ProducerID(l.Context())
	require.NoError(l, err)
	require.NoError(l, l.producer.EndTransaction(l.Context(), how))
}

// goOn is another transaction of the producer.
func (l *lost) goOn(how kgo.TransactionEndTry, at progress.Place) {
	if l.Cluster != nil {
		l.gone++
		return
	}
	id, epoch := l.id, l.epoch
	l.transact(how, at)
	l.id, l.epoch = id, epoch
}

// verify says whether brokers ask the coordinator about the first batch of a transaction.
func (l *lost) verify(on bool) {
	value := map[bool]string{true: "true", false: "false"}[on]
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	resp, err := kadm.NewClient(l.cl).AlterBrokerConfigs(ctx, []kadm.AlterConfig{
		{Op: kadm.SetConfig, Name: "transaction.partition.verification.enable", Value: &value},
	})
	require.NoError(l, err)
	for _, r := range resp {
		require.NoError(l, r.Err)
	}
}

// late writes a batch of the transaction to the place.
func (l *lost) late(headers []kgo.RecordHeader) {
	l.Helper()
	rec := kmsg.Record{Value: []byte("late")}
	for _, h := range headers {
		rec.Headers = append(rec.Headers, kmsg.Header{Key: h.Key, Value: h.Value})
	}
	rec.Length = int32(len(rec.AppendTo(nil)) - 1) // less the length's own byte: it was 0
	now := time.Now().UnixMilli()
	batch := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, Attributes: 0x10, FirstTimestamp: now, MaxTimestamp: now, ProducerID: l.id,
		ProducerEpoch: l.epoch, NumRecords: 1, Records: rec.AppendTo(nil),
	}
	batch.Length = int32(len(batch.AppendTo(nil)) - 12)
	bytes := batch.AppendTo(nil)
	binary.BigEndian.PutUint32(bytes[17:], crc32.Checksum(bytes[21:], crc32.MakeTable(crc32.Castagnoli)))
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis, req.TransactionID = -1, 10_000, kmsg.StringPtr("kasi-test-"+l.Name())
	part := kmsg.NewProduceRequestTopicPartition()
	part.Partition, part.Records = l.at.Partition, bytes
	topic := kmsg.NewProduceRequestTopic()
	topics, err := progress.Topics(l.Context(), l.cl, l.at.Topic)
	require.NoError(l, err)
	topic.Topic, topic.TopicID = l.at.Topic, topics[l.at.Topic].TopicID
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	require.EventuallyWithT(l, func(c *assert.CollectT) { // until the leader leads, and the configuration has come
		resp, err := l.cl.Broker(int(topics[l.at.Topic].Partitions[0].Leader)).RetriableRequest(l.Context(), req)
		require.NoError(c, err)
		require.NoError(c, kerr.ErrorForCode(resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode))
	}, 20*time.Second, 50*time.Millisecond)
}

// judged is what the judge says of the one transaction that holds readers back.
func (l *lost) judged() (progress.Undecided, progress.Verdict) {
	l.Helper()
	j := streams.Judge(l.cl)
	all, err := j.Undecided(l.Context(), j.Topics...)
	require.NoError(l, err)
	require.Len(l, all, 1)
	require.Equal(l, l.at, all[0].Place)
	require.Equal(l, l.id, all[0].Producer)
	require.Equal(l, l.epoch, all[0].Epoch)
	v, err := j.Judge(l.Context(), all[0])
	require.NoError(l, err)
	return all[0], v
}

// ends ends the transaction as it was judged, after which readers go on, with its record or without.
func (l *lost) ends(as progress.Outcome, why string) {
	l.Helper()
	u, v := l.judged()
	require.Equal(l, as, v.Outcome, v.Why)
	require.Contains(l, v.Why, why)
	j := streams.Judge(l.cl)
	require.Empty(l, j.EndProved(l.Context(), u, slog.New(slog.DiscardHandler)))
	require.Eventually(l, func() bool {
		all, err := j.Undecided(l.Context(), j.Topics...)
		return err == nil && len(all) == 0
	}, 20*time.Second, 50*time.Millisecond)
	var values []string
	for _, r := range l.Records(l.at.Topic, l.at.Partition) {
		values = append(values, string(r.Value))
	}
	require.Equal(l, as == progress.Committed, strings.Contains(strings.Join(values, " "), "late"))
}

var (
	events    = progress.Place{Topic: schemas.TopicTransactions, Partition: 1}
	changelog = progress.Place{Topic: schemas.TopicStateCollect, Partition: 1}
	timeline  = progress.Place{Topic: schemas.TopicTimeline, Partition: 2}
	elsewhere = progress.Place{Topic: schemas.TopicFeedIncomes} // where nobody looks for markers of ours
)

// The coordinator knows the producer's last transaction.
func TestUndecidedIsEndedAsItsCoordinatorKnows(t *testing.T) {
	for how, as := range map[kgo.TransactionEndTry]progress.Outcome{
		kgo.TryCommit: progress.Committed, kgo.TryAbort: progress.Aborted,
	} {
		t.Run(string(as), func(t *testing.T) {
			lose(t, how, []progress.Place{changelog}, events).ends(as, "its coordinator, broker ")
		})
	}
}

// The coordinator has gone on, with the other outcome. Another partition shows the marker of this transaction.
func TestUndecidedIsEndedAsAnotherPartitionShows(t *testing.T) {
	other := map[kgo.TransactionEndTry]kgo.TransactionEndTry{kgo.TryCommit: kgo.TryAbort, kgo.TryAbort: kgo.TryCommit}
	for how, as := range map[kgo.TransactionEndTry]progress.Outcome{
		kgo.TryCommit: progress.Committed, kgo.TryAbort: progress.Aborted,
	} {
		t.Run(string(as), func(t *testing.T) {
			l := lose(t, how, []progress.Place{changelog}, events)
			l.goOn(other[how], changelog)
			l.goOn(other[how], changelog)
			l.ends(as, changelog.Topic+" partition 1 has its marker at offset ")
		})
	}
}

// Where two partitions differ, a broker has torn the transaction, and only a person can decide.
func TestTornTransactionsAreLeftAlone(t *testing.T) {
	t.Parallel()
	torn := rig.NewFake(t)
	l := &lost{Rig: torn, at: events}
	var err error
	l.producer, err = kgo.NewClient(l.Cfg.Client(kgo.TransactionalID("kasi-torn"),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	require.NoError(t, err)
	defer l.producer.Close()
	l.cl = l.producer
	l.pretend(kgo.TryCommit, []progress.Place{changelog}, nil)
	l.gone = 5
	other := progress.Place{Topic: schemas.TopicDebits, Partition: 1}
	require.NoError(t, l.producer.ProduceSync(l.Context(), &kgo.Record{
		Topic: other.Topic, Partition: other.Partition, Value: []byte("seen"),
	}).FirstErr())
	m := kadm.TxnMarkers{ProducerID: l.id, ProducerEpoch: l.epoch + 1}
	m.Topics.Add(other.Topic, other.Partition)
	_, err = kadm.NewClient(l.cl).WriteTxnMarkers(l.Context(), m)
	require.NoError(t, err)
	u, v := l.judged()
	require.Equal(t, progress.Torn, v.Outcome)
	require.Contains(t, v.Why, "kasi.debits.v1 partition 1 has its marker at offset 1: aborted")
	require.Contains(t, v.Why, "but kasi.state.collect.v1 partition 1 says committed")
	text := streams.Judge(l.cl).EndProved(l.Context(), u, slog.New(slog.DiscardHandler))
	require.Contains(t, text, "kasi kafka undecided --end --topic kasi.transactions.v1 --partition 1 --as committed")
	_, v = l.judged()
	require.Equal(t, progress.Torn, v.Outcome)
}

// Intake writes nothing but the timeline. Its group tells whether it has taken in what a record was made of.
func TestUndecidedIsEndedAsItsOriginsShow(t *testing.T) {
	fed := progress.Place{Topic: schemas.TopicFeedTransactions, Partition: 0}
	origin := kgo.RecordHeader{Key: "kasi.origin", Value: []byte(fed.Topic + " 0 0")}
	begin := func(t *testing.T, taken int64) *lost {
		l := lose(t, kgo.TryCommit, []progress.Place{elsewhere}, timeline, origin)
		l.goOn(kgo.TryAbort, progress.Place{Topic: schemas.TopicTimeline, Partition: 0})
		l.Produce(fed.Topic, fed.Partition, "{}", "", false)
		l.Produce(fed.Topic, fed.Partition, "{}", "", false)
		if taken >= 0 {
			offsets := kadm.Offsets{}
			offsets.AddOffset(fed.Topic, fed.Partition, taken, -1)
			require.NoError(t, kadm.NewClient(l.cl).CommitAllOffsets(l.Context(), schemas.GroupIntake, offsets))
		}
		return l
	}
	t.Run("taken in, and nothing else was made of it", func(t *testing.T) {
		begin(t, 1).ends(progress.Committed, "has taken in the 1 records")
	})
	t.Run("not taken in", func(t *testing.T) {
		begin(t, 0).ends(progress.Aborted, "has not taken in the 1 records")
	})
	t.Run("another transaction holds the same", func(t *testing.T) {
		l := begin(t, 1)
		cl, err := kgo.NewClient(l.Cfg.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
		require.NoError(t, err)
		defer cl.Close()
		require.NoError(t, cl.ProduceSync(l.Context(), &kgo.Record{
			Topic: timeline.Topic, Partition: timeline.Partition, Headers: []kgo.RecordHeader{origin},
		}).FirstErr())
		l.ends(progress.Aborted, "another transaction holds")
	})
	t.Run("the group is not known", func(t *testing.T) {
		_, v := begin(t, -1).judged()
		require.Equal(t, progress.Unproved, v.Outcome)
	})
}

// A marker that is lost where the groups' offsets lie keeps them back for good: a stage would never begin.
func TestUndecidedOffsetsAreEnded(t *testing.T) {
	if kafkatest.Chosen() == kafkatest.Embedded {
		t.Log("the embedded Kafka keeps the groups' offsets in no topic: KASI_TEST_KAFKA=local shows it")
		return
	}
	l := lose(t, kgo.TryCommit, []progress.Place{changelog}, events)
	_, v := l.judged()
	require.Equal(t, progress.Committed, v.Outcome)
	const group = "a group of ours"
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch = "kasi-test-"+t.Name(), group, l.id, l.epoch
	part := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	part.Offset = 7
	topic := kmsg.NewTxnOffsetCommitRequestTopic()
	topic.Topic, topic.Partitions = schemas.TopicTimeline, append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), 4) // as of produce requests: later ones ask the coordinator
	cl, err := kgo.NewClient(append(l.Cfg.Client(), kgo.MaxVersions(versions))...)
	require.NoError(t, err)
	defer cl.Close()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		resp, err := req.RequestWith(l.Context(), cl)
		require.NoError(c, err)
		require.NoError(c, kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode))
	}, 20*time.Second, 50*time.Millisecond)
	j := streams.Judge(l.cl)
	all, err := j.Undecided(l.Context(), progress.OffsetsTopic)
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, l.id, all[0].Producer)
	require.Empty(t, j.EndProved(l.Context(), all[0], slog.New(slog.DiscardHandler)))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		offsets, err := kadm.NewClient(l.cl).FetchOffsets(kadm.RequireStable(l.Context()), group)
		require.NoError(c, err)
		o, _ := offsets.Lookup(schemas.TopicTimeline, 0)
		require.NoError(c, o.Err)
		require.EqualValues(c, 7, o.At)
	}, 20*time.Second, 50*time.Millisecond)
}

// What the coordinator has open, and what others write, is left alone.
func TestRunningTransactionsAreLeftAlone(t *testing.T) {
	t.Parallel()
	r := rig.New(t)
	for _, c := range []struct {
		id, topic string
		why       string
	}{
		{"kasi-collect-1", schemas.TopicDebits, "has it open as kasi-collect-1"},
		{"a bank", schemas.TopicTransactions, "its transactional id a bank is not Kasi's"},
		{"a feed", schemas.TopicFeedTransactions, "others write " + schemas.TopicFeedTransactions},
	} {
		producer, err := kgo.NewClient(r.Cfg.Client(kgo.TransactionalID(c.id),
			kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
		require.NoError(t, err)
		defer producer.Close()
		require.NoError(t, producer.BeginTransaction())
		require.NoError(t, producer.ProduceSync(r.Context(), &kgo.Record{Topic: c.topic, Value: []byte("x")}).FirstErr())
		j := streams.Judge(producer)
		all, err := j.Undecided(r.Context(), c.topic)
		require.NoError(t, err)
		require.Len(t, all, 1)
		v, err := j.Judge(r.Context(), all[0])
		require.NoError(t, err)
		require.False(t, v.Proved())
		require.Contains(t, v.Why, c.why)
		require.NoError(t, producer.EndTransaction(r.Context(), kgo.TryAbort))
	}
}
