// Package progress looks at Kafka beside the stream: where partitions end and what lies on a stretch of them, how far
// groups have come, and waits for them. It knows no topic and no group of ours: those come from the topology.
package progress

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kasi-collections/kasi/streams/retry"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// DefaultStall is how long a wait for a stage goes on while nothing moves. It is longer than what Kafka may take at
// worst until a partition has an owner again: 15 s until a dead member is missed, 60 s until a rebalance goes on
// without one that does not join, 30 s until a dead one's transaction is given up.
const DefaultStall = 2 * time.Minute

// peekBytes is how much of a partition one look at its rest may bring. The first record already answers.
const peekBytes = 64 << 10

// Group is a consumer group: the role behind it and the topics that it reads.
type Group struct {
	ID, Role string
	Topics   []string
}

// Behind is the error of a wait for a stage that has not come far enough. It wraps the context's error where that ended
// the wait.
type Behind struct {
	// Stage is the role that is behind: intake, collect, settle or sink.
	Stage string
	// Place is one where the stage is behind; Offset is how far it has come there, End how far it had to come.
	Place
	Offset, End int64
	// More counts the other partitions where it is behind.
	More  int
	cause error
}

// Error says what was waited for, where and how far it is.
func (b *Behind) Error() string {
	more := ""
	if b.More > 0 {
		more = fmt.Sprintf(" and %d more", b.More)
	}
	return fmt.Sprintf("%s has not passed partition %d of %s (offset %d of %d)%s: is `kasi run %s` running? %v",
		b.Stage, b.Partition, b.Topic, b.Offset, b.End, more, b.Stage, b.cause)
}

// Unwrap returns why the wait ended.
func (b *Behind) Unwrap() error { return b.cause }

// CatchUp waits until the groups have taken over what lies on their topics now. Records of transactions that are still
// open count: their producer has sent them, and a stage's offsets may show before the markers of its outputs are on
// every partition. stall is how long it waits while nothing moves; 0 means DefaultStall.
func (g *Tracker) CatchUp(ctx context.Context, stall time.Duration, groups ...Group) error {
	var topics []string
	for _, of := range groups {
		topics = append(topics, of.Topics...)
	}
	ends, err := g.Ends(ctx, false, topics...)
	if err != nil {
		return err
	}
	return g.Wait(ctx, stall, ends, groups...)
}

// Wait returns when each group has taken over what lies before those ends that are on its topics, when ctx ends, or
// when nothing has moved for stall; 0 means DefaultStall. The error is a *Behind where the groups have not come far
// enough.
func (g *Tracker) Wait(ctx context.Context, stall time.Duration, ends map[Place]int64, groups ...Group) error {
	if stall <= 0 {
		stall = DefaultStall
	}
	var last []Behind
	moved := time.Now()
	// Growing pauses: a wait is noticed soon after it is over, and a long one costs the broker little.
	for pauses := retry.Growing(time.Millisecond, 25*time.Millisecond); ; {
		lags, err := g.lags(ctx, ends, groups...)
		switch {
		case err == nil && len(lags) == 0:
			return nil
		case err != nil && ctx.Err() == nil && !Retriable(err):
			return err
		case err == nil && !slices.Equal(lags, last):
			last, moved = lags, time.Now()
		}
		if err == nil && time.Since(moved) > stall {
			return behind(lags, fmt.Errorf("nothing moved for %v", stall))
		}
		if err != nil && time.Since(moved) > stall {
			return fmt.Errorf("waiting for stages: %w", err)
		}
		if retry.Pause(ctx, pauses.NextBackOff()) != nil {
			if len(last) == 0 {
				return fmt.Errorf("waiting for stages: %w", errors.Join(ctx.Err(), err))
			}
			return behind(last, ctx.Err())
		}
	}
}

func behind(lags []Behind, cause error) error {
	b := lags[0]
	b.More, b.cause = len(lags)-1, cause
	return &b
}

