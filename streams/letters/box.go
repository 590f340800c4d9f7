package letters

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/records"
)

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
		(f.Since.IsZero() || !l.Time.Before(f.Since))
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
func (b Box) Find(ctx context.Context, ids ...ID) ([]*Letter, error) {
	ends, err := b.Source.Ends(ctx, schemas.TopicDeadLetters)
	if err != nil {
		return nil, err
	}
	found := map[ID]*Letter{}
	from, to := records.Ends{}, records.Ends{}
	for _, id := range ids {
		p := records.Place{Topic: schemas.TopicDeadLetters, Partition: id.Partition}
		if end, ok := ends[p]; !ok || id.Offset >= end {
			continue
		}
		if at, ok := from[p]; !ok || id.Offset < at {
			from[p] = id.Offset
		}
		to[p] = ends[p]
	}
	if err := b.Source.ReadFrom(ctx, from, to, func(r *kgo.Record) error {
		if id := (ID{r.Partition, r.Offset}); slices.Contains(ids, id) {
			found[id] = read(r)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	var letters []*Letter
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
			"%d offset %d and would be refused again",
			l.ID, l.Bytes, l.Origin.Topic, l.Origin.Partition, l.Origin.Offset)
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
	for _, h := range [][2]string{
		{HeaderReplayedBy, by},
		{HeaderReplayedAt, at.UTC().Format(time.RFC3339)},
		{HeaderReplayedID, l.ID.String()},
	} {
		rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: h[0], Value: []byte(h[1])})
	}
	return rec, nil
}
