package webhooks

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

const (
	// idleCommit is how often it is written down how far records are read that tell nobody anything.
	idleCommit = 5 * time.Second
	// catchUpMost bounds how long a round waits for what was written before a decision that it has read.
	catchUpMost = time.Second
	// endMost bounds the end of a transaction when the process stops.
	endMost = 15 * time.Second
)

// place is one partition of a topic.
type place struct {
	topic     string
	partition int32
}

// fanout makes deliveries of events. What a round reads and what it writes become visible together or not at all, so
// each event becomes one delivery to each webhook that asked for it.
type fanout struct {
	cfg        Config
	registry   *Registry
	sess       *kgo.GroupTransactSession
	executions executions

	mu   sync.Mutex
	next map[place]int64 // of the assigned partitions: the offset to read next
}

// fanOut runs a session until ctx ends or something fails. What it has not committed is read again by the next.
func fanOut(ctx context.Context, cfg Config, registry *Registry, ready chan<- struct{}) (err error) {
	f := &fanout{cfg: cfg, registry: registry, executions: executions{cfg: cfg}, next: map[place]int64{}}
	defer f.executions.close()
	id := "kasi-webhooks-" + cfg.Instance
	txn := id
	if cfg.FreshTxnID {
		txn += "-" + rand.Text()
	}
	once := sync.OnceFunc(func() {
		select {
		case ready <- struct{}{}:
		default:
		}
	})
	f.sess, err = kgo.NewGroupTransactSession(cfg.client(
		kgo.ClientID(id), kgo.ConsumerGroup(schemas.GroupWebhooks), kgo.ConsumeTopics(schemas.WebhookSources()...),
		kgo.SessionTimeout(15*time.Second), kgo.RebalanceTimeout(20*time.Second),
		kgo.TransactionalID(txn), kgo.TransactionTimeout(20*time.Second),
		// A partition of one topic and that of another with the same number go to one process, which puts what was decided
		// of a collection behind what had happened to it.
		kgo.Balancers(kgo.RangeBalancer()),
		kgo.AdjustFetchOffsetsFn(func(_ context.Context, at map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset,
			error,
		) {
			f.assigned(at)
			return at, nil
		}),
		kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { once() }),
		kgo.OnPartitionsRevoked(f.revoked), kgo.OnPartitionsLost(f.revoked),
	)...)
	if err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	defer f.close()
	// This fences a predecessor that was killed, and ends what it left open, which holds back all readers.
	if _, _, err := f.sess.Client().ProducerID(ctx); err != nil {
		return fmt.Errorf("producer id: %w", err)
	}
	for flushed := time.Now(); ; {
		deliveries, err := f.round(ctx)
		if err != nil {
			return err
		}
		if len(deliveries) == 0 && time.Since(flushed) < idleCommit && ctx.Err() == nil {
			continue
		}
		if err := f.commit(ctx, deliveries); err != nil {
			return err
		}
		flushed = time.Now()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// close leaves the group, so that others go on at once, and ends the client.
func (f *fanout) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = f.sess.Client().LeaveGroupContext(ctx)
	f.sess.Close()
}

func (f *fanout) assigned(at map[string]map[int32]kgo.Offset) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for topic, parts := range at {
		for p, o := range parts {
			f.next[place{topic, p}] = max(0, o.EpochOffset().Offset)
		}
	}
}

func (f *fanout) revoked(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for topic, parts := range gone {
		for _, p := range parts {
			delete(f.next, place{topic, p})
		}
	}
}

// round reads what there is, and makes deliveries of it.
func (f *fanout) round(ctx context.Context) ([]*kgo.Record, error) {
	events, err := f.read(ctx, time.Second)
	if err != nil {
		return nil, err
	}
	decided := slices.ContainsFunc(events, func(e event) bool { return e.rank > 0 })
	if decided {
		more, err := f.readBefore(ctx)
		if err != nil {
			return nil, err
		}
		events = append(events, more...)
		slices.SortStableFunc(events, func(a, b event) int {
			return cmp.Or(cmp.Compare(a.date, b.date), cmp.Compare(a.rank, b.rank))
		})
	}
	return f.deliveries(events)
}

