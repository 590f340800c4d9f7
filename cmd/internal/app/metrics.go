package app

import (
	"context"
	"fmt"
	"net"

	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/cmd/internal/metrics"
	"github.com/kasi-collections/kasi/schemas"
)

// groupsOf are the consumer groups whose lag a role shows.
var groupsOf = map[string][]string{
	"intake": {schemas.GroupIntake, schemas.GroupPolicies}, "collect": {schemas.GroupCollect}, "settle": {schemas.GroupSettle}, "sink": {schemas.GroupSink},
}

// ServeMetrics takes the configured address and gives the Env its metrics. The function returned serves them until its context ends; it is nil where no
// address is configured. Call it before the roles are run.
func (e *Env) ServeMetrics(ctx context.Context, cfg config.Config, roles ...string) (serving func(context.Context) error, err error) {
	if cfg.Metrics == "" {
		return nil, nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Metrics)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w; choose another address with --metrics", err)
	}
	m := metrics.New(roles...)
	var groups []string
	for _, r := range roles {
		groups = append(groups, groupsOf[r]...)
	}
	closeLag := func() {}
	if len(groups) > 0 {
		if closeLag, err = m.WatchLag(e.Brokers, groups); err != nil {
			_ = l.Close()
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	e.Metrics = m
	return func(ctx context.Context) error {
		defer closeLag()
		return serve(ctx, l, m.Handler(), func() {})
	}, nil
}
