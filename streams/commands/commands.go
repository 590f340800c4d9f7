// Package commands writes what the API wants done, and tells when a settlement may be cut.
package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/segmentio/encoding/json"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams"
	"github.com/kasi-collections/kasi/streams/peek"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/retry"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/topics"
)

// Commands writes the API's commands. A call returns after the brokers' acknowledgement on all replicas. After an error
// some or all of the commands may have been written: sending the same again is safe, since every command is applied by
// the ids in it. It is safe for concurrent use.
type Commands struct {
	cl         *kgo.Client
	peeker     *peek.Peeker
	partitions int32
}

// New opens the commands on topics that exist (topics.Ensure).
func New(cfg stage.Config) (*Commands, error) {
	cl, n, err := topics.Open(cfg)
	if err != nil {
		return nil, fmt.Errorf("commands: %w", err)
	}
	return &Commands{cl: cl, peeker: peek.New(cl), partitions: n}, nil
}

// Close releases the client.
func (c *Commands) Close() { c.cl.Close() }

// Partitions is the partition count that all partitioned topics of ours share.
func (c *Commands) Partitions(context.Context) (int32, error) { return c.partitions, nil }

// Policies writes policy commands, in order within each policy number.
func (c *Commands) Policies(ctx context.Context, cmds []schemas.PolicyCommand) error {
	records := make([]*kgo.Record, 0, len(cmds))
	for i := range cmds {
		r, err := c.record(schemas.TopicPolicyCommands, schemas.KindPolicy, schemas.CustomerKey(cmds[i].TenantID,
			cmds[i].PolicyNumber), &cmds[i])
		if err != nil {
			return err
		}
		records = append(records, r)
	}
	return c.produce(ctx, records)
}

// Execute writes execute commands to the customers' timeline.
func (c *Commands) Execute(ctx context.Context, cmds []schemas.ExecuteCommand) error {
	records := make([]*kgo.Record, 0, len(cmds))
	for i := range cmds {
		r, err := c.record(schemas.TopicTimeline, schemas.KindExecute, schemas.CustomerKey(cmds[i].TenantID,
			cmds[i].CustomerID), &cmds[i])
		if err != nil {
			return err
		}
		records = append(records, r)
	}
	return c.produce(ctx, records)
}

// Settle writes one settlement command. Its Cut must hold a seq for each partition.
func (c *Commands) Settle(ctx context.Context, cmd schemas.SettleCommand) error {
	if len(cmd.Cut) != int(c.partitions) {
		return fmt.Errorf("the cut of a settlement has %d numbers for %d partitions", len(cmd.Cut), c.partitions)
	}
	r, err := c.record(schemas.TopicSettlementCommands, schemas.KindSettle, cmd.TenantID, &cmd)
	if err != nil {
		return err
	}
	return c.produce(ctx, []*kgo.Record{r})
}

// record makes a command's record, routed by its key as every partitioned topic of ours.
func (c *Commands) record(topic string, kind schemas.Kind, key string, cmd any) (*kgo.Record, error) {
	value, err := json.Marshal(cmd)
	if err != nil {
		return nil, fmt.Errorf("%s command: %w", kind, err)
	}
	return &kgo.Record{
		Topic: topic, Key: []byte(key), Value: value, Partition: schemas.PartitionOf(schemas.RoutingHash(key), c.partitions),
		Headers: []kgo.RecordHeader{{Key: schemas.HeaderKind, Value: []byte(kind)}},
	}, nil
}

func (c *Commands) produce(ctx context.Context, records []*kgo.Record) error {
	failed, cause := 0, error(nil)
	for _, r := range c.cl.ProduceSync(ctx, records...) {
		if r.Err != nil {
			failed, cause = failed+1, r.Err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d commands were not acknowledged by Kafka and may or may not be on it; send them again: %w",
			failed, len(records), cause)
	}
	return nil
}

// Owed is, for each partition of kasi.collections.v1, the offset that ClickHouse must have reached before a settlement
// asked for now can be cut. It first waits until intake has taken over what lies on the outside topics now and collect
// what then lies on the timeline: money the bank has reported counts. The error is a *progress.Behind where ctx ends
// before, or nothing moves for progress.DefaultStall.
func (c *Commands) Owed(ctx context.Context) ([]int64, error) {
	ends, err := c.owed(ctx, progress.New(c.peeker))
	if err != nil {
		return nil, fmt.Errorf("what is owed to a settlement: %w", err)
	}
	return ends, nil
}

func (c *Commands) owed(ctx context.Context, g *progress.Tracker) ([]int64, error) {
	for _, role := range []string{"intake", "collect"} {
		if err := g.CatchUp(ctx, 0, streams.GroupsOf(role)...); err != nil {
			return nil, err
		}
	}
	written, err := g.Ends(ctx, false, schemas.TopicCollections)
	if err != nil {
		return nil, err
	}
	return c.stable(ctx, g, written)
}

// stable waits until the transactions behind written have been decided and returns the read-committed ends of
// kasi.collections.v1. Collect's offsets may show a moment before the markers of the same transaction are on every
// partition.
func (c *Commands) stable(ctx context.Context, g *progress.Tracker, written map[peek.Place]int64) ([]int64, error) {
	var open error
	owed, err := backoff.Retry(ctx, func() (owed []int64, _ error) {
		ends, err := g.Ends(ctx, true, schemas.TopicCollections)
		if err != nil {
			return nil, backoff.Permanent(err)
		}
		owed, open = make([]int64, c.partitions), nil
		for at, end := range ends {
			if int(at.Partition) >= len(owed) {
				return nil, backoff.Permanent(fmt.Errorf("%s has %d partitions, more than the timeline's %d: was it altered?",
					at.Topic, len(ends), len(owed)))
			}
			owed[at.Partition] = end
			if end < written[at] {
				open = fmt.Errorf("a transaction is open on partition %d of %s (offset %d of %d)", at.Partition, at.Topic, end,
					written[at])
			}
		}
		return owed, open
	}, backoff.WithBackOff(retry.Growing(time.Millisecond, 25*time.Millisecond)), backoff.WithMaxElapsedTime(0))
	if err != nil {
		return nil, errors.Join(open, err)
	}
	return owed, nil
}
