package letters

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/records"
)

// ID names a dead letter by its place on kasi.deadletters.v1; it reads partition-offset.
type ID struct {
	Partition int32
	Offset    int64
}

// ParseID reads an ID as String writes it.
func ParseID(s string) (ID, error) {
	p, o, ok := strings.Cut(s, "-")
	partition, err1 := strconv.ParseUint(p, 10, 31)
	offset, err2 := strconv.ParseUint(o, 10, 63)
	if !ok || err1 != nil || err2 != nil {
		return ID{}, fmt.Errorf("%q is not the id of a dead letter, such as 0-17; `kasi dlq list` shows them", s)
	}
	return ID{int32(partition), int64(offset)}, nil
}

// String is the id as commands take it.
func (id ID) String() string { return fmt.Sprintf("%d-%d", id.Partition, id.Offset) }

// MarshalText writes the id as String does.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// Origin is where a refused record lies.
type Origin struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	// Entry is the number of the entry, from 1, where the record holds several.
	Entry int `json:"entry,omitempty"`
}

// String is the origin in one word: topic/partition/offset, and /entry where the record holds several.
func (o Origin) String() string {
	s := fmt.Sprintf("%s/%d/%d", o.Topic, o.Partition, o.Offset)
	if o.Entry > 0 {
		s += fmt.Sprintf("/%d", o.Entry)
	}
	return s
}

// Letter is one dead letter.
type Letter struct {
	ID ID `json:"id"`
	// Time is the refused record's own timestamp.
	Time    time.Time `json:"time"`
	Origin  Origin    `json:"origin"`
	Stage   string    `json:"stage"`
	Class   string    `json:"class"`
	Message string    `json:"message"`
	// Bytes is the size of the value. Where it was too large to travel, Omitted is true and it lies at the origin only.
	Bytes   int  `json:"bytes"`
	Omitted bool `json:"omitted,omitempty"`
	// ReplayedID, ReplayedBy and ReplayedAt are set where the refused record was itself the replay of a dead letter.
	ReplayedID string `json:"replayed_id,omitempty"`
	ReplayedBy string `json:"replayed_by,omitempty"`
	ReplayedAt string `json:"replayed_at,omitempty"`

	record *kgo.Record
	broken error // why it cannot be replayed
}

// Key is the refused record's, untouched. It may hold personal data.
func (l *Letter) Key() []byte { return l.record.Key }

// Value is the refused record's, untouched. It may hold personal data.
func (l *Letter) Value() []byte { return l.record.Value }

// Headers are all headers, in order, as name and text.
func (l *Letter) Headers() (all [][2]string) {
	for _, h := range l.record.Headers {
		all = append(all, [2]string{h.Key, string(h.Value)})
	}
	return all
}

// read understands a record of the dead-letter topic. Whatever it holds, it can be listed.
func read(rec *kgo.Record) *Letter {
	h := map[string]string{}
	for _, header := range rec.Headers {
		h[header.Key] = string(header.Value)
	}
	partition, offset := natural(h[HeaderErrorPartition], 32), natural(h[HeaderErrorOffset], 64)
	l := &Letter{
		ID: ID{rec.Partition, rec.Offset}, Time: rec.Timestamp.UTC(), Bytes: len(rec.Value), record: rec,
		Origin: Origin{h[HeaderErrorTopic], int32(partition), offset, int(max(natural(h[HeaderErrorEntry], 32), 0))},
		Stage:  h[HeaderErrorConnector],
		Class:  h[HeaderErrorClass], Message: h[HeaderErrorMessage],
		ReplayedID: h[HeaderReplayedID], ReplayedBy: h[HeaderReplayedBy], ReplayedAt: h[HeaderReplayedAt],
	}
	if size, omitted := h[HeaderOmitted]; omitted {
		l.Omitted = true
		l.Bytes, _ = strconv.Atoi(size) // 0 where the header is damaged: it is only shown
	}
	if l.Origin.Topic == "" || partition < 0 || offset < 0 {
		l.broken = fmt.Errorf("dead letter %s does not say where it came from", l.ID)
	}
	return l
}

// natural reads a partition or an offset; -1 where s is neither.
func natural(s string, bits int) int64 {
	n, err := strconv.ParseInt(s, 10, bits)
	if err != nil {
		return -1
	}
	return n
}

// Filter chooses dead letters; its zero value takes all.
type Filter struct {
	Class string
	// Topic is the one the refused record came from.
	Topic string
	// Since takes records whose own timestamp is not before it.
	Since time.Time
}

func (f Filter) takes(l *Letter) bool {
	return (f.Class == "" || l.Class == f.Class) && (f.Topic == "" || l.Origin.Topic == f.Topic) &&
		!l.Time.Before(f.Since)
}

