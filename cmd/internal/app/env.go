package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/cmd/internal/connect"
	"github.com/kasi-collections/kasi/cmd/internal/metrics"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
	chsink "github.com/kasi-collections/kasi/sinks/clickhouse"
	"github.com/kasi-collections/kasi/sinks/clickhouse/migrate"
	"github.com/kasi-collections/kasi/streams"
	"github.com/kasi-collections/kasi/streams/calendar"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/topics"
)

// Env is where the engines are, and how they are reached.
type Env struct {
	Brokers []string
	// KgoOpts are TLS and login of every Kafka client; none for the embedded Kafka.
	KgoOpts       []kgo.Opt
	EmbeddedKafka bool
	ClickHouse    *clickhouse.Options
	// Metrics counts what the roles do, and knows their troubles; nil for tools.
	Metrics *metrics.Metrics
}

// NewEnv is the Env of a configuration; what it does not name is embedded and still to be started.
func NewEnv(cfg config.Config) (Env, error) {
	kafka, err := connect.Kafka(cfg)
	if err != nil {
		return Env{}, err
	}
	ch, err := connect.ClickHouse(cfg)
	return Env{Brokers: cfg.Brokers(), KgoOpts: kafka, ClickHouse: ch}, err
}

// Tool is the Env of a tool beside a running kasi that talks to Kafka only. An error says why Kafka refuses us.
func Tool(ctx context.Context, cfg config.Config) (Env, error) {
	opts, err := connect.Kafka(cfg)
	if err == nil {
		err = connect.CheckKafka(ctx, cfg, opts)
	}
	return Env{Brokers: cfg.BrokersOrEmbedded(), KgoOpts: opts}, err
}

// RunAlone runs one role, and the metrics where they are asked for, on the servers of the configuration until ctx ends.
func RunAlone(ctx context.Context, cfg config.Config, role string, log *slog.Logger) error {
	env, err := NewEnv(cfg)
	if err != nil {
		return err
	}
	if len(env.Brokers) == 0 || len(env.ClickHouse.Addr) == 0 {
		return errors.New("a role of its own needs --kafka-brokers and --clickhouse-addr; `kasi up` runs all roles on " +
			"embedded engines")
	}
	g, ctx := errgroup.WithContext(ctx)
	serveMetrics, err := env.metrics(ctx, cfg, role)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	g.Go(func() error { return serveMetrics(ctx) })
	g.Go(func() error {
		defer stop()
		if err := env.Prepare(ctx, cfg, log, role); err != nil {
			return err
		}
		g.Go(func() error { return env.watchTransactions(ctx, cfg, log, role) })
		began := time.Now()
		err := env.Run(ctx, role, cfg, log, func() { log.Info("ready") })
		log.Info("the role has stopped", "after", time.Since(began).Round(time.Second), "asked", ctx.Err() != nil)
		return err
	})
	return g.Wait()
}

// metrics gives the Env its metrics, and takes the configured address. The function returned serves them there until
// its context ends, or returns at once where no address is configured. Call it before the roles are run.
func (e *Env) metrics(ctx context.Context, cfg config.Config, roles ...string) (func(context.Context) error, error) {
	stages := map[string][]string{}
	var groups []progress.Group
	for _, r := range named(roles) {
		stages[r.Name] = streams.StagesOf(r.Name)
		groups = append(groups, streams.GroupsOf(r.Name)...)
	}
	m := metrics.New(stages)
	if cfg.Metrics == "" {
		e.Metrics = m
		return func(context.Context) error { return nil }, nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Metrics)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w; choose another address with --metrics", err)
	}
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
		m.WatchDebits(func(ctx context.Context) ([]chsink.DebitCount, error) { return chsink.ReadDebits(ctx, db) })
		m.WatchDisks(func(ctx context.Context) ([]chsink.Disk, error) { return chsink.ReadDisks(ctx, db) })
		m.WatchLogs(func(ctx context.Context) ([]progress.LogDir, error) { return progress.LogDirs(ctx, queue) })
	}
	e.Metrics = m
	return func(ctx context.Context) error {
		defer queue.Close()
		if db != nil {
			defer db.Close()
		}
		return serve(ctx, l, nil, m.Handler(), func() {})
	}, nil
}

// ServeMetrics serves /metrics, /livez and /readyz of a tool at an address until ctx ends.
func ServeMetrics(ctx context.Context, addr string, registry *prometheus.Registry) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("metrics: %w; choose another address with --metrics", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	ok := func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") }
	mux.HandleFunc("GET /livez", ok)
	mux.HandleFunc("GET /readyz", ok)
	return serve(ctx, l, nil, mux, func() {})
}

