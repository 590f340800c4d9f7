package streams

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// What outsiders read is gzip, also where it repeats a record of the timeline; what only Kasi reads is lz4.
func TestCompressorGoesByWhoReads(t *testing.T) {
	r := newRig(t)
	b := batch{stage: &Stage{Name: "collect", Outputs: row("collect").Outputs}, count: r.cfg.partitions(), facts: &facts{}}
	*b.facts = b.facts.clone()
	long := bytes.Repeat([]byte("words that compress "), 20)
	from := &kgo.Record{Topic: schemas.TopicTimeline, Value: long, Headers: []kgo.RecordHeader{{
		Key:   schemas.HeaderKind,
		Value: []byte("odd"),
	}}}
	b.reject(from, schemas.Refuse(ClassUnknownKind, ""))
	b.timeline(schemas.KindTransaction, 0, "key", long, time.Now())
	b.emit(schemas.TopicDeposits, "key", long, time.Now())
	b.emit(schemas.TopicStateCollect, "key", long, time.Now()).Headers = stateHeaders
	cl, err := kgo.NewClient(r.cfg.client(kgo.WithCompressor(Compressor()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	require.NoError(t, err)
	defer cl.Close()
	require.NoError(t, cl.ProduceSync(r.context(), b.out...).FirstErr())

	const gzipCodec, lz4Codec = 1, 3
	k := newPeeker(cl)
	for topic, codec := range map[string]uint8{
		schemas.TopicDeadLetters: gzipCodec, schemas.TopicDeposits: gzipCodec, schemas.TopicTimeline: lz4Codec,
		schemas.TopicStateCollect: lz4Codec,
	} {
		i := slices.IndexFunc(b.out, func(out *kgo.Record) bool { return out.Topic == topic })
		at := place{topic, b.out[i].Partition}
		_, err := k.scan(r.context(), at, b.out[i].Offset, b.out[i].Offset+1, 1<<20, func(got *kgo.Record) error {
			require.Equal(t, codec, got.Attrs.CompressionType(), topic)
			require.Equal(t, long, got.Value)
			return nil
		})
		require.NoError(t, err)
	}
}

func TestCompressorDoubtsNonsense(t *testing.T) {
	for n := range 40 {
		require.False(t, forUs(bytes.Repeat([]byte{0xff}, n)))
	}
}
