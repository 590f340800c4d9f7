package app

import (
	"context"
	"time"

	"github.com/kasi-collections/kasi/api"
	"github.com/kasi-collections/kasi/sinks/webhooks"
)

// webhooksConfig is what the roles webhooks and api need to know of webhooks.
func (j job) webhooksConfig() (cfg webhooks.Config, err error) {
	cfg = webhooks.Config{
		Brokers: j.Brokers, KgoOpts: j.kafka.KgoOpts, Instance: j.cfg.Instance, FreshTxnID: j.EmbeddedKafka,
		Secret: j.cfg.WebhooksSecret, AllowPrivate: j.cfg.WebhooksAllowPrivate, Log: j.log,
	}
	if j.Metrics != nil {
		cfg.Observer = j.Metrics
	}
	if cfg.Pauses, err = webhooks.ParsePauses(j.cfg.WebhooksPauses); err != nil {
		return cfg, err
	}
	cfg.Patience, err = time.ParseDuration(j.cfg.WebhooksFor)
	return cfg, err
}

func runWebhooks(ctx context.Context, j job) error {
	cfg, err := j.webhooksConfig()
	if err != nil {
		return err
	}
	return webhooks.Run(ctx, cfg, j.ready)
}

// webhooks is how the API reaches them; nil where no secret is set, which the calls then say.
func (j job) webhooks(ctx context.Context) (api.Webhooks, error) {
	cfg, err := j.webhooksConfig()
	if err != nil || cfg.Secret == "" {
		return nil, err
	}
	registry, err := webhooks.OpenRegistry(ctx, cfg)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, registry.Close)
	return registry, nil
}
