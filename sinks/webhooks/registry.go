package webhooks

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// Registry is what a process knows of the webhooks: it follows kasi.webhooks.v1, and writes to it. It is safe for
// concurrent use.
type Registry struct {
	cfg        Config
	seal       seal
	cl         *kgo.Client
	partitions int32 // of the deliveries

	mu    sync.Mutex // guards the rest
	known map[string]*schemas.Webhook
	next  int64 // offset to read next
	moved chan struct{}
}

// OpenRegistry follows the webhooks until ctx ends or Close. Their topics must exist.
func OpenRegistry(ctx context.Context, cfg Config) (*Registry, error) {
	err := cfg.validate()
	if err != nil {
		return nil, err
	}
	r := &Registry{cfg: cfg, known: map[string]*schemas.Webhook{}, moved: make(chan struct{})}
	if r.seal, err = newSeal(cfg.Secret); err != nil {
		return nil, err
	}
	if r.cl, err = kgo.NewClient(cfg.client(kgo.ClientID("kasi-webhooks"), kgo.ConsumePartitions(
		map[string]map[int32]kgo.Offset{schemas.TopicWebhooks: {0: kgo.NewOffset().AtStart()}},
	), kgo.RecordDeliveryTimeout(20*time.Second), kgo.AllowIdempotentProduceCancellation())...); err != nil {
		return nil, fmt.Errorf("webhooks: %w", err)
	}
	topics, err := kadm.NewClient(r.cl).ListTopics(ctx, schemas.TopicWebhookDeliveries)
	if err == nil {
		err = topics.Error()
	}
	if err != nil {
		r.cl.Close()
		return nil, fmt.Errorf("webhooks: %w", err)
	}
	r.partitions = int32(len(topics[schemas.TopicWebhookDeliveries].Partitions))
	go r.follow(ctx)
	return r, nil
}

// Close ends it.
func (r *Registry) Close() { r.cl.Close() }

// follow takes over what is written until the client is closed.
func (r *Registry) follow(ctx context.Context) {
	for {
		fetches := r.cl.PollFetches(ctx)
		if fetches.IsClientClosed() || ctx.Err() != nil {
			return
		}
		fetches.EachError(func(_ string, _ int32, err error) {
			r.cfg.Log.Warn("webhooks cannot be read; tried again", "err", err)
		})
		r.take(fetches.Records())
	}
}

func (r *Registry) take(records []*kgo.Record) {
	if len(records) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rec := range records {
		r.next = rec.Offset + 1
		var w schemas.Webhook
		if rec.Attrs.IsControl() || json.Unmarshal(rec.Value, &w) != nil || w.ID != string(rec.Key) ||
			uuid.Validate(w.ID) != nil {
			continue // not of our making
		}
		if w.Deleted {
			delete(r.known, w.ID)
		} else {
			r.known[w.ID] = &w
		}
	}
	close(r.moved)
	r.moved = make(chan struct{})
}

// changes is closed at the next change.
func (r *Registry) changes() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.moved
}

// refresh returns once all that is written by now is known.
func (r *Registry) refresh(ctx context.Context) error {
	ends, err := kadm.NewClient(r.cl).ListEndOffsets(ctx, schemas.TopicWebhooks)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("where the webhooks end: %w", err)
	}
	end, ok := ends.Lookup(schemas.TopicWebhooks, 0)
	if !ok {
		return errors.New("nobody says where the webhooks end")
	}
	for {
		r.mu.Lock()
		next, moved := r.next, r.moved
		r.mu.Unlock()
		if next >= end.Offset {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("webhooks are read up to %d of %d: %w", next, end.Offset, ctx.Err())
		}
	}
}

// webhook is a webhook by its id, nil where there is none. What it points to is never changed.
func (r *Registry) webhook(id string) *schemas.Webhook {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known[id]
}

// all are the webhooks that a test likes.
func (r *Registry) all(like func(*schemas.Webhook) bool) (list []*schemas.Webhook) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.known {
		if like(w) {
			list = append(list, w)
		}
	}
	return list
}

// partition is where the deliveries of a webhook lie.
func (r *Registry) partition(webhook string) int32 {
	return schemas.PartitionOf(schemas.RoutingHash(webhook), r.partitions)
}

// Seal makes an answer that shows a secret unreadable for all but Unseal.
func (r *Registry) Seal(answer []byte) []byte { return r.seal.close("answer", string(answer)) }

