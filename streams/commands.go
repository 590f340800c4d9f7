package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// deliveryTimeout bounds how long a write waits for its broker.
const deliveryTimeout = 30 * time.Second

// Commands writes the API's commands. A call returns after the brokers' acknowledgement on all replicas. After an error
// some or all of the commands may have been written: sending the same again is safe, since every command is applied by
// the ids in it. It is safe for concurrent use.
type Commands struct {
	cl         *kgo.Client
	peeker     *peeker
	partitions int32
}

// NewCommands opens the commands on existing topics (EnsureTopics).
func NewCommands(cfg Config) (*Commands, error) {
	cl, n, err := openTopics(cfg)
	if err != nil {
		return nil, fmt.Errorf("commands: %w", err)
	}
	return &Commands{cl: cl, peeker: newPeeker(cl), partitions: n}, nil
}

// openTopics opens a client that chooses partitions itself, and reads the partition count of the timeline.
func openTopics(cfg Config) (*kgo.Client, int32, error) {
	cl, err := kgo.NewClient(cfg.client(
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordDeliveryTimeout(deliveryTimeout),
		// A caller that gives up must get its answer. What may then arrive twice, the stages know by its ids.
		kgo.AllowIdempotentProduceCancellation(),
	)...)
	if err != nil {
		return nil, 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), deliveryTimeout)
	defer cancel()
	counts, err := topicCounts(ctx, cl)
	if err == nil {
		if missing := missingTopics(counts); len(missing) > 0 {
			err = fmt.Errorf("topic %s and %d more do not exist: start `kasi run` once, which creates them", missing[0].Name,
				len(missing)-1)
		}
	}
	n := int32(0)
	if err == nil {
		n, err = agreedPartitions(counts, 0)
	}
	if err != nil {
		cl.Close()
		return nil, 0, err
	}
	return cl, n, nil
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
// what then lies on the timeline: money the bank has reported counts. The error is a *Behind where ctx ends before, or
// nothing moves for DefaultStall.
func (c *Commands) Owed(ctx context.Context) ([]int64, error) {
	ends, err := c.owed(ctx, newProgress(c.peeker))
	if err != nil {
		return nil, fmt.Errorf("what is owed to a settlement: %w", err)
	}
	return ends, nil
}

func (c *Commands) owed(ctx context.Context, g *progress) ([]int64, error) {
	taken, err := intakeGoals(ctx, g)
	if err != nil {
		return nil, err
	}
	if err := g.wait(ctx, 0, taken...); err != nil {
		return nil, err
	}
	timeline, err := g.ends(ctx, false, schemas.TopicTimeline)
	if err != nil {
		return nil, err
	}
	if err := g.wait(ctx, 0, goal{schemas.GroupCollect, timeline}); err != nil {
		return nil, err
	}
	written, err := g.ends(ctx, false, schemas.TopicCollections)
	if err != nil {
		return nil, err
	}
	return c.stable(ctx, g, written)
}

// stable waits until the transactions behind written have been decided and returns the read-committed ends of
// kasi.collections.v1. Collect's offsets may show a moment before the markers of the same transaction are on every
// partition.
func (c *Commands) stable(ctx context.Context, g *progress, written map[place]int64) ([]int64, error) {
	var open error
	for pause := time.Millisecond; ; pause = min(2*pause, 25*time.Millisecond) {
		ends, err := g.ends(ctx, true, schemas.TopicCollections)
		if err != nil {
			return nil, errors.Join(open, err)
		}
		owed := make([]int64, c.partitions)
		open = nil
		for at, end := range ends {
			if int(at.partition) >= len(owed) {
				return nil, fmt.Errorf("%s has %d partitions, more than the timeline's %d: was it altered?", at.topic, len(ends),
					len(owed))
			}
			owed[at.partition] = end
			if end < written[at] {
				open = fmt.Errorf("a transaction is open on partition %d of %s (offset %d of %d)", at.partition, at.topic, end,
					written[at])
			}
		}
		if open == nil {
			return owed, nil
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, errors.Join(open, err)
		}
	}
}
