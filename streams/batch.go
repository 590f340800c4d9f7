package streams

import (
	"fmt"
	"time"

	"github.com/segmentio/encoding/json" // the standard library's bytes in half its time (TestFastJSON)
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// task is what a stage does with one input partition. All its calls come from one goroutine at a time.
type task interface {
	// take handles one record of the open batch and puts what it causes into b. Its error stops the stage; a record that
	// is merely bad goes to b.reject instead.
	take(b *batch, rec *kgo.Record) error
}

// memory is the state of a task, as the stage loop sees it; *store[S] implements it.
type memory interface {
	load(key string, value []byte) error
	write(put func(key string, value []byte)) error
	writeAll(put func(key string, value []byte)) error
	merge()
	drop()
	now() *facts
	bytes() int64
	keys() int
}

// batch is what one task makes of the records of one poll: output records in the order in which they were caused. It is
// deterministic: the same records give the same bytes, timestamps included, wherever the batches were cut.
type batch struct {
	stage     *Stage
	partition int32 // of the input
	count     int32 // partitions of our partitioned topics
	facts     *facts
	out       []*kgo.Record
	slab      []kgo.Record // records not used yet
	values    arena
	key       []byte // of the latest record
}

// event appends one outgoing event; meta is inside it. It fills the sequence number.
func event[T any](b *batch, topic, key string, ev *T, meta *schemas.Meta, at time.Time) error {
	meta.Seq = b.next(topic)
	value, err := appendEvent(b.values.room(), ev)
	if err != nil {
		return bug(fmt.Errorf("an event for %s does not marshal: %w", topic, err))
	}
	b.emit(topic, key, b.values.keep(value), at)
	return nil
}

// appendEvent appends an event as json.Marshal would write it.
func appendEvent[T any](to []byte, ev *T) ([]byte, error) {
	if byHand, ok := any(ev).(interface {
		AppendJSON(to []byte) ([]byte, error)
	}); ok {
		return byHand.AppendJSON(to)
	}
	return json.Append(to, ev, json.EscapeHTML|json.SortMapKeys)
}

// slabSize is how many records one piece of memory holds: a transaction has tens of thousands, which live and die
// together.
const slabSize = 128

// emit appends one record to the partition of the input. Events of one cause share the bytes of their key.
func (b *batch) emit(topic, key string, value []byte, at time.Time) *kgo.Record {
	if string(b.key) != key {
		b.key = []byte(key)
	}
	if len(b.slab) == 0 {
		b.slab = make([]kgo.Record, slabSize)
	}
	rec := &b.slab[0]
	b.slab = b.slab[1:]
	rec.Topic, rec.Partition, rec.Key, rec.Value, rec.Timestamp = topic, b.partition, b.key, value, at
	b.out = append(b.out, rec)
	return rec
}

// events appends a slice of events of one kind.
func events[T any](b *batch, topic, key string, evs []T, meta func(*T) *schemas.Meta, at time.Time) error {
	for i := range evs {
		if err := event(b, topic, key, &evs[i], meta(&evs[i]), at); err != nil {
			return err
		}
	}
	return nil
}

// next is the next sequence number of a dense output. The topology table decides what is an output: writing anything
// else is a bug.
func (b *batch) next(topic string) int64 {
	o, ok := b.stage.output(topic)
	if !ok || !o.Dense {
		panic("streams: " + b.stage.Name + " has no dense output " + topic + " in the topology")
	}
	b.facts.Seq[topic]++
	return b.facts.Seq[topic]
}

// timeline passes a value on to the timeline partition of a routing hash. more are headers beside the kind.
func (b *batch) timeline(kind schemas.Kind, hash uint32, key string, value []byte, at time.Time,
	more ...kgo.RecordHeader,
) {
	b.out = append(b.out, &kgo.Record{
		Topic: schemas.TopicTimeline, Partition: schemas.PartitionOf(hash, b.count), Key: []byte(key), Value: value,
		Timestamp: at,
		Headers:   append([]kgo.RecordHeader{{Key: schemas.HeaderKind, Value: []byte(kind)}}, more...),
	})
}

// kindOf is the record's kasi.kind header; the last one wins, as in Kafka's own clients.
func kindOf(rec *kgo.Record) schemas.Kind {
	var k schemas.Kind
	for _, h := range rec.Headers {
		if h.Key == schemas.HeaderKind {
			k = kindNamed(h.Value)
		}
	}
	return k
}

// kindNamed spares nearly every record the copy of a text that is known.
func kindNamed(name []byte) schemas.Kind {
	if string(name) == string(schemas.KindTransaction) {
		return schemas.KindTransaction
	}
	return schemas.Kind(name)
}