// readBefore reads the collections on up to where they end now. What is decided of a collection was written with, or
// after, what it was decided from. So all of that is there.
func (f *fanout) readBefore(ctx context.Context) (events []event, err error) {
	ends, err := kadm.NewClient(f.sess.Client()).ListEndOffsets(ctx, schemas.TopicCollections)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("where the collections end: %w", err)
	}
	for began := time.Now(); time.Since(began) < catchUpMost && f.behind(ends); {
		more, err := f.read(ctx, 50*time.Millisecond)
		if err != nil {
			return nil, err
		}
		events = append(events, more...)
	}
	return events, nil
}

func (f *fanout) behind(ends kadm.ListedOffsets) (behind bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ends.Each(func(o kadm.ListedOffset) {
		next, mine := f.next[place{o.Topic, o.Partition}]
		behind = behind || mine && next < o.Offset
	})
	return behind
}

// read polls once and returns what somebody asked to be told of.
func (f *fanout) read(ctx context.Context, most time.Duration) (events []event, err error) {
	wait, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	fetches := f.sess.PollFetches(wait)
	for _, e := range fetches.Errors() {
		if !errors.Is(e.Err, context.DeadlineExceeded) && !errors.Is(e.Err, context.Canceled) {
			return nil, fmt.Errorf("read %s partition %d: %w", e.Topic, e.Partition, e.Err)
		}
	}
	records := fetches.Records()
	if len(records) == 0 {
		return nil, nil
	}
	// Only now: a webhook that was made before one of these records was written is known then.
	if err := f.registry.refresh(ctx); err != nil {
		return nil, err
	}
	asked := map[string]bool{} // tenants
	for _, w := range f.registry.all(func(*schemas.Webhook) bool { return true }) {
		asked[w.TenantID] = true
	}
	complete := func(ev *schemas.ExecutionEvent) (*schemas.ExecutionEvent, error) {
		return f.executions.complete(ctx, ev)
	}
	for _, r := range records {
		if !r.Attrs.IsControl() && len(asked) > 0 {
			told, err := eventsOf(r, complete)
			if err != nil {
				return nil, err
			}
			events = append(events, slices.DeleteFunc(told, func(e event) bool { return !asked[e.tenant] })...)
		}
		f.mu.Lock()
		if at := (place{r.Topic, r.Partition}); f.next[at] <= r.Offset {
			f.next[at] = r.Offset + 1
		}
		f.mu.Unlock()
	}
	return events, nil
}

// deliveries are the records of what is to be told to whom.
func (f *fanout) deliveries(events []event) (records []*kgo.Record, err error) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	for i := range events {
		e := &events[i]
		for _, w := range f.registry.all(e.isFor) {
			d, err := e.delivery(w, now)
			if err != nil {
				return nil, err
			}
			records = append(records, f.registry.record(d))
		}
	}
	return records, nil
}

// isFor tells whether a webhook asked to be told of the event.
func (e *event) isFor(w *schemas.Webhook) bool {
	if w.TenantID != e.tenant || !slices.Contains(w.Events, e.kind) {
		return false
	}
	from := w.From[e.topic]
	return int(e.partition) >= len(from) || e.offset >= from[e.partition]
}

// commit writes deliveries and how far the topics are read, in one transaction.
func (f *fanout) commit(ctx context.Context, deliveries []*kgo.Record) error {
	if err := f.sess.Begin(); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	ended, cancel := context.WithTimeout(context.WithoutCancel(ctx), endMost)
	defer cancel()
	failed := f.sess.ProduceSync(ended, deliveries...).FirstErr()
	committed, err := f.sess.End(ended, kgo.TransactionEndTry(failed == nil))
	if err := errors.Join(failed, err); err != nil {
		return fmt.Errorf("transaction of %d deliveries: %w", len(deliveries), err)
	}
	if !committed {
		f.executions.told = nil
		f.cfg.Log.Info("webhooks: a rebalance took back a round; its records are read again", "deliveries", len(deliveries))
	}
	return nil
}
