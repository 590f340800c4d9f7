package embedded

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/cenkalti/backoff/v5"
)

const (
	userKasi     = "kasi"
	databaseKasi = "kasi"

	startTimeout = 2 * time.Minute        // a directory with very many parts takes long to load
	stopGrace    = 900 * time.Millisecond // for a clean end; then comes the kill, which loses nothing acknowledged

	// The pause after a failed restart doubles from firstPause to maxPause. maxTries is how many restarts in a row may
	// fail before the supervisor gives up.
	firstPause = 100 * time.Millisecond
	maxPause   = 10 * time.Second
	maxTries   = 8
)

// Server is a running ClickHouse. After a crash or kill of its process it comes back by itself, on the same ports and
// with the same data. Calls made meanwhile fail with a connection error, and the caller repeats them.
type Server struct {
	opts     Options
	endpoint endpoint
	config   string // path of config.xml
	http     *http.Client
	lock     *os.File
	stop     context.CancelFunc // ends the supervisor
	done     chan struct{}      // closed when the supervisor has ended

	mu       sync.Mutex
	current  *process
	restarts int
	err      error
}

// Start takes the directory, starts the server and returns when it has answered a query on both ports. ctx bounds the
// start only. The server outlives it and is ended by Stop.
func Start(ctx context.Context, o Options) (*Server, error) {
	o, err := o.check()
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(ctx, o.Dir)
	if err != nil {
		return nil, err
	}
	s, err := start(ctx, o, lock)
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	return s, nil
}

func start(ctx context.Context, o Options, lock *os.File) (*Server, error) {
	if err := o.makeDirs(); err != nil {
		return nil, err
	}
	e, err := o.resolve()
	if err != nil {
		return nil, err
	}
	config, err := o.writeConfig(e)
	if err != nil {
		return nil, err
	}
	s := &Server{
		opts: o, endpoint: e, config: config, lock: lock, done: make(chan struct{}),
		http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
	begun := time.Now()
	p, err := s.launch(ctx)
	if err != nil {
		return nil, err
	}
	o.Log.Info("embedded ClickHouse is ready", "http", s.HTTPAddr(), "native", s.NativeAddr(), "dir", o.Dir, "took",
		time.Since(begun).Round(time.Millisecond))
	supervised, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	go s.supervise(supervised, p)
	return s, nil
}

// launch starts one process and waits until it answers.
func (s *Server) launch(ctx context.Context) (*process, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	p, err := startProcess(s.opts, s.config, s.lock)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.current = p
	s.mu.Unlock()
	if err := waitReady(ctx, p, s); err != nil {
		p.kill()
		<-p.exited
		return nil, err
	}
	return p, nil
}

// supervise keeps a process running until Stop ends ctx, or until it cannot be started any more.
func (s *Server) supervise(ctx context.Context, p *process) {
	defer close(s.done)
	defer func() { _ = s.lock.Close() }()
	for {
		select {
		case <-ctx.Done():
			if !p.stop(stopGrace) {
				s.opts.Log.Debug("embedded ClickHouse had open connections and was killed; nothing acknowledged is lost")
			}
			return
		case <-p.exited:
			s.opts.Log.Warn("embedded ClickHouse ended by itself and is started again", "error", cmp.Or(p.err, errEnded),
				"last", p.console.last())
		}
		var err error
		if p, err = s.relaunch(ctx); err != nil {
			if ctx.Err() == nil {
				s.fail(err)
			}
			return
		}
	}
}

// relaunch starts a process again, with growing pauses between failures, until ctx ends.
func (s *Server) relaunch(ctx context.Context) (*process, error) {
	begun, failures := time.Now(), 0
	p, err := backoff.Retry(ctx, func() (*process, error) {
		begun = time.Now()
		return s.launch(ctx)
	}, backoff.WithMaxTries(maxTries), backoff.WithMaxElapsedTime(0), backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: s.opts.firstPause, Multiplier: 2, MaxInterval: maxPause,
	}), backoff.WithNotify(func(err error, _ time.Duration) {
		failures++
		s.opts.Log.Warn("embedded ClickHouse does not start", "try", failures, "error", err)
	}))
	if err != nil {
		return nil, fmt.Errorf("the embedded ClickHouse could not be started again in %d tries, its log is in %s: %w",
			maxTries, s.opts.LogDir(), err)
	}
	s.mu.Lock()
	s.restarts++
	s.mu.Unlock()
	s.opts.Log.Info("embedded ClickHouse is back", "took", time.Since(begun).Round(time.Millisecond))
	return p, nil
}

func (s *Server) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// Stop ends the server, cleanly if it can within a second, and returns when its process is gone or ctx is done. Close
// connection pools first: an open connection makes the end less clean, though nothing acknowledged is lost. It may be
// called more than once.
func (s *Server) Stop(ctx context.Context) error {
	s.stop()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop the embedded ClickHouse: %w", ctx.Err())
	}
}

// Wait blocks until the server has ended for good and returns why: nil after Stop.
func (s *Server) Wait() error {
	<-s.done
	return s.Err()
}

// Done is closed when the server has ended for good.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err is why the supervisor gave up; nil while it has not, and after Stop.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// HTTPAddr is the host:port of the HTTP interface.
func (s *Server) HTTPAddr() string { return s.endpoint.httpAddr() }

// NativeAddr is the host:port of the native protocol.
func (s *Server) NativeAddr() string { return s.endpoint.nativeAddr() }

// LogDir is the directory of the server's log files.
func (s *Server) LogDir() string { return s.opts.LogDir() }

// Pid is the process id of the child as it is now; it changes with a restart.
func (s *Server) Pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current.cmd.Process.Pid
}

// Restarts is how often the child was started again.
func (s *Server) Restarts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.restarts
}

// ClickHouse returns the options of a connection over the native protocol as user kasi to database kasi.
func (s *Server) ClickHouse() *clickhouse.Options {
	return &clickhouse.Options{
		Addr:        []string{s.NativeAddr()},
		Auth:        clickhouse.Auth{Database: databaseKasi, Username: userKasi, Password: s.opts.KasiPassword},
		DialTimeout: 5 * time.Second,
	}
}