// Unseal is the answer that Seal was given.
func (r *Registry) Unseal(sealed []byte) ([]byte, error) {
	answer, err := r.seal.open("answer", sealed)
	return []byte(answer), err
}

// CheckURL says why an address cannot be a webhook's, as a sentence without a subject.
func (r *Registry) CheckURL(text string) error { return r.cfg.CheckURL(text) }

// Webhooks are a tenant's, the oldest first.
func (r *Registry) Webhooks(ctx context.Context, tenant string) (list []schemas.Webhook, err error) {
	if err := r.refresh(ctx); err != nil {
		return nil, err
	}
	for _, w := range r.all(func(w *schemas.Webhook) bool { return w.TenantID == tenant }) {
		list = append(list, *w)
	}
	slices.SortFunc(list, func(a, b schemas.Webhook) int {
		if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list, nil
}

// Make makes a webhook, which hears of what happens from now on, and its secret.
func (r *Registry) Make(ctx context.Context, w schemas.Webhook) (schemas.Webhook, string, error) {
	ends, err := kadm.NewClient(r.cl).ListEndOffsets(ctx, schemas.WebhookSources()...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return w, "", fmt.Errorf("where the topics end: %w", err)
	}
	w.From = map[string][]int64{}
	for topic, parts := range ends {
		from := make([]int64, len(parts))
		for p, o := range parts {
			if int(p) < len(from) {
				from[p] = o.Offset
			}
		}
		w.From[topic] = from
	}
	w.ID, w.CreatedAt = cmp.Or(w.ID, uuid.NewString()), time.Now().UTC().Truncate(time.Millisecond)
	secret := newSecret()
	w.Secrets = []schemas.WebhookSecret{{Sealed: r.seal.close(w.ID, secret)}}
	w, err = r.Put(ctx, w)
	return w, secret, err
}

// oldSecret is for how long an old secret signs too, so that receivers can change theirs one after the other.
const oldSecret = 24 * time.Hour

// Rotate gives a webhook a new secret.
func (r *Registry) Rotate(ctx context.Context, w schemas.Webhook) (schemas.Webhook, string, error) {
	secret, secrets := newSecret(), []schemas.WebhookSecret(nil)
	now := time.Now().UTC().Truncate(time.Millisecond)
	secrets = append(secrets, schemas.WebhookSecret{Sealed: r.seal.close(w.ID, secret)})
	for _, old := range w.Secrets {
		if old.Until.IsZero() {
			old.Until = now.Add(oldSecret)
		}
		if _, err := r.seal.open(w.ID, old.Sealed); err == nil && old.Until.After(now) {
			secrets = append(secrets, old)
		}
	}
	w.Secrets = secrets[:min(len(secrets), 3)]
	w, err := r.Put(ctx, w)
	return w, secret, err
}

// Put writes a webhook, and returns once this process knows it. Others know it a moment later, and before they are told
// of the next event.
func (r *Registry) Put(ctx context.Context, w schemas.Webhook) (schemas.Webhook, error) {
	w.UpdatedAt = time.Now().UTC().Truncate(time.Millisecond)
	value, err := json.Marshal(w)
	if err != nil {
		return w, err
	}
	rec := &kgo.Record{Topic: schemas.TopicWebhooks, Key: []byte(w.ID), Value: value}
	if err := r.cl.ProduceSync(ctx, rec).FirstErr(); err != nil {
		return w, fmt.Errorf("the webhook could not be written: %w", err)
	}
	return w, r.refresh(ctx)
}

// Redeliver asks for a delivery once more. It must have its payload.
func (r *Registry) Redeliver(ctx context.Context, d schemas.WebhookDelivery) (schemas.WebhookDelivery, error) {
	if d.Payload == "" {
		return d, errors.New("the delivery has no payload")
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	d.Status, d.Attempts, d.StatusCode, d.Error, d.NextAttemptAt = schemas.DeliveryPending, 0, 0, "", ""
	d.Since, d.At = now, now
	return d, r.cl.ProduceSync(ctx, r.record(&d)).FirstErr()
}

// record is a change of a delivery as its topic has it.
func (r *Registry) record(d *schemas.WebhookDelivery) *kgo.Record {
	value, _ := json.Marshal(d) // texts, numbers and instants always marshal
	return &kgo.Record{
		Topic: schemas.TopicWebhookDeliveries, Partition: r.partition(d.WebhookID), Key: []byte(d.WebhookID), Value: value,
	}
}
