package calendar

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentio/encoding/json"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/retry"
)

// executions is what kasi.executions.v1 says: how far each partition was read, and which executions are under way.
type executions struct {
	read map[progress.Place]int64
	open map[underWay]schemas.ExecutionEvent
}

// underWay is an execution on one partition.
type underWay struct {
	partition int32
	id        string
}

// executed waits until no execution is under way, so that one that was asked for before the day is carried out before
// it, and the month is the same every time. An execution is on the timeline before its call is answered. So once
// collect has passed the timeline, each is known to have begun; and those that have begun say when they are done.
func (c *Clock) executed(ctx context.Context, stall time.Duration) error {
	if stall <= 0 {
		stall = progress.DefaultStall
	}
	moved := time.Now()
	for pauses := retry.Growing(time.Millisecond, 25*time.Millisecond); ; {
		if err := c.progress.CatchUp(ctx, stall, streams.GroupsOf("collect")...); err != nil {
			return err
		}
		whole, news, err := c.readExecutions(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("executions: %w", err)
		case whole && len(c.executions.open) == 0:
			return nil
		case news:
			moved = time.Now()
			pauses.Reset()
		case time.Since(moved) > stall:
			return c.executions.stalled(stall)
		}
		if err := retry.Pause(ctx, pauses.NextBackOff()); err != nil {
			return fmt.Errorf("waiting for executions: %w", err)
		}
	}
}

// readExecutions reads what has come since the last time. whole tells that nothing written by now is undecided.
func (c *Clock) readExecutions(ctx context.Context) (whole, news bool, err error) {
	ends, err := c.progress.Ends(ctx, false, schemas.TopicExecutions)
	if err != nil {
		return false, false, err
	}
	whole = true
	for at, end := range ends {
		next, err := c.progress.Scan(ctx, at, c.executions.read[at], end, 1<<20, func(r *kgo.Record) error {
			c.executions.take(r)
			return nil
		})
		if err != nil {
			return false, false, err
		}
		news = news || next > c.executions.read[at]
		whole = whole && next >= end
		c.executions.read[at] = next
	}
	return whole, news, nil
}

// take notes one event. A record that is none of ours says nothing.
func (e *executions) take(r *kgo.Record) {
	var ev schemas.ExecutionEvent
	if r.Attrs.IsControl() || json.Unmarshal(r.Value, &ev) != nil || ev.ExecutionID == "" {
		return
	}
	at := underWay{r.Partition, ev.ExecutionID}
	if ev.Done {
		delete(e.open, at)
	} else {
		e.open[at] = ev
	}
}

func (e *executions) stalled(stall time.Duration) error {
	for at, ev := range e.open {
		return fmt.Errorf("execution %s of tenant %s is under way on partition %d (%d collections made there), and nothing "+
			"moved for %v: is `kasi run collect` running?", ev.ExecutionID, ev.TenantID, at.partition, ev.CollectionsCreated,
			stall)
	}
	return fmt.Errorf("a transaction on %s has been open for %v: is `kasi run collect` running?", schemas.TopicExecutions,
		stall)
}
