package webhooks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

const (
	// parallel is how many requests to one webhook are under way at once, each about another object.
	parallel = 8
	// most is how many deliveries a courier holds. What lies behind them on Kafka it reads once it has room.
	most = 20_000
	// markEvery is how often a courier writes down how far it is.
	markEvery = time.Second
	// callMost bounds one question to Kafka.
	callMost = 10 * time.Second
)

// courier brings the deliveries of one webhook, each object's in their order. It reads them from their partition by
// itself, so that it waits for nobody and nobody for it.
//
// What has become of a delivery is written to the same partition before the next one of the object is sent. The
// courier's mark, the offset of the oldest delivery that waits, is an offset of a consumer group of the webhook's own.
// A courier that begins reads from the mark to the end what has become of the deliveries behind it, and then brings the
// others.
type courier struct {
	*owner
	id, tenant string
	partition  int32

	queue  queue
	marked int64
	// known is what had become of deliveries behind the mark when the courier began; nil once it has come to that end.
	known map[string]schemas.WebhookDelivery
	end   int64

	results chan attempt
	changed time.Time // when the webhook was changed last, as far as the courier knows
}

// attempt is the outcome of an attempt.
type attempt struct {
	*delivery
	outcome
}

// batch is what the reader has read for this webhook; next is the offset to read next.
type batch struct {
	records []*kgo.Record
	next    int64
	err     error
}

func (c *courier) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	if err := c.restore(ctx); err != nil {
		cancel()
		return err
	}
	reader, err := c.reader(c.marked)
	if err != nil {
		cancel()
		return err
	}
	read := make(chan batch)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.read(ctx, reader, read)
	}()
	c.results = make(chan attempt, parallel)
	defer func() {
		cancel()
		<-done
		reader.Close()
		for c.queue.busy > 0 { // their records are written, or not: then they are sent again
			c.take(ctx, <-c.results)
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callMost)
		defer cancel()
		_ = c.mark(ctx)
	}()
	return c.loop(ctx, read)
}

// loop is the courier's work. All that it knows belongs to it alone.
func (c *courier) loop(ctx context.Context, read <-chan batch) error {
	tick := time.NewTicker(markEvery)
	defer tick.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		for d := c.queue.pick(now); d != nil; d = c.queue.pick(now) {
			c.send(ctx, d)
		}
		timer.Reset(max(0, time.Until(c.queue.wakes(now))))
		more := read
		if c.queue.waiting() >= most {
			more = nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case b := <-more:
			if b.err != nil {
				return b.err
			}
			c.accept(b, time.Now())
		case r := <-c.results:
			c.take(ctx, r)
		case <-timer.C:
		case <-tick.C:
			c.lookAt(c.registry.webhook(c.id))
			if err := c.giveUp(ctx, time.Now()); err != nil {
				return err
			}
			if err := c.mark(ctx); err != nil {
				c.cfg.Log.Warn("webhooks: how far one is cannot be written down; tried again", "webhook", c.id, "err", err)
			}
			c.report()
		}
	}
}

func (c *courier) group() string { return schemas.GroupWebhook + c.id }

// restore finds the mark and what has become of what lies behind it.
func (c *courier) restore(ctx context.Context) error {
	adm := kadm.NewClient(c.writer)
	offsets, err := adm.FetchOffsets(ctx, c.group())
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return fmt.Errorf("mark: %w", err)
	}
	if o, ok := offsets.Lookup(schemas.TopicWebhookDeliveries, c.partition); ok {
		c.marked = max(0, o.At)
	}
	ends, err := adm.ListCommittedOffsets(ctx, schemas.TopicWebhookDeliveries)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("end of the deliveries: %w", err)
	}
	starts, err := adm.ListStartOffsets(ctx, schemas.TopicWebhookDeliveries)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return fmt.Errorf("start of the deliveries: %w", err)
	}
	end, _ := ends.Lookup(schemas.TopicWebhookDeliveries, c.partition)
	start, _ := starts.Lookup(schemas.TopicWebhookDeliveries, c.partition)
	c.marked, c.end = max(c.marked, start.Offset), end.Offset
	c.queue = newQueue(c.marked, c.cfg.Pauses, c.cfg.Patience)
	if c.marked >= c.end {
		return nil
	}
	c.known = map[string]schemas.WebhookDelivery{}
	cl, err := c.reader(c.marked)
	if err != nil {
		return err
	}
	defer cl.Close()
	for next := c.marked; next < c.end; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read from the mark on: %w", err)
		}
		for _, r := range fetches.Records() {
			next = r.Offset + 1
			if d, ok := c.ours(r); ok && d.Status != schemas.DeliveryPending {
				c.known[d.DeliveryID] = d
			}
		}
	}
	return nil
}

func (c *courier) reader(from int64) (*kgo.Client, error) {
	cl, err := kgo.NewClient(c.cfg.client(kgo.ClientID("kasi-courier"), kgo.FetchMaxBytes(1<<20),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
			schemas.TopicWebhookDeliveries: {c.partition: kgo.NewOffset().At(from)},
		}))...)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	return cl, nil
}

