package feed

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// Producer pushes records to Kasi's public topics as an outside party does: its own client, the customer (or debit) id
// as key, the client's default partitioner. One customer's records keep their order, since they share a key.
type Producer struct {
	cl  *kgo.Client
	err error // first failure since the last Flush
}

// NewProducer connects to the brokers. Close releases it.
func NewProducer(brokers []string, opts ...kgo.Opt) (*Producer, error) {
	all := append([]kgo.Opt{kgo.SeedBrokers(brokers...), kgo.ProducerLinger(0), kgo.MaxBufferedRecords(100_000)}, opts...)
	cl, err := kgo.NewClient(all...)
	if err != nil {
		return nil, fmt.Errorf("feed: kafka client: %w", err)
	}
	return &Producer{cl: cl}, nil
}

// Close flushes nothing: call Flush first.
func (p *Producer) Close() { p.cl.Close() }

// Transactions buffers bank transactions for kasi.feed.transactions.v1.
func (p *Producer) Transactions(ctx context.Context, txs ...schemas.Transaction) error {
	return send(ctx, p, schemas.TopicFeedTransactions, txs, func(t schemas.Transaction) string { return t.CustomerID })
}

// Incomes buffers income events for kasi.feed.incomes.v1.
func (p *Producer) Incomes(ctx context.Context, ins ...schemas.Income) error {
	return send(ctx, p, schemas.TopicFeedIncomes, ins, func(i schemas.Income) string { return i.CustomerID })
}

// Results buffers a bank's answers for kasi.rail.results.v1.
func (p *Producer) Results(ctx context.Context, rs ...schemas.Result) error {
	return send(ctx, p, schemas.TopicRailResults, rs, func(r schemas.Result) string { return r.DebitID })
}

func send[T any](ctx context.Context, p *Producer, topic string, values []T, key func(T) string) error {
	for _, v := range values {
		b, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("feed: encode a record of %s: %w", topic, err)
		}
		p.Raw(ctx, topic, key(v), b)
	}
	return nil
}

// Raw buffers bytes as they are: what a broken feed would send.
func (p *Producer) Raw(ctx context.Context, topic, key string, value []byte) {
	p.cl.Produce(ctx, &kgo.Record{Topic: topic, Key: []byte(key), Value: value}, func(_ *kgo.Record, err error) {
		// Callbacks run one after another on the client's own goroutine, and Flush returns after the last of them.
		if err != nil && p.err == nil {
			p.err = err
		}
	})
}

// Flush waits until the brokers have acknowledged everything buffered. After an error nothing is known of the records
// since the last Flush.
func (p *Producer) Flush(ctx context.Context) error {
	if err := p.cl.Flush(ctx); err != nil {
		return fmt.Errorf("feed: flush to kafka: %w", err)
	}
	if err := p.err; err != nil {
		p.err = nil
		return fmt.Errorf("feed: push to kafka: %w", err)
	}
	return nil
}
