package stage_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams"
	"github.com/kasi-collections/kasi/streams/internal/rig"
	"github.com/kasi-collections/kasi/streams/letters"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/stage"
)

// What outsiders read is gzip, also where it repeats a record of the timeline; what only Kasi reads is lz4.
func TestCompressorGoesByWhoReads(t *testing.T) {
	r := rig.New(t)
	i := slices.IndexFunc(streams.Topology, func(s streams.Stage) bool { return s.Name == "collect" })
	b := stage.Batch{Row: &streams.Topology[i].Row, Count: r.Cfg.Partitions, Facts: &stage.Facts{Seq: map[string]int64{}}}
	long := bytes.Repeat([]byte("words that compress "), 20)
	from := &kgo.Record{Topic: schemas.TopicTimeline, Value: long, Headers: []kgo.RecordHeader{{
		Key:   schemas.HeaderKind,
		Value: []byte("odd"),
	}}}
	b.Reject(from, schemas.Refuse(letters.ClassUnknownKind, ""))
	b.Route(schemas.TopicTimeline, schemas.KindTransaction, 0, "key", long, time.Now())
	require.NoError(t, stage.Events(&b, schemas.TopicDeposits, "key", make([]schemas.DepositEvent, 1), time.Now()))
	require.NoError(t, stage.Events(&b, schemas.TopicTransactions, "key", make([]schemas.TransactionEvent, 1), time.Now()))
	b.Emit(schemas.TopicStateCollect, "key", long, time.Now()).Headers = stage.StateHeaders()
	cl, err := kgo.NewClient(r.Cfg.Client(kgo.WithCompressor(stage.Compressor()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	require.NoError(t, err)
	defer cl.Close()
	require.NoError(t, cl.ProduceSync(r.Context(), b.Out()...).FirstErr())

	const gzipCodec, lz4Codec = 1, 3
	k := progress.New(cl)
	for topic, codec := range map[string]uint8{
		schemas.TopicDeadLetters: gzipCodec, schemas.TopicDeposits: gzipCodec, schemas.TopicTimeline: lz4Codec,
		schemas.TopicStateCollect: lz4Codec, schemas.TopicTransactions: lz4Codec,
	} {
		i := slices.IndexFunc(b.Out(), func(out *kgo.Record) bool { return out.Topic == topic })
		at := progress.Place{Topic: topic, Partition: b.Out()[i].Partition}
		_, err := k.Scan(r.Context(), at, b.Out()[i].Offset, b.Out()[i].Offset+1, 1<<20, func(got *kgo.Record) error {
			require.Equal(t, codec, got.Attrs.CompressionType(), topic)
			require.Equal(t, b.Out()[i].Value, got.Value)
			return nil
		})
		require.NoError(t, err)
	}
}

func TestCompressorDoubtsNonsense(t *testing.T) {
	for n := range 40 {
		require.False(t, stage.OnlyOurs(bytes.Repeat([]byte{0xff}, n)))
	}
}
