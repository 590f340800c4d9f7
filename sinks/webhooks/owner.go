package webhooks

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// owner runs the couriers of the webhooks whose deliveries lie on the partitions that the group gave to this process.
// It reads no record itself.
type owner struct {
	cfg      Config
	registry *Registry
	sender   *sender
	writer   *kgo.Client // writes what becomes of deliveries

	mu       sync.Mutex // guards the rest
	mine     map[int32]bool
	couriers map[string]*running // by webhook
}

// running is a courier at work.
type running struct {
	partition int32
	stop      context.CancelFunc
	done      chan struct{}
}

// own takes part in the group until ctx ends or something fails.
func own(ctx context.Context, cfg Config, registry *Registry, ready chan<- struct{}) error {
	writer, err := kgo.NewClient(cfg.client(kgo.ClientID("kasi-couriers-"+cfg.Instance),
		kgo.AllowIdempotentProduceCancellation())...)
	if err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	defer writer.Close()
	o := &owner{
		cfg: cfg, registry: registry, sender: newSender(cfg, registry.seal), writer: writer, mine: map[int32]bool{},
		couriers: map[string]*running{},
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	once := sync.OnceFunc(func() {
		select {
		case ready <- struct{}{}:
		default:
		}
	})
	lose := func(_ context.Context, _ *kgo.Client, gone map[string][]int32) { o.assign(ctx, gone, false) }
	group, err := kgo.NewClient(cfg.client(
		kgo.ClientID("kasi-couriers-"+cfg.Instance), kgo.ConsumerGroup(schemas.GroupCouriers),
		kgo.ConsumeTopics(schemas.TopicWebhookDeliveries), kgo.DisableAutoCommit(), kgo.SessionTimeout(15*time.Second),
		kgo.RebalanceTimeout(20*time.Second),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, added map[string][]int32) {
			o.assign(ctx, added, true)
			once()
		}),
		kgo.OnPartitionsRevoked(lose), kgo.OnPartitionsLost(lose),
	)...)
	if err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	group.PauseFetchTopics(schemas.TopicWebhookDeliveries) // couriers read by themselves
	defer group.Close()
	defer o.end()
	defer cancel()
	failed := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			fetches := group.PollFetches(ctx)
			for _, e := range fetches.Errors() {
				if !errors.Is(e.Err, context.Canceled) {
					failed <- fmt.Errorf("group of couriers: %w", e.Err)
					return
				}
			}
		}
	}()
	for {
		changed := registry.changes()
		o.reconcile(ctx)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-failed:
			return err
		case <-changed:
		}
	}
}

// assign takes over partitions, or gives them away: then it waits for their couriers.
func (o *owner) assign(ctx context.Context, parts map[string][]int32, ours bool) {
	o.mu.Lock()
	for _, p := range parts[schemas.TopicWebhookDeliveries] {
		if ours {
			o.mine[p] = true
		} else {
			delete(o.mine, p)
		}
	}
	o.mu.Unlock()
	o.reconcile(ctx)
}

// reconcile starts and stops couriers, so that each webhook of ours has one.
func (o *owner) reconcile(ctx context.Context) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var gone []*running
	for id, c := range o.couriers {
		if o.registry.webhook(id) == nil || !o.mine[c.partition] || ctx.Err() != nil {
			c.stop()
			gone = append(gone, c)
			delete(o.couriers, id)
		}
	}
	for _, c := range gone {
		<-c.done
	}
	if ctx.Err() != nil {
		return
	}
	for _, w := range o.registry.all(func(w *schemas.Webhook) bool { return o.mine[o.registry.partition(w.ID)] }) {
		if o.couriers[w.ID] == nil {
			o.couriers[w.ID] = o.start(ctx, w.ID, w.TenantID)
		}
	}
}

// start runs the courier of a webhook. Where it fails it begins again from what is written down.
func (o *owner) start(ctx context.Context, id, tenant string) *running {
	ctx, stop := context.WithCancel(ctx)
	r := &running{partition: o.registry.partition(id), stop: stop, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		_ = again(ctx, o.cfg.Log.With("webhook", id), "courier", func() error {
			c := &courier{owner: o, id: id, tenant: tenant, partition: r.partition}
			return c.run(ctx)
		})
		if o.cfg.Observer != nil {
			o.cfg.Observer.WebhookGone(tenant, id)
		}
	}()
	return r
}

func (o *owner) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.couriers {
		c.stop()
		<-c.done
	}
}
