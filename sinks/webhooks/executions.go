package webhooks

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// executions knows how far executions are on all partitions, while a process is told of some only. It reads their topic
// by itself, from the first time on that somebody asks.
type executions struct {
	cfg  Config
	cl   *kgo.Client
	next map[int32]int64
	open map[string]map[int]schemas.ExecutionEvent // of an execution, the partitions that are done
	told map[string]bool                           // cleared where what was told is taken back
}

func (x *executions) close() {
	if x.cl != nil {
		x.cl.Close()
	}
}

// complete is an execution with the counts of all its partitions, once all of them are done; nil before, and when it
// was told already. Each partition that is done asks, and the last one finds the others. Where two processes ask at
// once, both may tell of it: then it is delivered twice, under one id.
func (x *executions) complete(ctx context.Context, ev *schemas.ExecutionEvent) (*schemas.ExecutionEvent, error) {
	if ev.Parts > 1 {
		if err := x.catchUp(ctx); err != nil {
			return nil, fmt.Errorf("executions: %w", err)
		}
	}
	parts := x.open[ev.ExecutionID]
	if parts == nil {
		parts = map[int]schemas.ExecutionEvent{}
	}
	parts[ev.Part] = *ev
	if len(parts) < ev.Parts || x.told[ev.ExecutionID] {
		return nil, nil
	}
	if x.told == nil {
		x.told = map[string]bool{}
	}
	x.told[ev.ExecutionID] = true
	whole := *ev
	whole.EventID = schemas.FactID("execution", ev.TenantID, ev.ExecutionID)
	whole.ExecutionCounts = schemas.ExecutionCounts{}
	for _, part := range parts {
		whole.Add(part.ExecutionCounts)
	}
	return &whole, nil
}

// catchUp reads what is committed by now.
func (x *executions) catchUp(ctx context.Context) (err error) {
	if x.cl == nil {
		x.next, x.open = map[int32]int64{}, map[string]map[int]schemas.ExecutionEvent{}
		if x.cl, err = kgo.NewClient(x.cfg.client(kgo.ConsumeTopics(schemas.TopicExecutions))...); err != nil {
			return err
		}
	}
	ends, err := kadm.NewClient(x.cl).ListCommittedOffsets(ctx, schemas.TopicExecutions)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return err
	}
	for {
		behind := false
		ends.Each(func(o kadm.ListedOffset) { behind = behind || x.next[o.Partition] < o.Offset })
		if !behind {
			return nil
		}
		fetches := x.cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, r := range fetches.Records() {
			x.next[r.Partition] = r.Offset + 1
			var ev schemas.ExecutionEvent
			if r.Attrs.IsControl() || json.Unmarshal(r.Value, &ev) != nil || !ev.Done || ev.Parts < 2 {
				continue
			}
			if x.open[ev.ExecutionID] == nil {
				x.open[ev.ExecutionID] = map[int]schemas.ExecutionEvent{}
			}
			x.open[ev.ExecutionID][ev.Part] = ev
		}
	}
}
