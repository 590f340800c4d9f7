package streams

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// Waiting is what a group has not taken over yet on one topic.
type Waiting struct {
	Group, Topic string
	// Records counts offsets, transaction markers between records included; 0 where only markers are left.
	Records int64
	// Oldest is the timestamp that its producer gave the oldest record that waits; zero where none waits.
	Oldest time.Time
}

// Queue tells operators how much waits for which stage. It is safe for concurrent use.
type Queue struct {
	cl *kgo.Client

	mu       sync.Mutex // guards progress
	progress *progress
}

// NewQueue opens a Queue; Close it.
func NewQueue(cfg Config) (*Queue, error) {
	cl, err := kgo.NewClient(cfg.client(kgo.ClientID("kasi-queue"))...)
	if err != nil {
		return nil, err
	}
	return &Queue{cl: cl, progress: newProgress(newPeeker(cl))}, nil
}

// Close ends its client.
func (q *Queue) Close() { q.cl.Close() }

// Of is what waits for a group of ours, one row for each topic that it reads, in their order.
func (q *Queue) Of(ctx context.Context, group string) ([]Waiting, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	topics := inputsOf(group)
	ends, err := q.progress.ends(ctx, true, topics...)
	if err != nil {
		return nil, err
	}
	lags, err := q.progress.lags(ctx, []goal{{group, ends}})
	if err != nil {
		return nil, err
	}
	rows := make([]Waiting, len(topics))
	for i, topic := range topics {
		rows[i] = Waiting{Group: group, Topic: topic}
		for _, l := range lags {
			if l.at.topic != topic {
				continue
			}
			rows[i].Records += l.end - l.offset
			oldest, err := q.oldest(ctx, l)
			if err != nil {
				return nil, err
			}
			if !oldest.IsZero() && (rows[i].Oldest.IsZero() || oldest.Before(rows[i].Oldest)) {
				rows[i].Oldest = oldest
			}
		}
	}
	return rows, nil
}

// oldest is the timestamp of the first record behind a lag's offset; zero where the group has taken it over meanwhile
// and retention has cut it.
func (q *Queue) oldest(ctx context.Context, l lag) (at time.Time, err error) {
	_, err = q.progress.scan(ctx, l.at, l.offset, l.end, peekBytes, func(r *kgo.Record) error {
		if r.Attrs.IsControl() {
			return nil
		}
		at = r.Timestamp
		return errStop
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return at, err
}

// inputsOf are the topics that a group of ours reads.
func inputsOf(group string) []string {
	if group == schemas.GroupSink {
		return slices.Sorted(maps.Keys(schemas.SunkTopics))
	}
	for _, s := range Topology {
		if s.Group == group {
			return s.Inputs
		}
	}
	panic("streams: no group " + group + " in the topology")
}
