package progress

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kasi-collections/kasi/streams/retry"
)

// RetryPause is the pause before a failed request is tried again.
const RetryPause = 20 * time.Millisecond

// Place is one partition of one topic.
type Place struct {
	Topic     string
	Partition int32
}

// String is the place as topic-partition.
func (p Place) String() string { return fmt.Sprintf("%s-%d", p.Topic, p.Partition) }

// Compare orders places by topic and partition.
func (p Place) Compare(q Place) int {
	return cmp.Or(cmp.Compare(p.Topic, q.Topic), cmp.Compare(p.Partition, q.Partition))
}

// Tracker looks at partitions and tells how far groups have come. It reads with plain fetch requests: a consumer would
// have to be assigned and unassigned for each look, which costs more than the look. It is safe for concurrent use.
//
// A group's committed offset stands at the record after the last one it took over; what follows may be nothing but
// transaction markers and aborted records, which no group ever takes over. So the rest is looked at, once: what lies
// behind an offset never changes.
type Tracker struct {
	Admin *kadm.Client
	cl    *kgo.Client

	mu      sync.Mutex // guards the rest
	leaders map[Place]leader
	data    map[Place]int64    // the offset of a record that is not a marker
	clean   map[Place][2]int64 // a stretch without any
}

type leader struct {
	broker int32
	id     [16]byte
}

// New makes a Tracker of a client, which stays the caller's to close.
func New(cl *kgo.Client) *Tracker {
	return &Tracker{
		Admin: kadm.NewClient(cl), cl: cl,
		leaders: map[Place]leader{}, data: map[Place]int64{}, clean: map[Place][2]int64{},
	}
}

var errSeenEnough = errors.New("seen enough")

// Scan calls each for every committed record of p from offset from on, control records included, and returns the offset
// it has come to: at least end where nothing but an open transaction is in between. Aborted records are passed over
// without a call.
func (g *Tracker) Scan(ctx context.Context, p Place, from, end int64, maxBytes int32,
	each func(*kgo.Record) error,
) (int64, error) {
	return g.scan(ctx, p, from, end, maxBytes, kgo.ReadCommitted(), each)
}

func (g *Tracker) scan(ctx context.Context, p Place, from, end int64, maxBytes int32, level kgo.IsolationLevel,
	each func(*kgo.Record) error,
) (int64, error) {
	for from < end {
		fp, next, err := g.fetch(ctx, p, from, maxBytes, level)
		if err != nil {
			return from, fmt.Errorf("reading %s partition %d at offset %d: %w", p.Topic, p.Partition, from, err)
		}
		for _, r := range fp.Records {
			if err := each(r); err != nil {
				return r.Offset, err
			}
		}
		if next <= from {
			return from, nil // the rest belongs to an open transaction
		}
		from = next
	}
	return from, nil
}

// fetch asks the partition's leader once. A read below the start of the log is moved up to it.
func (g *Tracker) fetch(ctx context.Context, p Place, from int64, maxBytes int32, level kgo.IsolationLevel,
) (kgo.FetchPartition, int64, error) {
	for try := 0; ; try++ {
		fp, next, err := g.tryFetch(ctx, p, from, maxBytes, level)
		if errors.Is(err, kerr.OffsetOutOfRange) {
			if start := g.startOf(ctx, p, fp); from < start {
				return kgo.FetchPartition{}, start, nil
			}
		}
		switch {
		case err == nil:
			return fp, next, nil
		case try >= 3 || ctx.Err() != nil:
			return fp, from, err
		}
		g.mu.Lock()
		delete(g.leaders, p) // it may have moved
		g.mu.Unlock()
		if try > 0 {
			if err := retry.Pause(ctx, RetryPause); err != nil {
				return fp, from, err
			}
		}
	}
}

// startOf is where the log of a partition begins, as a refused fetch says; Apache Kafka does not say it there. It is
// negative where nobody knows.
func (g *Tracker) startOf(ctx context.Context, p Place, fp kgo.FetchPartition) int64 {
	if fp.LogStartOffset >= 0 {
		return fp.LogStartOffset
	}
	starts, err := g.Starts(ctx, p.Topic)
	if start, ok := starts[p]; ok && err == nil {
		return start
	}
	return -1
}

