package streams

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// place is one partition of one topic.
type place struct {
	topic     string
	partition int32
}

// peeker reads short stretches of partitions with plain fetch requests. A consumer would have to be assigned and
// unassigned for each look, which costs more than the look. It is safe for concurrent use.
type peeker struct {
	cl  *kgo.Client
	adm *kadm.Client

	mu      sync.Mutex
	leaders map[place]leader
}

type leader struct {
	broker int32
	id     [16]byte
}

func newPeeker(cl *kgo.Client) *peeker {
	return &peeker{cl: cl, adm: kadm.NewClient(cl), leaders: map[place]leader{}}
}

// errStop is what the callback of scan returns when it has seen enough.
var errStop = errors.New("seen enough")

// scan calls each for every committed record of p from offset from on, control records included, and returns the offset
// it has come to: at least end where nothing but an open transaction is in between. Aborted records are passed over
// without a call.
func (k *peeker) scan(ctx context.Context, p place, from, end int64, maxBytes int32,
	each func(*kgo.Record) error,
) (int64, error) {
	for from < end {
		fp, next, err := k.fetch(ctx, p, from, maxBytes)
		if err != nil {
			return from, fmt.Errorf("reading %s partition %d at offset %d: %w", p.topic, p.partition, from, err)
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
func (k *peeker) fetch(ctx context.Context, p place, from int64, maxBytes int32) (kgo.FetchPartition, int64, error) {
	for try := 0; ; try++ {
		fp, next, err := k.tryFetch(ctx, p, from, maxBytes)
		switch {
		case err == nil:
			return fp, next, nil
		case errors.Is(err, kerr.OffsetOutOfRange) && from < fp.LogStartOffset:
			return kgo.FetchPartition{}, fp.LogStartOffset, nil
		case try >= 3 || ctx.Err() != nil:
			return fp, from, err
		}
		k.mu.Lock()
		delete(k.leaders, p) // it may have moved
		k.mu.Unlock()
		if try > 0 {
			if err := sleep(ctx, retryPause); err != nil {
				return fp, from, err
			}
		}
	}
}

func (k *peeker) tryFetch(ctx context.Context, p place, from int64, maxBytes int32) (kgo.FetchPartition, int64, error) {
	l, err := k.leader(ctx, p)
	if err != nil {
		return kgo.FetchPartition{}, from, err
	}
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.IsolationLevel = maxBytes, 1
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.FetchOffset, part.PartitionMaxBytes = p.partition, from, maxBytes
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID, topic.Partitions = p.topic, l.id, append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)

	res, err := k.cl.Broker(int(l.broker)).RetriableRequest(ctx, req)
	if err != nil {
		return kgo.FetchPartition{}, from, err
	}
	resp := res.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return kgo.FetchPartition{}, from, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return kgo.FetchPartition{}, from, errors.New("the broker's answer does not hold the partition asked for")
	}
	opts := kgo.ProcessFetchPartitionOpts{
		KeepControlRecords: true, IsolationLevel: kgo.ReadCommitted(), Offset: from, Topic: p.topic, Partition: p.partition,
	}
	fp, next := kgo.ProcessFetchPartition(opts, &resp.Topics[0].Partitions[0], kgo.DefaultDecompressor(), nil)
	return fp, next, fp.Err
}

func (k *peeker) leader(ctx context.Context, p place) (leader, error) {
	k.mu.Lock()
	l, known := k.leaders[p]
	k.mu.Unlock()
	if known {
		return l, nil
	}
	topics, err := describeTopics(ctx, k.cl, p.topic)
	if err != nil {
		return leader{}, err
	}
	t := topics[p.topic]
	if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
		return leader{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, part := range t.Partitions {
		k.leaders[place{p.topic, part.Partition}] = leader{broker: part.Leader, id: t.TopicID}
	}
	l, known = k.leaders[p]
	if !known {
		return leader{}, fmt.Errorf("it has %d partitions only", len(t.Partitions))
	}
	return l, nil
}

// electionPatience is how long ends waits for a leader that has just been elected, or for a broker that is gone to be
// replaced.
const electionPatience = 15 * time.Second

// ends are the offsets at which the next record of each partition will be written. committed tells whether records of
// open transactions are left out. A topic that does not exist is an error. What passes by itself is asked again: a
// leader elected a moment ago refuses to say where its log ends (OFFSET_NOT_AVAILABLE), which the library takes for an
// answer.
func (k *peeker) ends(ctx context.Context, committed bool, topics ...string) (map[place]int64, error) {
	var refused error // what the broker said last
	for began := time.Now(); ; {
		ends, err := k.endsOnce(ctx, committed, topics)
		var broker *kerr.Error
		answered := errors.As(err, &broker)
		if err == nil || answered && (!passes(broker) || time.Since(began) > electionPatience) || !answered &&
			refused == nil {
			return ends, err
		}
		if answered {
			refused = err
		}
		if ended := sleep(ctx, retryPause); ended != nil { // in mid-question, too
			return nil, fmt.Errorf("%w: %w", refused, ended)
		}
		if !answered {
			return nil, err
		}
	}
}

// passes tells the errors of an election. A topic that is unknown is retriable for Kafka, and an error for us.
func passes(err *kerr.Error) bool {
	return err.Retriable && !errors.Is(err, kerr.UnknownTopicOrPartition)
}

func (k *peeker) endsOnce(ctx context.Context, committed bool, topics []string) (map[place]int64, error) {
	list := k.adm.ListEndOffsets
	if committed {
		list = k.adm.ListCommittedOffsets
	}
	listed, err := list(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("listing the ends of %v: %w", topics, err)
	}
	ends := map[place]int64{}
	for topic, parts := range listed {
		for p, o := range parts {
			if o.Err != nil {
				return nil, fmt.Errorf("listing the end of %s partition %d: %w", topic, p, o.Err)
			}
			ends[place{topic, p}] = o.Offset
		}
	}
	return ends, nil
}
