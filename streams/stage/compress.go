package stage

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/letters"
)

// Compressor compresses what only Kasi reads (timeline, changelogs, accepted transactions) with lz4, all else with
// gzip.
//
// Gzip is the one codec that every Kafka client reads without a further library (kafka-python and KafkaJS read neither
// snappy, lz4 nor zstd), but packing and unpacking it is a quarter of a stage's processor time and half of the
// broker's, which unpacks every batch to check it. A client of kgo has one codec, and a transaction has one client, so
// the choice is made here, by the first record of each batch.
func Compressor() kgo.Compressor {
	outside, err := kgo.DefaultCompressor(kgo.GzipCompression().WithLevel(gzip.BestSpeed))
	inside, also := kgo.DefaultCompressor(kgo.Lz4Compression())
	if err := cmp.Or(err, also); err != nil {
		panic(err) // both codecs are kgo's own
	}
	return &codecs{outside, inside}
}

type codecs struct{ outside, inside kgo.Compressor }

// Compress implements kgo.Compressor.
func (c *codecs) Compress(to *bytes.Buffer, batch []byte, flags ...kgo.CompressFlag) ([]byte,
	kgo.CompressionCodecType,
) {
	if onlyOurs(batch) {
		return c.inside.Compress(to, batch, flags...)
	}
	return c.outside.Compress(to, batch, flags...)
}

// onlyOurs tells whether a batch belongs to a topic that only Kasi reads: its records have the header of
// such topics, and are no dead letters, which keep the headers of the record they are about. In doubt it does not.
func onlyOurs(batch []byte) bool {
	var first kmsg.Record
	if err := first.UnsafeReadFrom(batch); err != nil {
		return false
	}
	ours := false
	for _, h := range first.Headers {
		if strings.HasPrefix(h.Key, letters.Prefix) {
			return false
		}
		ours = ours || h.Key == schemas.HeaderKind
	}
	return ours
}
