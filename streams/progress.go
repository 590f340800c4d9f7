package streams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// DefaultStall is how long a wait for a stage goes on while nothing moves. It is longer than what Kafka may take at
// worst until a partition has an owner again: 15 s until a dead member is missed, 60 s until a rebalance goes on
// without one that does not join, 30 s until a dead one's transaction is given up.
const DefaultStall = 2 * time.Minute

// retryPause is the pause before a failed request is tried again.
const retryPause = 20 * time.Millisecond

// peekBytes is how much of a partition one look at its rest may bring. The first record already answers.
const peekBytes = 64 << 10

// stageOf names the stage behind each group, and the command that runs it, for errors.
var stageOf = map[string]struct{ stage, run string }{
	schemas.GroupIntake:   {"intake", "kasi run intake"},
	schemas.GroupPolicies: {"intake", "kasi run intake"},
	schemas.GroupCollect:  {"collect", "kasi run collect"},
	schemas.GroupSettle:   {"settle", "kasi run settle"},
	schemas.GroupSink:     {"sink", "kasi run sink"},
}

// Behind is the error of a wait for a stage that has not come far enough. It wraps the context's error where that ended
// the wait.
type Behind struct {
	// Stage is intake, collect, settle or sink.
	Stage string
	// Topic and Partition are one place where the stage is behind; Offset is how far it has come there, End how far it had
	// to come.
	Topic       string
	Partition   int32
	Offset, End int64
	// More counts the other partitions where it is behind.
	More int
	// Run is the command that runs the stage.
	Run   string
	cause error
}

// Error says what was waited for, where and how far it is.
func (b *Behind) Error() string {
	more := ""
	if b.More > 0 {
		more = fmt.Sprintf(" and %d more", b.More)
	}
	return fmt.Sprintf("%s has not passed partition %d of %s (offset %d of %d)%s: is `%s` running? %v",
		b.Stage, b.Partition, b.Topic, b.Offset, b.End, more, b.Run, b.cause)
}

// Unwrap returns why the wait ended.
func (b *Behind) Unwrap() error { return b.cause }

// goal is that a group has taken over everything before an offset, on some partitions.
type goal struct {
	group string
	ends  map[place]int64
}

// lag is a place where a group has not reached its goal.
type lag struct {
	group string
	at    place
	// offset is the committed one, 0 where there is none; end is the goal.
	offset, end int64
}

// progress tells how far groups have come. A group's committed offset stands at the record after the last one it took
// over; what follows may be nothing but transaction markers and aborted records, which no group ever takes over. So the
// rest is looked at, once: what lies behind an offset never changes.
type progress struct {
	*peeker
	// data holds, for a place, the offset of a record that is not a marker; clean holds a stretch without any.
	data  map[place]int64
	clean map[place][2]int64
}

func newProgress(k *peeker) *progress {
	return &progress{peeker: k, data: map[place]int64{}, clean: map[place][2]int64{}}
}

// wait returns when all goals are reached, when ctx ends, or when nothing has moved for stall.
func (g *progress) wait(ctx context.Context, stall time.Duration, goals ...goal) error {
	if stall <= 0 {
		stall = DefaultStall
	}
	var last []lag
	moved := time.Now()
	// The pause grows by a quarter each time: a wait is noticed at most a quarter late, and a long one costs the broker
	// little.
	for pause := time.Millisecond; ; pause = min(pause+pause/4, 25*time.Millisecond) {
		lags, err := g.lags(ctx, goals)
		switch {
		case err == nil && len(lags) == 0:
			return nil
		case err != nil && ctx.Err() == nil && !retriable(err):
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
		if sleep(ctx, pause) != nil {
			if len(last) == 0 {
				return fmt.Errorf("waiting for stages: %w", errors.Join(ctx.Err(), err))
			}
			return behind(last, ctx.Err())
		}
	}
}

func behind(lags []lag, cause error) error {
	l := lags[0]
	s := stageOf[l.group]
	return &Behind{
		Stage: s.stage, Run: s.run, Topic: l.at.topic, Partition: l.at.partition, Offset: l.offset, End: l.end,
		More: len(lags) - 1, cause: cause,
	}
}

// lags are the places where a goal is not reached, in the order of goals, topics and partitions.
func (g *progress) lags(ctx context.Context, goals []goal) ([]lag, error) {
	var lags []lag
	for _, goal := range goals {
		committed, err := g.committed(ctx, goal.group)
		if err != nil {
			return nil, err
		}
		var own []lag
		for at, end := range goal.ends {
			l := lag{goal.group, at, committed[at], end}
			if l.offset >= end {
				continue
			}
			clean, err := g.onlyMarkers(ctx, at, l.offset, end)
			if err != nil {
				return nil, err
			}
			if !clean {
				own = append(own, l)
			}
		}
		slices.SortFunc(own, func(a, b lag) int {
			if a.at.topic != b.at.topic {
				if a.at.topic < b.at.topic {
					return -1
				}
				return 1
			}
			return int(a.at.partition - b.at.partition)
		})
		lags = append(lags, own...)
	}
	return lags, nil
}

// committed are the group's offsets. A group that has never committed has none. Offsets of an open transaction do not
// show.
func (g *progress) committed(ctx context.Context, group string) (map[place]int64, error) {
	offsets, err := g.adm.FetchOffsets(ctx, group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("offsets of group %s: %w", group, err)
	}
	at := map[place]int64{}
	for topic, parts := range offsets {
		for p, o := range parts {
			if o.Err != nil {
				return nil, fmt.Errorf("offset of group %s on %s partition %d: %w", group, topic, p, o.Err)
			}
			at[place{topic, p}] = max(o.At, 0)
		}
	}
	return at, nil
}

// onlyMarkers tells whether no record a group could take over lies in [from, end).
func (g *progress) onlyMarkers(ctx context.Context, at place, from, end int64) (bool, error) {
	if d, known := g.data[at]; known && from <= d && d < end {
		return false, nil
	}
	if c, known := g.clean[at]; known && c[0] <= from && end <= c[1] {
		return true, nil
	}
	next, err := g.scan(ctx, at, from, end, peekBytes, func(r *kgo.Record) error {
		if r.Attrs.IsControl() {
			return nil
		}
		return errStop
	})
	switch {
	case errors.Is(err, errStop):
		// A record at or after end does not count against the goal, and nothing else lay before it.
		g.data[at] = next
		return next >= end, nil
	case err != nil:
		return false, err
	case next >= end:
		g.clean[at] = [2]int64{from, next}
		return true, nil
	default:
		return false, nil // an open transaction holds the rest
	}
}

// retriable tells errors that pass by themselves (a broker that restarts, a coordinator that moves) from those that do
// not.
func retriable(err error) bool {
	var broker *kerr.Error
	if errors.As(err, &broker) {
		return broker.Retriable
	}
	return true
}
