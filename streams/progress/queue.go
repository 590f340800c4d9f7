package progress

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kasi-collections/kasi/streams/peek"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/twmb/franz-go/pkg/kgo"
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
	cl     *kgo.Client
	groups []Group

	mu      sync.Mutex // guards tracker
	tracker *Tracker
}

// NewQueue opens a Queue that knows these groups; Close it.
func NewQueue(cfg stage.Config, groups ...Group) (*Queue, error) {
	cl, err := kgo.NewClient(cfg.Client(kgo.ClientID("kasi-queue"))...)
	if err != nil {
		return nil, err
	}
	return &Queue{cl: cl, groups: groups, tracker: New(peek.New(cl))}, nil
}

// Close ends its client.
func (q *Queue) Close() { q.cl.Close() }

// Of is what waits for a group, one row for each topic that it reads, in their order.
func (q *Queue) Of(ctx context.Context, group string) ([]Waiting, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.groups, func(g Group) bool { return g.ID == group })
	if i < 0 {
		return nil, fmt.Errorf("queue: group %s is none of those it was opened for", group)
	}
	topics := q.groups[i].Topics
	ends, err := q.tracker.Ends(ctx, true, topics...)
	if err != nil {
		return nil, err
	}
	lags, err := q.tracker.lags(ctx, []Goal{{q.groups[i], ends}})
	if err != nil {
		return nil, err
	}
	rows := make([]Waiting, len(topics))
	for i, topic := range topics {
		rows[i] = Waiting{Group: group, Topic: topic}
		for _, l := range lags {
			if l.at.Topic != topic {
				continue
			}
			rows[i].Records += l.end - l.offset
			// Nil where the group has taken it over meanwhile and retention has cut it.
			first, _, err := q.tracker.first(ctx, l.at, l.offset, l.end)
			if err != nil {
				return nil, err
			}
			if first != nil && (rows[i].Oldest.IsZero() || first.Timestamp.Before(rows[i].Oldest)) {
				rows[i].Oldest = first.Timestamp
			}
		}
	}
	return rows, nil
}