// read hands over what is read until ctx ends. Nobody takes it while the courier holds enough.
func (c *courier) read(ctx context.Context, cl *kgo.Client, into chan<- batch) {
	for {
		fetches := cl.PollFetches(ctx)
		b := batch{err: fetches.Err()}
		for _, r := range fetches.Records() {
			b.next = r.Offset + 1
			if string(r.Key) == c.id {
				b.records = append(b.records, r)
			}
		}
		select {
		case into <- b:
		case <-ctx.Done():
			return
		}
	}
}

// accept takes over deliveries.
func (c *courier) accept(b batch, now time.Time) {
	for _, r := range b.records {
		d, ok := c.ours(r)
		if !ok || d.Status != schemas.DeliveryPending {
			continue
		}
		was, done := c.known[d.DeliveryID]
		switch {
		case !done || was.Since.Before(d.Since): // what became of an earlier one says nothing of this
			c.queue.add(r.Offset, d, now)
		case was.Status == schemas.DeliveryRetrying:
			d.Attempts = was.Attempts
			c.queue.add(r.Offset, d, after(was.NextAttemptAt, now))
		}
	}
	if b.next > 0 {
		c.queue.read = b.next
	}
	if c.queue.read >= c.end {
		c.known = nil
	}
}

// after is when a delivery is tried next that was tried before.
func after(next string, now time.Time) time.Time {
	if at, err := time.Parse(time.RFC3339, next); err == nil && at.After(now) {
		return at
	}
	return now
}

// ours reads a change of one of the webhook's deliveries.
func (c *courier) ours(r *kgo.Record) (d schemas.WebhookDelivery, ok bool) {
	if r.Attrs.IsControl() || string(r.Key) != c.id {
		return d, false
	}
	return d, decode(r, &d) && d.WebhookID == c.id && d.TenantID == c.tenant
}

// send makes one attempt beside the loop.
func (c *courier) send(ctx context.Context, d *delivery) {
	w := c.registry.webhook(c.id)
	go func() {
		if w == nil { // deleted: the courier is about to be stopped
			c.results <- attempt{d, outcome{why: "the webhook was deleted"}}
			return
		}
		out := c.sender.try(ctx, w, d.DeliveryID, d.Payload)
		if ctx.Err() == nil {
			d.tried(out, time.Now(), c.cfg.Pauses, c.cfg.Patience)
			_ = c.write(ctx, d.change()) // it fails only where ctx has ended; then the attempt is made again
		}
		c.results <- attempt{d, out}
	}()
}

// take is told of an attempt that has ended.
func (c *courier) take(ctx context.Context, r attempt) {
	if ctx.Err() != nil {
		c.queue.putBack(r.delivery)
		return
	}
	c.queue.ended(r.delivery, r.outcome, time.Now())
	c.observe(r.delivery)
}

func (c *courier) observe(d *delivery) {
	if c.cfg.Observer != nil {
		c.cfg.Observer.WebhookTried(c.tenant, c.id, d.Status)
	}
	if d.Status != schemas.DeliveryDelivered {
		c.cfg.Log.Info("webhooks: not delivered", "webhook", c.id, "delivery", d.DeliveryID, "attempts", d.Attempts, "status",
			d.Status, "why", d.Error)
	}
}

// giveUp lists as failed what has waited for too long behind others.
func (c *courier) giveUp(ctx context.Context, now time.Time) error {
	late := c.queue.expired(now)
	changes := make([]schemas.WebhookDelivery, len(late))
	for i, d := range late {
		d.Status, d.NextAttemptAt, d.At = schemas.DeliveryFailed, "", now.UTC().Truncate(time.Millisecond)
		d.Error = cmp.Or(d.Error, "others of its object, or the webhook as a whole, failed for as long")
		changes[i] = d.change()
	}
	if err := c.write(ctx, changes...); err != nil {
		return err
	}
	for _, d := range late {
		c.queue.remove(d)
		c.observe(d)
	}
	return nil
}

// write writes what has become of deliveries, however long Kafka is away.
func (c *courier) write(ctx context.Context, changes ...schemas.WebhookDelivery) error {
	records := make([]*kgo.Record, len(changes))
	for i := range changes {
		records[i] = c.registry.record(&changes[i])
	}
	for {
		err := c.writer.ProduceSync(ctx, records...).FirstErr()
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		c.cfg.Log.Warn("webhooks: what became of deliveries cannot be written; tried again", "webhook", c.id, "deliveries",
			len(changes), "err", err)
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

// lookAt notices that the webhook was changed: what failed of the old address is tried at the new one.
func (c *courier) lookAt(w *schemas.Webhook) {
	if w != nil && w.UpdatedAt.After(c.changed) {
		c.changed = w.UpdatedAt
		c.queue.answersAgain(time.Now())
	}
}

// mark writes down how far the courier is.
func (c *courier) mark(ctx context.Context) error {
	at := c.queue.mark()
	if at <= c.marked {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callMost)
	defer cancel()
	var offsets kadm.Offsets
	offsets.AddOffset(schemas.TopicWebhookDeliveries, c.partition, at, -1)
	answers, err := kadm.NewClient(c.writer).CommitOffsets(ctx, c.group(), offsets)
	if err == nil {
		err = answers.Error()
	}
	if err == nil {
		c.marked = at
	}
	return err
}

func (c *courier) report() {
	if c.cfg.Observer != nil {
		c.cfg.Observer.WebhookWaits(c.tenant, c.id, c.queue.waiting(), c.queue.oldest())
	}
}
