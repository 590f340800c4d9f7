package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/cmd/internal/metrics"
	chsink "github.com/kasi-collections/kasi/sinks/clickhouse"
	"github.com/kasi-collections/kasi/streams"
	"github.com/kasi-collections/kasi/streams/progress"
)

// serveMetrics takes the configured address and gives the Env its metrics. The function returned serves them until its
// context ends; it is nil where no address is configured. Call it before the roles are run.
func (e *Env) serveMetrics(ctx context.Context, cfg config.Config,
	roles ...string,
) (serving func(context.Context) error, err error) {
	if cfg.Metrics == "" {
		return nil, nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Metrics)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w; choose another address with --metrics", err)
	}
	stages := map[string][]string{}
	var groups []progress.Group
	for _, r := range named(roles) {
		stages[r.Name] = streams.StagesOf(r.Name)
		groups = append(groups, streams.GroupsOf(r.Name)...)
	}
	m := metrics.New(stages)
	kafka := e.Streams(cfg, "metrics", slog.New(slog.DiscardHandler))
	queue, err := kgo.NewClient(kafka.Client(kgo.ClientID("kasi-queue"))...)
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("metrics: %w", err)
	}
	m.WatchLag(progress.New(queue), groups...)
	var db driver.Conn
	if slices.Contains(roles, "sink") {
		if db, err = clickhouse.Open(e.ClickHouse); err != nil {
			queue.Close()
			return nil, errors.Join(fmt.Errorf("metrics: %w", err), l.Close())
		}
		m.WatchClearing(func(ctx context.Context) ([]chsink.Clearing, error) { return chsink.ReadClearing(ctx, db) })
	}
	e.Metrics = m
	return func(ctx context.Context) error {
		defer queue.Close()
		if db != nil {
			defer db.Close()
		}
		return serve(ctx, l, m.Handler(), func() {})
	}, nil
}
