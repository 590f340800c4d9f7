// Package webhooks tells tenants of what happens, by HTTP requests that they ask for (CONTRACT 3.3).
//
// The guarantee of Run: every event that a webhook asked for is delivered to it at least once, the events of one object
// in their order, or is listed as failed after the time of Config.Patience. Nothing that one webhook does, or fails to
// do, delays another. What waits survives any crash. DESIGN.md beside this file says how.
//
// The way of an event:
//
//	outgoing topics -> fanout (one transaction) -> kasi.webhook.deliveries.v1 -> courier of the webhook -> request
package webhooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/schemas"
)

// Config is what the sink needs to run. What has no default must be set.
type Config struct {
	// Brokers are the Kafka seed brokers, host:port.
	Brokers []string
	// KgoOpts are further options of the Kafka clients (TLS, SASL).
	KgoOpts []kgo.Opt
	// Instance is the stable name of this process among those that run webhooks.
	Instance string
	// FreshTxnID adds a random suffix to the transactional id: for the embedded broker.
	FreshTxnID bool
	// Secret seals the secrets of webhooks on their topic. All processes have the same.
	Secret string
	// AllowPrivate lets requests go to private addresses, and over plain http.
	AllowPrivate bool
	// Pauses are those before the second attempt, the third and so on; the last one repeats.
	Pauses []time.Duration
	// Patience is for how long a delivery is tried.
	Patience time.Duration
	// Log receives ids and causes, never payloads, addresses or secrets.
	Log *slog.Logger
	// Observer hears of deliveries. Nil means nobody listens.
	Observer Observer
}

// Observer hears of deliveries, for metrics. It is called from several goroutines.
type Observer interface {
	// WebhookTried tells of an attempt, or of a delivery that was given up, and how the delivery stands now.
	WebhookTried(tenant, webhook string, status schemas.DeliveryStatus)
	// WebhookWaits tells how many deliveries of a webhook wait, as far as they are read, and since when the oldest does;
	// a zero time says that none waits.
	WebhookWaits(tenant, webhook string, waiting int, oldest time.Time)
	// WebhookGone tells that this process does not deliver to a webhook any more.
	WebhookGone(tenant, webhook string)
}

// ParsePauses reads pauses such as 1s,5m,2h.
func ParsePauses(text string) (pauses []time.Duration, err error) {
	for part := range strings.SplitSeq(text, ",") {
		d, err := time.ParseDuration(strings.TrimSpace(part))
		if err != nil || d <= 0 || len(pauses) > 0 && d < pauses[len(pauses)-1] {
			return nil, fmt.Errorf("%q is no list of growing pauses such as 1s,30s,5m,2h", text)
		}
		pauses = append(pauses, d)
	}
	return pauses, nil
}

func (c Config) validate() error {
	var errs []error
	refuse := func(wrong bool, why string) {
		if wrong {
			errs = append(errs, errors.New("webhooks: "+why))
		}
	}
	refuse(len(c.Brokers) == 0, "Config.Brokers is empty; name at least one Kafka broker")
	refuse(c.Secret == "", "there is nothing to seal their secrets with: set KASI_WEBHOOKS_SECRET, the same for the "+
		"roles api and webhooks")
	refuse(c.Log == nil, "Config.Log is nil; give a logger")
	return errors.Join(errs...)
}

// client is the options of every Kafka client of this package.
func (c Config) client(more ...kgo.Opt) []kgo.Opt {
	all := append([]kgo.Opt{
		kgo.SeedBrokers(c.Brokers...), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.MetadataMaxAge(5 * time.Second),
		kgo.FetchMaxWait(500 * time.Millisecond),
	}, more...)
	return append(all, c.KgoOpts...)
}

// Run delivers until ctx ends; then it returns nil. It returns an error where no repetition helps. Any number of
// processes may run; they share the webhooks. ready is called when this one takes part, possibly more than once.
func Run(ctx context.Context, cfg Config, ready func()) error {
	if err := cfg.validate(); err != nil {
		return err
	}
	if len(cfg.Pauses) == 0 || cfg.Patience <= 0 {
		return errors.New("webhooks: Config.Pauses and Config.Patience must be set")
	}
	registry, err := OpenRegistry(ctx, cfg)
	if err != nil {
		return err
	}
	defer registry.Close()
	g, ctx := errgroup.WithContext(ctx)
	both := make(chan struct{}, 2) // fanout and owner take part
	g.Go(func() error {
		return again(ctx, cfg.Log, "fanout", func() error { return fanOut(ctx, cfg, registry, both) })
	})
	g.Go(func() error {
		return again(ctx, cfg.Log, "owner", func() error { return own(ctx, cfg, registry, both) })
	})
	g.Go(func() error {
		for range 2 {
			select {
			case <-both:
			case <-ctx.Done():
				return nil
			}
		}
		ready()
		return nil
	})
	return g.Wait()
}

// again repeats what has failed, after growing pauses, until ctx ends. A permanent error ends it.
func again(ctx context.Context, log *slog.Logger, what string, do func() error) error {
	pauses := &backoff.ExponentialBackOff{
		InitialInterval: 100 * time.Millisecond, MaxInterval: 5 * time.Second, Multiplier: backoff.DefaultMultiplier,
	}
	for {
		began := time.Now()
		err := do()
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the stop was asked for
		}
		if errors.As(err, new(*backoff.PermanentError)) {
			return fmt.Errorf("webhooks: %s: %w", what, err)
		}
		if time.Since(began) > time.Minute {
			pauses.Reset()
		}
		log.Warn("webhooks: starts again from what is committed", "part", what, "err", err)
		if pause(ctx, pauses.NextBackOff()) != nil {
			return nil
		}
	}
}

// pause waits for d or for the end of ctx, whose error it returns.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
	return ctx.Err()
}