// lags are the places where a group has not reached an end on its topics, in the order of groups and places.
func (g *Tracker) lags(ctx context.Context, ends map[Place]int64, groups ...Group) ([]Behind, error) {
	var lags []Behind
	for _, group := range groups {
		committed, err := g.committed(ctx, group.ID)
		if err != nil {
			return nil, err
		}
		var own []Behind
		for at, end := range ends {
			b := Behind{Stage: group.Role, Place: at, Offset: committed[at], End: end}
			if b.Offset >= end || !slices.Contains(group.Topics, at.Topic) {
				continue
			}
			clean, err := g.onlyMarkers(ctx, at, b.Offset, end)
			if err != nil {
				return nil, err
			}
			if !clean {
				own = append(own, b)
			}
		}
		slices.SortFunc(own, func(a, b Behind) int { return a.Compare(b.Place) })
		lags = append(lags, own...)
	}
	return lags, nil
}

// committed are the group's offsets. A group that has never committed has none. Offsets of an open transaction do not
// show.
func (g *Tracker) committed(ctx context.Context, group string) (map[Place]int64, error) {
	offsets, err := g.Admin.FetchOffsets(ctx, group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("offsets of group %s: %w", group, err)
	}
	at := map[Place]int64{}
	for topic, parts := range offsets {
		for p, o := range parts {
			if o.Err != nil {
				return nil, fmt.Errorf("offset of group %s on %s partition %d: %w", group, topic, p, o.Err)
			}
			at[Place{Topic: topic, Partition: p}] = max(o.At, 0)
		}
	}
	return at, nil
}

// onlyMarkers tells whether no record a group could take over lies in [from, end).
func (g *Tracker) onlyMarkers(ctx context.Context, at Place, from, end int64) (bool, error) {
	g.mu.Lock()
	d, known := g.data[at]
	c := g.clean[at]
	g.mu.Unlock()
	switch {
	case known && from <= d && d < end:
		return false, nil
	case c[0] <= from && end <= c[1]:
		return true, nil
	}
	first, next, err := g.first(ctx, at, from, end)
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case err != nil:
		return false, err
	case first != nil:
		// A record at or after end does not count against the goal, and nothing else lay before it.
		g.data[at] = first.Offset
		return first.Offset >= end, nil
	case next >= end:
		g.clean[at] = [2]int64{from, next}
		return true, nil
	default:
		return false, nil // an open transaction holds the rest
	}
}

// first is the first record behind from that is no marker, as far as a look goes; nil where there is none before next.
func (g *Tracker) first(ctx context.Context, at Place, from, end int64) (first *kgo.Record, next int64, err error) {
	next, err = g.Scan(ctx, at, from, end, peekBytes, func(r *kgo.Record) error {
		if r.Attrs.IsControl() {
			return nil
		}
		first = r
		return errSeenEnough
	})
	if first != nil {
		err = nil
	}
	return first, next, err
}

// Waiting is what a group has not taken over yet on one topic.
type Waiting struct {
	Group, Topic string
	// Records counts offsets, transaction markers between records included; 0 where only markers are left.
	Records int64
	// Oldest is the timestamp that its producer gave the oldest record that waits; zero where none waits.
	Oldest time.Time
}

// Waiting is what waits for a group, one row for each topic that it reads, in their order.
func (g *Tracker) Waiting(ctx context.Context, group Group) ([]Waiting, error) {
	ends, err := g.Ends(ctx, true, group.Topics...)
	if err != nil {
		return nil, err
	}
	lags, err := g.lags(ctx, ends, group)
	if err != nil {
		return nil, err
	}
	rows := make([]Waiting, len(group.Topics))
	for i, topic := range group.Topics {
		rows[i] = Waiting{Group: group.ID, Topic: topic}
	}
	for _, l := range lags {
		row := &rows[slices.Index(group.Topics, l.Topic)]
		row.Records += l.End - l.Offset
		// Nil where the group has taken it over meanwhile and retention has cut it.
		first, _, err := g.first(ctx, l.Place, l.Offset, l.End)
		if err != nil {
			return nil, err
		}
		if first != nil && (row.Oldest.IsZero() || first.Timestamp.Before(row.Oldest)) {
			row.Oldest = first.Timestamp
		}
	}
	return rows, nil
}
