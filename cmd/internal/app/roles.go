package app

import (
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

	"cloud.google.com/go/civil"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/api"
	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/cmd/internal/metrics"
	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
	chsink "github.com/kasi-collections/kasi/sinks/clickhouse"
	"github.com/kasi-collections/kasi/streams"
	"github.com/kasi-collections/kasi/streams/calendar"
	"github.com/kasi-collections/kasi/streams/commands"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/topics"
)

// Roles are the processes that make up the product, in the order in which a stack starts them.
var Roles = []string{"ticker", "intake", "collect", "settle", "sink", "api"}

// Env is where the engines are.
type Env struct {
	Brokers       []string
	EmbeddedKafka bool
	House         *clickhouse.Options
	// Metrics counts what the roles do; nil where nobody asked for it.
	Metrics *metrics.Metrics
}

// RealEnv is the Env of a role that runs by itself, on servers named by the configuration.
func RealEnv(cfg config.Config) (Env, error) {
	if len(cfg.Brokers()) == 0 || len(cfg.ClickHouseAddrs()) == 0 {
		return Env{}, errors.New("a role of its own needs --kafka-brokers and --clickhouse-addr; `kasi up` runs all " +
			"roles on embedded engines")
	}
	return Env{Brokers: cfg.Brokers(), House: HouseOptions(cfg, cfg.ClickHouseAddrs())}, nil
}

// onClickHouse are the roles that cannot work without ClickHouse. The others must not even notice that it is away.
var onClickHouse = []string{"settle", "sink", "api"}

// Prepare makes what the roles need and is missing: the topics, the database and its tables. What does not answer is
// waited for, 30 seconds at most.
func (e Env) Prepare(ctx context.Context, cfg config.Config, log *slog.Logger, roles ...string) error {
	if _, err := topics.Ensure(ctx, e.Streams(cfg, "setup", log)); err != nil {
		return fmt.Errorf("topics: %w", err)
	}
	if !slices.ContainsFunc(roles, func(r string) bool { return slices.Contains(onClickHouse, r) }) {
		return nil
	}
	if err := e.migrate(ctx, log); err != nil {
		return fmt.Errorf("clickhouse migrations: %w", err)
	}
	return nil
}

// housePatience is how long migrate waits for a ClickHouse that cannot be reached.
const housePatience = 30 * time.Second

func (e Env) migrate(ctx context.Context, log *slog.Logger) error {
	began := time.Now()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := chsink.Migrate(ctx, e.House, log)
		if unreachable := errors.As(err, new(*net.OpError)) || errors.Is(err, io.EOF); !unreachable ||
			time.Since(began) > housePatience {
			return err
		}
		log.Warn("clickhouse: waiting for it", "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
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

// Run runs one role until ctx ends. ready is called when it serves.
func (e Env) Run(ctx context.Context, role string, cfg config.Config, log *slog.Logger, ready func()) error {
	rules, err := Rules(cfg)
	if err != nil {
		return err
	}
	kafka := e.Streams(cfg, role, log)
	if e.Metrics != nil {
		serves := ready
		ready = func() { e.Metrics.Ready(role); serves() }
	}
	switch role {
	case "ticker":
		return e.runTicker(ctx, cfg, kafka, rules, ready)
	case "intake":
		return streams.Run(ctx, kafka, role, streams.Needs{}, ready)
	case "collect":
		return streams.Run(ctx, kafka, role, streams.Needs{Engine: processors.NewEngine(rules)}, ready)
	case "settle":
		db, err := clickhouse.Open(e.House)
		if err != nil {
			return err
		}
		defer db.Close()
		return streams.Run(ctx, kafka, role, streams.Needs{Rules: rules, Ledger: chsink.NewLedger(db)}, ready)
	case "sink":
		sink := chsink.Config{Brokers: e.Brokers, ClickHouse: e.House, Log: log, KgoOpts: []kgo.Opt{kgo.ClientID("kasi-sink-" +
			cfg.Instance)}}
		if e.Metrics != nil {
			sink.Observer = e.Metrics
		}
		return chsink.Run(ctx, sink, ready)
	case "api":
		return e.runAPI(ctx, cfg, kafka, log, ready)
	}
	return fmt.Errorf("unknown role %q; the roles are %v", role, Roles)
}

func (e Env) runTicker(ctx context.Context, cfg config.Config, kafka stage.Config, rules *rules.Rules,
	ready func(),
) error {
	start := schemas.DateIn(time.Now())
	if cfg.Date != "" {
		d, err := civil.ParseDate(cfg.Date)
		if err != nil {
			return err
		}
		start = d
	}
	return calendar.RunTicker(ctx, kafka, rules, start, cfg.Calendar == "manual", ready)
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

func (e Env) runAPI(ctx context.Context, cfg config.Config, kafka stage.Config, log *slog.Logger,
	ready func(),
) error {
	keys, err := cfg.Keys()
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return errors.New("no API keys: set KASI_API_KEYS=\"tenant=key\"")
	}
	db, err := clickhouse.Open(e.House)
	if err != nil {
		return err
	}
	defer db.Close()
	commands, err := commands.New(kafka)
	if err != nil {
		return err
	}
	defer commands.Close()
	var apiKeys []api.Key
	for _, k := range keys {
		apiKeys = append(apiKeys, api.Key{Tenant: k.Tenant, Key: k.Key})
	}
	handler, err := api.New(api.Config{
		Keys: apiKeys, DB: db, Commands: commands, QueriesPerMinute: cfg.QueryRate, UpdatesPerMinute: cfg.UpdateRate,
		Log:   log,
		Ready: db.Ping,
	})
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.HTTP)
	if err != nil {
		return fmt.Errorf("%w; choose another address with --http", err)
	}
	return serve(ctx, listener, handler, ready)
}

// serve runs the HTTP server. When ctx ends it finishes the requests under way, for at most two seconds.
func serve(ctx context.Context, l net.Listener, h http.Handler, ready func()) error {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	ready()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if err := srv.Shutdown(stop); err != nil {
			return srv.Close()
		}
		return nil
	}
}