// Box is the dead-letter topic of one Kafka.
type Box struct {
	Source records.Source
	// Inputs are the topics that stages read, so the only ones a dead letter can be replayed to.
	Inputs []string
}

// Each calls do for the dead letters that the filter takes, in their order.
func (b Box) Each(ctx context.Context, f Filter, do func(*Letter) error) error {
	ends, err := b.Source.Ends(ctx, schemas.TopicDeadLetters)
	if err != nil {
		return err
	}
	return b.Source.Read(ctx, ends, func(r *kgo.Record) error {
		if l := read(r); f.takes(l) {
			return do(l)
		}
		return nil
	})
}

// Find returns the dead letters of the ids, in the order asked for. All that are not there are named in one error.
func (b Box) Find(ctx context.Context, ids ...ID) (letters []*Letter, err error) {
	ends, err := b.Source.Ends(ctx, schemas.TopicDeadLetters)
	if err != nil {
		return nil, err
	}
	found, from, to := map[ID]*Letter{}, records.Ends{}, records.Ends{}
	for _, id := range ids {
		p := records.Place{Topic: schemas.TopicDeadLetters, Partition: id.Partition}
		if id.Offset >= ends[p] {
			continue
		}
		if to[p] == 0 || id.Offset < from[p] {
			from[p], to[p] = id.Offset, ends[p]
		}
	}
	if err := b.Source.ReadFrom(ctx, from, to, func(r *kgo.Record) error {
		if id := (ID{r.Partition, r.Offset}); slices.Contains(ids, id) {
			found[id] = read(r)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	var missing []error
	for _, id := range ids {
		l := found[id]
		if l == nil {
			missing = append(missing, fmt.Errorf("there is no dead letter %s; `kasi dlq list` shows those there are", id))
		}
		letters = append(letters, l)
	}
	return letters, errors.Join(missing...)
}

// Replay writes the refused records back to their topics and partitions: key, value and headers untouched, less the
// reasons of the refusal, plus the headers that say by whom and when. Nothing is written where any of them cannot be
// replayed. A record that had been taken in after all has no effect a second time, because stages know what they have
// seen.
func (b Box) Replay(ctx context.Context, letters []*Letter, by string, at time.Time) error {
	cl, err := b.Source.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequiredAcks(kgo.AllISRAcks()))
	if err != nil {
		return err
	}
	defer cl.Close()
	topics, err := kadm.NewClient(cl).ListTopics(ctx, b.Inputs...)
	if err != nil {
		return fmt.Errorf("replay: topics: %w", err)
	}
	var out []*kgo.Record
	var wrong []error
	for _, l := range letters {
		rec, err := l.again(b.Inputs, topics, by, at)
		out, wrong = append(out, rec), append(wrong, err)
	}
	if err := errors.Join(wrong...); err != nil {
		return fmt.Errorf("nothing was replayed: %w", err)
	}
	if err := cl.ProduceSync(ctx, out...).FirstErr(); err != nil {
		return fmt.Errorf("replay: not all records may be written; run it again, what arrives twice has no effect: %w", err)
	}
	return nil
}

// again is the record to write.
func (l *Letter) again(inputs []string, topics kadm.TopicDetails, by string, at time.Time) (*kgo.Record, error) {
	switch {
	case l.broken != nil:
		return nil, l.broken
	case l.Omitted:
		return nil, fmt.Errorf("dead letter %s: its value of %d bytes was too large to be kept; it lies at %s partition "+
			"%d offset %d and would be refused again", l.ID, l.Bytes, l.Origin.Topic, l.Origin.Partition, l.Origin.Offset)
	case !slices.Contains(inputs, l.Origin.Topic):
		return nil, fmt.Errorf("dead letter %s: it came from %q, which no stage reads", l.ID, l.Origin.Topic)
	}
	if _, ok := topics[l.Origin.Topic].Partitions[l.Origin.Partition]; !ok {
		return nil, fmt.Errorf("dead letter %s: topic %s has no partition %d", l.ID, l.Origin.Topic, l.Origin.Partition)
	}
	rec := &kgo.Record{Topic: l.Origin.Topic, Partition: l.Origin.Partition, Key: l.record.Key, Value: l.record.Value}
	for _, h := range l.record.Headers {
		if !strings.HasPrefix(h.Key, Prefix) && !strings.HasPrefix(h.Key, prefixReplayed) {
			rec.Headers = append(rec.Headers, h)
		}
	}
	rec.Headers = append(rec.Headers, header(HeaderReplayedBy, by),
		header(HeaderReplayedAt, at.UTC().Format(time.RFC3339)), header(HeaderReplayedID, l.ID.String()))
	return rec, nil
}
