// Package app puts the parts together: the embedded engines, the roles, and their order of start and stop.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/cmd/internal/config"
	chembed "github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
	"github.com/kasi-collections/kasi/streams/calendar"
	kembed "github.com/kasi-collections/kasi/streams/embedded"
	"github.com/kasi-collections/kasi/streams/retry"
	"github.com/kasi-collections/kasi/streams/stage"
)

// Stack is the whole product in one process: `kasi up`.
type Stack struct {
	cfg        config.Config
	log        *slog.Logger
	env        Env
	kafka      *kembed.Kafka
	clickhouse *chembed.Server
	roles      *errgroup.Group
	cancel     context.CancelFunc
	stopped    chan struct{}
	err        error
}

// Up starts the engines that are not replaced by real servers, then every role, and returns when all of them serve. On
// an error, and when ctx ends while it starts, everything is stopped again.
func Up(ctx context.Context, cfg config.Config, log *slog.Logger) (*Stack, error) {
	cfg, err := FillSecrets(cfg)
	if err != nil {
		return nil, err
	}
	s := &Stack{cfg: cfg, log: log, stopped: make(chan struct{})}
	if err := s.startEngines(ctx); err != nil {
		return nil, errors.Join(err, s.stopEngines())
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	s.roles, run = errgroup.WithContext(run)
	err = s.start(ctx, run)
	s.roles.Go(func() error { return s.watchEngines(run) })
	go func() { // the engines end after the last role has ended, whether asked to or because a role failed
		s.err = errors.Join(s.roles.Wait(), s.stopEngines())
		close(s.stopped)
	}()
	if err != nil || run.Err() != nil { // run has ended where a role failed: Stop returns its error
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// startEngines runs both engines side by side; each is ready when it returns.
func (s *Stack) startEngines(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	var err error
	if s.env, err = NewEnv(s.cfg); err != nil {
		return err
	}
	if s.cfg.ClickHouseTLS && len(s.env.ClickHouse.Addr) == 0 {
		return errors.New("clickhouse-tls needs --clickhouse-addr: the embedded ClickHouse is plain, on loopback only")
	}
	if len(s.env.Brokers) == 0 {
		g.Go(func() (err error) {
			s.kafka, err = kembed.StartKafka(ctx, filepath.Join(s.cfg.DataDir, "kafka"), s.cfg.Kafka,
				s.cfg.KafkaListen, s.log, brokerOptions(s.cfg)...)
			if err != nil {
				return fmt.Errorf("embedded Kafka: %w", err)
			}
			s.env.Brokers, s.env.EmbeddedKafka = []string{s.kafka.Addr()}, true
			return nil
		})
	}
	if len(s.env.ClickHouse.Addr) == 0 {
		g.Go(func() (err error) {
			s.clickhouse, err = chembed.Start(ctx, EmbeddedClickHouse(s.cfg, s.log))
			if err != nil {
				return fmt.Errorf("embedded ClickHouse: %w", err)
			}
			s.env.ClickHouse.Addr = []string{s.cfg.ClickHouseNative}
			return nil
		})
	}
	return g.Wait()
}

// start serves the metrics, where they are asked for, prepares topics and tables, and returns when every role serves or
// stands aside.
func (s *Stack) start(ctx, run context.Context) error {
	serveMetrics, err := s.env.metrics(ctx, s.cfg, RoleNames()...)
	if err != nil {
		return err
	}
	s.roles.Go(func() error { return serveMetrics(run) })
	if err := s.env.Prepare(ctx, s.cfg, s.log, RoleNames()...); err != nil {
		return err
	}
	if _, err := Rules(s.cfg); err != nil {
		return err
	}
	s.roles.Go(func() error { return s.env.watchTransactions(run, s.cfg, s.log, RoleNames()...) })
	settled := make(chan struct{}, len(Roles))
	for _, role := range Roles {
		once := sync.OnceFunc(func() { settled <- struct{}{} }) // a stage says ready again after each rebalance
		s.roles.Go(func() error { return s.keep(run, role, once) })
	}
	for range Roles {
		select {
		case <-settled:
		case <-run.Done():
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// keep runs a role until the stack ends. A role that cannot go on stands aside while the others serve: it says why, and
// is tried again after growing pauses, since what is wrong may be mended meanwhile. Ticker and API fail the stack where
// they have never served: what is wrong then (a taken address, a calendar of the other kind) is the configuration.
// settled is called when the role serves or stands aside.
func (s *Stack) keep(run context.Context, role Role, settled func()) error {
	log, served := s.log.With("role", role.Name), false
	for pauses := retry.Growing(asideFirst, asideMost); ; {
		err := s.env.Run(run, role.Name, s.cfg, log, func() {
			served = true
			pauses.Reset()
			settled()
		})
		if err == nil || run.Err() != nil {
			log.Info("the role has stopped", "asked", run.Err() != nil)
			return err
		}
		if !served && (role.Name == "ticker" || role.Name == "api") {
			return fmt.Errorf("%s: %w", role.Name, err)
		}
		pause := pauses.NextBackOff()
		log.Error("the role cannot go on and stands aside; the others serve", "again in", pause, "err", err)
		s.env.Metrics.StandsAside(role.Name, err)
		settled()
		if retry.Pause(run, pause) != nil {
			return nil
		}
	}
}

// A role that stands aside is tried again after asideFirst, and then ever more seldom, at least every asideMost.
const (
	asideFirst = 2 * time.Second
	asideMost  = 2 * time.Minute
)

// watchEngines ends the stack when the embedded ClickHouse cannot be kept alive; a crash that its supervisor mends is
// none of its business.
func (s *Stack) watchEngines(run context.Context) error {
	if s.clickhouse == nil {
		return nil
	}
	select {
	case <-run.Done():
		return nil
	case <-s.clickhouse.Done():
		return fmt.Errorf("embedded ClickHouse: %w", s.clickhouse.Err())
	}
}

// Stop ends the roles, then the engines, and returns the first error of any.
func (s *Stack) Stop() error {
	s.cancel()
	<-s.stopped
	return s.err
}

// Done is closed when everything has ended, by Stop or because an engine could not be kept alive.
func (s *Stack) Done() <-chan struct{} { return s.stopped }

// Config is the configuration with the secrets filled in.
func (s *Stack) Config() config.Config { return s.cfg }

// Streams is the Kafka side's configuration, for the calendar and for tools beside the stack.
func (s *Stack) Streams() stage.Config { return s.env.Streams(s.cfg, "tools", s.log) }

// Calendar opens the stack's calendar. Close it.
func (s *Stack) Calendar() (*calendar.Clock, error) { return s.env.Calendar(s.cfg, "tools", s.log) }

func (s *Stack) stopEngines() error {
	var errs []error
	if s.clickhouse != nil {
		errs = append(errs, StopClickHouse(s.clickhouse))
	}
	if s.kafka != nil {
		errs = append(errs, s.kafka.Close())
	}
	return errors.Join(errs...)
}

func brokerOptions(cfg config.Config) (options []kembed.Option) {
	if cfg.Durable {
		options = append(options, kembed.Durable())
	}
	return options
}

// EmbeddedClickHouse is the embedded ClickHouse of a configuration whose secrets are filled in.
func EmbeddedClickHouse(cfg config.Config, log *slog.Logger) chembed.Options {
	return chembed.Options{
		Dir: filepath.Join(cfg.DataDir, "clickhouse"), HTTPAddr: cfg.ClickHouseHTTP, NativeAddr: cfg.ClickHouseNative,
		KasiPassword: cfg.Password, AnalystPassword: cfg.AnalystPassword, Tenants: TenantAnalysts(cfg), Log: log,
		Durable: cfg.Durable,
	}
}

// TenantAnalysts are the analysts of single tenants, of a configuration that was checked.
func TenantAnalysts(cfg config.Config) (all []chembed.TenantAnalyst) {
	pairs, _ := cfg.TenantAnalysts()
	for _, p := range pairs {
		all = append(all, chembed.TenantAnalyst{Tenant: p.Tenant, Password: p.Key})
	}
	return all
}

// StopClickHouse ends the embedded ClickHouse. Connection pools are closed before.
func StopClickHouse(server *chembed.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	return server.Stop(ctx)
}
