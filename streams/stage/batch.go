package stage

import (
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/letters"
)

// Task is what a stage does with one input partition. All its calls come from one goroutine at a time.
type Task interface {
	// Take handles one record of the open batch and puts what it causes into b. A *schemas.Reject makes the record a dead
	// letter, in the transaction that consumes it; one marked Fatal stops the stage; every other error, and a panic, is a
	// bug (bug.go).
	Take(b *Batch, rec *kgo.Record) error
}

// Beginner is a task that keeps something per batch outside of its memory.
type Beginner interface{ Begin() }

// Open makes the empty task of one input partition. The memory is nil where the stage keeps no state.
type Open func() (Task, Memory)

// Memory is the state of a task, as the stage loop sees it; *Store[S] implements it, and says what each call does.
type Memory interface {
	Load(key string, value []byte) error
	Whole() error
	Loaded()
	Write(whole []string, most int64, put func(key string, value []byte)) (done int, err error)
	Snapshot(put func(key string, value []byte)) error
	All() []string
	Merge()
	Drop()
	Now() *Facts
	Bytes() int64
	Keys() int
}

// Batch is what one task makes of the records of one poll: output records in the order in which they were caused. It is
// deterministic: the same records give the same bytes, timestamps included, wherever the batches were cut.
type Batch struct {
	Row   *Row
	Count int32 // partitions of our partitioned topics
	Facts *Facts
	// Unfinished says that the record is to be taken again in the next transaction (Each).
	Unfinished bool

	bound     sliceBound
	weighed   int // records of out whose bytes are counted
	bytes     int // of their values
	faults    map[fault]int
	partition int32 // of the input
	out       []*kgo.Record
	slab      []kgo.Record // records not used yet
	values    arena
	key       []byte // of the latest record
}

// Outgoing is an event of the catalogue.
type Outgoing interface {
	Head() *schemas.Meta
	AppendJSON(to []byte) ([]byte, error)
}

// Event appends one outgoing event. It fills the sequence number.
func (b *Batch) Event(topic, key string, ev Outgoing, at time.Time) error {
	ev.Head().Seq = b.next(topic)
	value, err := ev.AppendJSON(b.values.room())
	if err != nil {
		return Fatal(fmt.Errorf("an event for %s does not marshal: %w", topic, err))
	}
	rec := b.Emit(topic, key, b.values.keep(value), at)
	if schemas.Inside[topic] {
		rec.Headers = eventHeaders
	}
	return nil
}

// eventHeaders are those of an event that only Kasi reads. They choose its codec (compress.go).
var eventHeaders = []kgo.RecordHeader{{Key: schemas.HeaderKind, Value: []byte(schemas.KindEvent)}}

// Events appends a list of events of one kind.
func Events[T any, P interface {
	*T
	Outgoing
}](b *Batch, topic, key string, evs []T, at time.Time) error {
	for i := range evs {
		if err := b.Event(topic, key, P(&evs[i]), at); err != nil {
			return err
		}
	}
	return nil
}

// slabSize is how many records one piece of memory holds: a transaction has tens of thousands, which live and die
// together.
const slabSize = 128

// Emit appends one record to the partition of the input. Events of one cause share the bytes of their key.
func (b *Batch) Emit(topic, key string, value []byte, at time.Time) *kgo.Record {
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

// next is the next sequence number of a dense output. The row decides what is an output: writing anything else is a
// bug.
func (b *Batch) next(topic string) int64 {
	if !slices.ContainsFunc(b.Row.Outputs, func(o Output) bool { return o.Dense && o.Topic == topic }) {
		panic("stage: " + b.Row.Name + " has no dense output " + topic + " in its row")
	}
	b.Facts.Seq[topic]++
	return b.Facts.Seq[topic]
}

// Route passes a value on to the partition of a routing hash. more are headers beside the kind.
func (b *Batch) Route(topic string, kind schemas.Kind, hash uint32, key string, value []byte, at time.Time,
	more ...kgo.RecordHeader,
) {
	b.out = append(b.out, &kgo.Record{
		Topic: topic, Partition: schemas.PartitionOf(hash, b.Count), Key: []byte(key), Value: value, Timestamp: at,
		Headers: append([]kgo.RecordHeader{{Key: schemas.HeaderKind, Value: []byte(kind)}}, more...),
	})
}

// Own writes an event of ours into the batch's memory, as a value to pass on.
func (b *Batch) Own(ev interface {
	AppendJSON(to []byte) ([]byte, error)
},
) ([]byte, error) {
	value, err := ev.AppendJSON(b.values.room())
	if err != nil {
		return nil, Fatal(fmt.Errorf("an event does not marshal: %w", err))
	}
	return b.values.keep(value), nil
}

// RejectEntry appends one entry of a record as a dead letter.
func (b *Batch) RejectEntry(rec *kgo.Record, entry int, text []byte, why *schemas.Reject) {
	b.out = append(b.out, letters.OfEntry(rec, entry, text, b.Row.Name, b.Row.DeadLetters, why))
}

// reject appends the record as a dead letter.
func (b *Batch) reject(rec *kgo.Record, why *schemas.Reject) {
	b.out = append(b.out, letters.Of(rec, b.Row.Name, b.Row.DeadLetters, why))
}

// arena is memory for the values of a batch, which live and die together: thousands of small pieces are cut from a few
// large ones.
type arena struct{ free []byte }

const (
	arenaSize = 64 << 10
	// arenaRoom is more than nearly every value needs. One that needs more moves out by itself.
	arenaRoom = 4 << 10
)

// room is where the next value may be appended.
func (a *arena) room() []byte {
	if cap(a.free) < arenaRoom {
		a.free = make([]byte, 0, arenaSize)
	}
	return a.free
}

// keep makes what was appended to room a value that nothing overwrites.
func (a *arena) keep(value []byte) []byte {
	n := len(value)
	if n <= cap(a.free) { // still in place
		a.free = a.free[n:n]
	}
	return value[:n:n]
}
