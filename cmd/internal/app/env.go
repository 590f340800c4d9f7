package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/cmd/internal/metrics"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/sinks/clickhouse/migrate"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/topics"
)

// Env is where the engines are.
type Env struct {
	Brokers       []string
	EmbeddedKafka bool
	ClickHouse    *clickhouse.Options
	// Metrics counts what the roles do; nil where nobody asked for it.
	Metrics *metrics.Metrics
}

// realEnv is the Env of a role that runs by itself, on servers named by the configuration.
func realEnv(cfg config.Config) (Env, error) {
	if len(cfg.Brokers()) == 0 || len(cfg.ClickHouseAddrs()) == 0 {
		return Env{}, errors.New("a role of its own needs --kafka-brokers and --clickhouse-addr; `kasi up` runs all " +
			"roles on embedded engines")
	}
	return Env{Brokers: cfg.Brokers(), ClickHouse: ClickHouseOptions(cfg, cfg.ClickHouseAddrs())}, nil
}

// RunAlone runs one role, and the metrics where they are asked for, on the servers of the configuration until ctx ends.
func RunAlone(ctx context.Context, cfg config.Config, role string, log *slog.Logger) error {
	env, err := realEnv(cfg)
	if err != nil {
		return err
	}
	if err := env.Prepare(ctx, cfg, log, role); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	serve, err := env.serveMetrics(ctx, cfg, role)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	if serve != nil {
		g.Go(func() error { return serve(ctx) })
	}
	g.Go(func() error {
		defer stop()
		return env.Run(ctx, role, cfg, log, func() { log.Info("ready") })
	})
	return g.Wait()
}

// Prepare makes what the roles need and is missing: the topics, the database and its tables. What does not answer is
// waited for, 30 seconds at most.
func (e Env) Prepare(ctx context.Context, cfg config.Config, log *slog.Logger, roles ...string) error {
	if _, err := topics.Ensure(ctx, e.Streams(cfg, "setup", log)); err != nil {
		return fmt.Errorf("topics: %w", err)
	}
	if !slices.ContainsFunc(named(roles), func(r Role) bool { return r.ClickHouse }) {
		return nil
	}
	if err := e.migrate(ctx, log); err != nil {
		return fmt.Errorf("clickhouse migrations: %w", err)
	}
	return nil
}

// clickHousePatience is how long migrate waits for a ClickHouse that cannot be reached.
const clickHousePatience = 30 * time.Second

func (e Env) migrate(ctx context.Context, log *slog.Logger) error {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = 50*time.Millisecond, time.Second
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := migrate.Up(ctx, e.ClickHouse, log)
		unreachable := errors.As(err, new(*net.OpError)) || errors.Is(err, io.EOF)
		if !unreachable {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(clickHousePatience),
		backoff.WithNotify(func(err error, _ time.Duration) { log.Warn("clickhouse: waiting for it", "err", err) }))
	return err
}

// Streams is the Kafka configuration of one role.
func (e Env) Streams(cfg config.Config, role string, log *slog.Logger) stage.Config {
	partitions := int32(cfg.Partitions)
	switch {
	case partitions > 0:
	case e.EmbeddedKafka:
		partitions = 4
	default:
		partitions = 24
	}
	s := stage.Config{
		Brokers: e.Brokers, Instance: cfg.Instance, FreshTxnID: e.EmbeddedKafka, Partitions: partitions,
		Replication: int16(cfg.Replication), Log: log.With("client", role),
	}
	if e.Metrics != nil {
		s.Observer = e.Metrics
	}
	return s
}

// Rules are the built-in dated rules under the configured override file.
func Rules(cfg config.Config) (*rules.Rules, error) {
	if cfg.Rules == "" {
		return rules.Default(), nil
	}
	b, err := os.ReadFile(cfg.Rules)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	r, err := rules.Load(b)
	if err != nil {
		return nil, fmt.Errorf("rules %s: %w", cfg.Rules, err)
	}
	return r, nil
}

// Logger writes structured logs; level and format are validated configuration values.
func Logger(w io.Writer, level, format string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: l}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