// Prepare makes what the roles need and is missing: the topics, the database and its tables. What does not answer is
// waited for, 30 seconds at most.
func (e Env) Prepare(ctx context.Context, cfg config.Config, log *slog.Logger, roles ...string) error {
	if err := connect.CheckKafka(ctx, cfg, e.KgoOpts); err != nil {
		return err
	}
	if _, err := topics.Ensure(ctx, e.Streams(cfg, "setup", log)); err != nil {
		return fmt.Errorf("topics: %w", err)
	}
	if !slices.ContainsFunc(named(roles), func(r Role) bool { return r.ClickHouse }) {
		return nil
	}
	if err := connect.CheckClickHouse(ctx, cfg, e.ClickHouse); err != nil {
		return err
	}
	if err := e.migrate(ctx, schemas.Cluster(cfg.Cluster), log); err != nil {
		return fmt.Errorf("clickhouse migrations: %w", err)
	}
	return nil
}

func (e Env) migrate(ctx context.Context, on schemas.Cluster, log *slog.Logger) error {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = 50*time.Millisecond, time.Second
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := migrate.UpOn(ctx, on, e.ClickHouse, log)
		unreachable := errors.As(err, new(*net.OpError)) || errors.Is(err, io.EOF)
		if !unreachable {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(30*time.Second),
		backoff.WithNotify(func(err error, _ time.Duration) { log.Warn("clickhouse: waiting for it", "err", err) }))
	return err
}

// Transactions that hold readers back are looked for every undecidedEvery. The stages' own are given up by the broker
// after 20 s, and it looks every 10 s.
const (
	undecidedEvery    = 10 * time.Second
	undecidedPatience = 40 * time.Second
)

// watchTransactions ends transactions on the roles' topics that were left undecided, where it is proved how they
// ended, and tells of the others, until ctx ends.
func (e Env) watchTransactions(ctx context.Context, cfg config.Config, log *slog.Logger, roles ...string) error {
	topics := streams.TopicsOf(roles...)
	if len(topics) == 0 {
		return nil
	}
	kafka := e.Streams(cfg, "transactions", log)
	cl, err := kgo.NewClient(kafka.Client(kgo.ClientID("kasi-transactions"))...)
	if err != nil {
		return fmt.Errorf("watch of transactions: %w", err)
	}
	defer cl.Close()
	judge := streams.Judge(cl)
	judge.WatchUndecided(ctx, undecidedEvery, undecidedPatience, append(topics, progress.OffsetsTopic),
		func(ctx context.Context, u progress.Undecided) string { return judge.EndProved(ctx, u, kafka.Log) },
		func(u progress.Undecided, text string) {
			kafka.Trouble("transactions", stage.TroubleUndecided, u.Place.String(), text)
		})
	return nil
}

// Streams is the Kafka configuration of one role.
func (e Env) Streams(cfg config.Config, role string, log *slog.Logger) stage.Config {
	s := stage.Config{
		Brokers: e.Brokers, KgoOpts: e.KgoOpts, Instance: cfg.Instance, FreshTxnID: e.EmbeddedKafka,
		Partitions: cmp.Or(int32(cfg.Partitions), 24), Replication: int16(cfg.Replication), Log: log.With("client", role),
	}
	if cfg.Partitions == 0 && e.EmbeddedKafka {
		s.Partitions = 4
	}
	if e.Metrics != nil {
		s.Observer = e.Metrics
	}
	keys, _ := cfg.Keys() // Check has told of mistakes
	for _, k := range keys {
		s.Tenants = append(s.Tenants, k.Tenant)
	}
	return s
}

// Calendar opens the business calendar for a tool. Close it.
func (e Env) Calendar(cfg config.Config, tool string, log *slog.Logger) (*calendar.Clock, error) {
	rules, err := Rules(cfg)
	if err != nil {
		return nil, err
	}
	return calendar.New(e.Streams(cfg, tool, log), rules)
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

// CheckFiles reads the files that a configuration names, as the roles do.
func CheckFiles(cfg config.Config, log *slog.Logger) error {
	_, rules := Rules(cfg)
	_, clients := NewEnv(cfg)
	_, server := connect.Server(cfg, log)
	return errors.Join(rules, clients, server)
}

// Logger writes structured logs; level and format are validated configuration values.
func Logger(w io.Writer, level, format string) *slog.Logger {
	var l slog.Level
	_ = l.UnmarshalText([]byte(level)) // validated; else it stays info
	opts := &slog.HandlerOptions{Level: l, ReplaceAttr: withUnits}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// withUnits writes a duration as 1.5s in JSON too, where it would be a bare number of nanoseconds.
func withUnits(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
