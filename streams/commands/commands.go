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
	progress   *progress.Tracker
	partitions int32
}

// New opens the commands on topics that exist (topics.Ensure).
func New(cfg stage.Config) (*Commands, error) {
	cl, n, err := topics.Open(cfg)
	if err != nil {
		return nil, fmt.Errorf("commands: %w", err)
	}
	return &Commands{cl: cl, progress: progress.New(cl), partitions: n}, nil
}

// Close releases the client.
func (c *Commands) Close() { c.cl.Close() }

// Partitions is the partition count that all partitioned topics of ours share.
func (c *Commands) Partitions(context.Context) (int32, error) { return c.partitions, nil }

// Policies writes policy commands, in order within each policy number.
func (c *Commands) Policies(ctx context.Context, cmds []schemas.PolicyCommand) error {
	return write(ctx, c, schemas.TopicPolicyCommands, schemas.KindPolicy, cmds, func(cmd *schemas.PolicyCommand) string {
		return schemas.CustomerKey(cmd.TenantID, cmd.PolicyNumber)
	})
}

// Audit writes what is said of a call, for the audit. It returns at once; failed hears of a record that Kafka has not
// acknowledged.
func (c *Commands) Audit(ctx context.Context, ev schemas.AuditEvent, failed func(error)) {
	value, err := json.Marshal(&ev)
	if err != nil {
		failed(err)
		return
	}
	c.cl.Produce(context.WithoutCancel(ctx), &kgo.Record{
		Topic: schemas.TopicPolicyCommands, Key: []byte(ev.TenantID), Value: value,
		Partition: schemas.PartitionOf(schemas.RoutingHash(ev.TenantID), c.partitions),
		Headers:   []kgo.RecordHeader{{Key: schemas.HeaderKind, Value: []byte(schemas.KindAudit)}},
	}, func(_ *kgo.Record, err error) {
		if err != nil {
			failed(err)
		}
	})
}

// Import writes entries of an import, in order.
func (c *Commands) Import(ctx context.Context, entries []schemas.ImportEntry) error {
	return write(ctx, c, schemas.TopicPolicyCommands, schemas.KindImport, entries, func(e *schemas.ImportEntry) string {
		return schemas.CustomerKey(e.TenantID, e.ImportID)
	})
}

// Execute writes execute commands to the customers' timeline.
func (c *Commands) Execute(ctx context.Context, cmds []schemas.ExecuteCommand) error {
	return write(ctx, c, schemas.TopicTimeline, schemas.KindExecute, cmds, func(cmd *schemas.ExecuteCommand) string {
		return schemas.CustomerKey(cmd.TenantID, cmd.CustomerID)
	})
}

// executionPiece is how many policies collect works on in one piece of an execution.
const executionPiece = 1_000

// Execution writes an execution to every partition of the timeline: to one only where its policies are named, for those
// have commands of their own. It fills Parts and Size. Once it has returned, the execution is carried out, whatever
// becomes of the caller.
func (c *Commands) Execution(ctx context.Context, cmd schemas.ExecutionCommand) error {
	cmd.Parts, cmd.Size = int(c.partitions), executionPiece
	if cmd.Named {
		cmd.Parts = 1
	}
	value, err := json.Marshal(&cmd)
	if err != nil {
		return fmt.Errorf("execution command: %w", err)
	}
	now := time.Now() // one instant for all partitions: the execution was made then
	records := make([]*kgo.Record, cmd.Parts)
	for p := range records {
		records[p] = &kgo.Record{
			Topic: schemas.TopicTimeline, Partition: int32(p), Key: []byte(cmd.ExecutionID), Value: value, Timestamp: now,
			Headers: []kgo.RecordHeader{{Key: schemas.HeaderKind, Value: []byte(schemas.KindExecution)}},
		}
	}
	return c.produce(ctx, records)
}

// CloseItem writes the command that closes an open item to the customer's timeline.
func (c *Commands) CloseItem(ctx context.Context, cmd schemas.CloseItemCommand) error {
	return write(ctx, c, schemas.TopicTimeline, schemas.KindCloseItem, []schemas.CloseItemCommand{cmd},
		func(cmd *schemas.CloseItemCommand) string { return schemas.CustomerKey(cmd.TenantID, cmd.CustomerID) })
}

// Settle writes one settlement command. Its Cut must hold a seq for each partition.
func (c *Commands) Settle(ctx context.Context, cmd schemas.SettleCommand) error {
	if len(cmd.Cut) != int(c.partitions) {
		return fmt.Errorf("the cut of a settlement has %d numbers for %d partitions", len(cmd.Cut), c.partitions)
	}
	return write(ctx, c, schemas.TopicSettlementCommands, schemas.KindSettle, []schemas.SettleCommand{cmd},
		func(cmd *schemas.SettleCommand) string { return cmd.TenantID })
}

// Statement writes a command about a statement to the settlement commands.
func (c *Commands) Statement(ctx context.Context, cmd schemas.StatementCommand) error {
	return write(ctx, c, schemas.TopicSettlementCommands, schemas.KindStatement, []schemas.StatementCommand{cmd},
		func(cmd *schemas.StatementCommand) string { return cmd.TenantID })
}

// write writes commands, each routed by its key as every partitioned topic of ours.
func write[T any](ctx context.Context, c *Commands, topic string, kind schemas.Kind, cmds []T, key func(*T) string,
) error {
	records := make([]*kgo.Record, len(cmds))
	for i := range cmds {
		value, err := json.Marshal(&cmds[i])
		if err != nil {
			return fmt.Errorf("%s command: %w", kind, err)
		}
		key := key(&cmds[i])
		records[i] = &kgo.Record{
			Topic: topic, Key: []byte(key), Value: value, Partition: schemas.PartitionOf(schemas.RoutingHash(key), c.partitions),
			Headers: []kgo.RecordHeader{{Key: schemas.HeaderKind, Value: []byte(kind)}},
		}
	}
	return c.produce(ctx, records)
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
	ends, err := c.owed(ctx)
	if err != nil {
		return nil, fmt.Errorf("what is owed to a settlement: %w", err)
	}
	return ends, nil
}

func (c *Commands) owed(ctx context.Context) ([]int64, error) {
	if err := streams.TakenOver(ctx, c.progress, 0); err != nil {
		return nil, err
	}
	written, err := c.progress.Ends(ctx, false, schemas.TopicCollections)
	if err != nil {
		return nil, err
	}
	// The transactions behind written must be decided: collect's offsets may show a moment before the markers of the same
	// transaction are on every partition.
	var open error
	owed, err := backoff.Retry(ctx, func() (owed []int64, _ error) {
		ends, err := c.progress.Ends(ctx, true, schemas.TopicCollections)
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