func (g *Tracker) tryFetch(ctx context.Context, p Place, from int64, maxBytes int32, level kgo.IsolationLevel) (
	fp kgo.FetchPartition, next int64, err error,
) {
	l, err := g.leader(ctx, p)
	if err != nil {
		return fp, from, err
	}
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.FetchOffset, part.PartitionMaxBytes = p.Partition, from, maxBytes
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID, topic.Partitions = p.Topic, l.id, append(topic.Partitions, part)
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.Topics = maxBytes, append(req.Topics, topic)
	if level == kgo.ReadCommitted() {
		req.IsolationLevel = 1
	}
	res, err := g.cl.Broker(int(l.broker)).RetriableRequest(ctx, req)
	if err != nil {
		return fp, from, err
	}
	resp := res.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return fp, from, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return fp, from, errors.New("the broker's answer does not hold the partition asked for")
	}
	fp, next = kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		KeepControlRecords: true, IsolationLevel: level, Offset: from, Topic: p.Topic, Partition: p.Partition,
	}, &resp.Topics[0].Partitions[0], kgo.DefaultDecompressor(), nil)
	return fp, next, fp.Err
}

func (g *Tracker) leader(ctx context.Context, p Place) (leader, error) {
	g.mu.Lock()
	l, known := g.leaders[p]
	g.mu.Unlock()
	if known {
		return l, nil
	}
	topics, err := Topics(ctx, g.cl, p.Topic)
	if err != nil {
		return leader{}, err
	}
	t := topics[p.Topic]
	if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
		return leader{}, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, part := range t.Partitions {
		g.leaders[Place{p.Topic, part.Partition}] = leader{broker: part.Leader, id: t.TopicID}
	}
	l, known = g.leaders[p]
	if !known {
		return leader{}, fmt.Errorf("it has %d partitions only", len(t.Partitions))
	}
	return l, nil
}

// electionPatience is how long Ends waits for a leader that has just been elected, or for a broker that is gone to be
// replaced.
const electionPatience = 15 * time.Second

// Ends are the offsets at which the next record of each partition will be written. committed tells whether records of
// open transactions are left out. A topic that does not exist is an error. What passes by itself is asked again: a
// leader elected a moment ago refuses to say where its log ends (OFFSET_NOT_AVAILABLE), which the library takes for an
// answer.
func (g *Tracker) Ends(ctx context.Context, committed bool, topics ...string) (map[Place]int64, error) {
	if committed {
		return list(ctx, "end", g.Admin.ListCommittedOffsets, topics)
	}
	return list(ctx, "end", g.Admin.ListEndOffsets, topics)
}

// Starts are the offsets of the first record that each partition may still hold. It asks as Ends does.
func (g *Tracker) Starts(ctx context.Context, topics ...string) (map[Place]int64, error) {
	return list(ctx, "start", g.Admin.ListStartOffsets, topics)
}

type lister func(context.Context, ...string) (kadm.ListedOffsets, error)

func list(ctx context.Context, what string, ask lister, topics []string) (map[Place]int64, error) {
	var refused error // what the broker said last
	found, err := backoff.Retry(ctx, func() (map[Place]int64, error) {
		found, err := listOnce(ctx, what, ask, topics)
		// A topic that is unknown is retriable for Kafka, and an error for us.
		if broker := (*kerr.Error)(nil); errors.As(err, &broker) && broker.Retriable &&
			!errors.Is(err, kerr.UnknownTopicOrPartition) {
			refused = err
			return nil, err
		}
		return found, backoff.Permanent(err)
	}, backoff.WithBackOff(backoff.NewConstantBackOff(RetryPause)), backoff.WithMaxElapsedTime(electionPatience))
	if err != nil && refused != nil && ctx.Err() != nil { // in mid-question, too
		return nil, fmt.Errorf("%w: %w", refused, ctx.Err())
	}
	return found, err
}

func listOnce(ctx context.Context, what string, ask lister, topics []string) (map[Place]int64, error) {
	listed, err := ask(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("listing the %ss of %v: %w", what, topics, err)
	}
	found := map[Place]int64{}
	for topic, parts := range listed {
		for p, o := range parts {
			if o.Err != nil {
				return nil, fmt.Errorf("listing the %s of %s partition %d: %w", what, topic, p, o.Err)
			}
			found[Place{topic, p}] = o.Offset
		}
	}
	return found, nil
}

// Topics asks a broker what it knows of topics. The client's own functions answer from a cache that is seconds old, too
// old right after a creation or when a leader has moved.
func Topics(ctx context.Context, cl kmsg.Requestor, names ...string) (map[string]kmsg.MetadataResponseTopic, error) {
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &name
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	topics := map[string]kmsg.MetadataResponseTopic{}
	for _, t := range resp.Topics {
		if t.Topic != nil {
			topics[*t.Topic] = t
		}
	}
	return topics, nil
}

// Retriable tells errors that pass by themselves (a broker that restarts, a coordinator that moves) from those that do
// not.
func Retriable(err error) bool {
	var broker *kerr.Error
	return !errors.As(err, &broker) || broker.Retriable
}

// Header is the text of a record's first header of that name, empty where there is none.
func Header(r *kgo.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}
