package embedded

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

const (
	userKasi     = "kasi"
	databaseKasi = "kasi"

	startTimeout = 2 * time.Minute        // a directory with very many parts takes long to load
	stopGrace    = 900 * time.Millisecond // clean end; then the kill, which loses nothing acknowledged
	backoffFirst = 100 * time.Millisecond
	backoffMax   = 10 * time.Second
	// giveUpAfter is how many starts in a row may fail before the supervisor stops trying.
	giveUpAfter = 8
)

// Server is a running ClickHouse. After a crash or kill of its process it comes back by itself, on the same ports and
// with the same data; calls made meanwhile fail with a connection error and are for the caller to repeat.
type Server struct {
	opts endpointOptions
	http *http.Client
	lock *os.File

	stopOnce sync.Once
	stopping chan struct{} // closed when Stop is called
	done     chan struct{} // closed when the supervisor has ended

	mu       sync.Mutex
	current  *process
	restarts int
	err      error
}

type endpointOptions struct {
	Options
	endpoint
	config string
}

// Start takes the directory, starts the server and returns when it has answered a query on both ports. The server
// outlives ctx, which bounds the start only: end it with Stop.
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
		opts: endpointOptions{Options: o, endpoint: e, config: config}, lock: lock,
		http:     &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		stopping: make(chan struct{}), done: make(chan struct{}),
	}
	begun := time.Now()
	p, err := s.launch(ctx)
	if err != nil {
		return nil, err
	}
	o.Log.Info("embedded ClickHouse is ready", "http", s.HTTPAddr(), "native", s.NativeAddr(), "dir", o.Dir, "took",
		time.Since(begun).Round(time.Millisecond))
	go s.supervise(p)
	return s, nil
}

// launch starts one process and waits until it answers.
func (s *Server) launch(ctx context.Context) (*process, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	p, err := startProcess(s.opts.Options, s.opts.config, s.lock)
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

// supervise keeps a process running until Stop, or until it cannot be started any more.
func (s *Server) supervise(p *process) {
	defer close(s.done)
	defer func() { _ = s.lock.Close() }()
	for {
		select {
		case <-s.stopping:
			if !p.stop(stopGrace) {
				s.opts.Log.Debug("embedded ClickHouse had open connections and was killed; nothing acknowledged is lost")
			}
			return
		case <-p.exited:
			s.opts.Log.Warn("embedded ClickHouse ended by itself and is started again", "error", errOr(p.err, errEnded), "last",
				p.console.last())
		}
		next, err := s.relaunch()
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				s.fail(err)
			}
			return
		}
		p = next
	}
}

// relaunch tries with growing pauses; the error is context.Canceled if Stop came meanwhile.
func (s *Server) relaunch() (*process, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-s.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	pause := s.opts.firstPause
	for try := 1; ; try++ {
		begun := time.Now()
		p, err := s.launch(ctx)
		if err == nil {
			s.mu.Lock()
			s.restarts++
			s.mu.Unlock()
			s.opts.Log.Info("embedded ClickHouse is back", "took", time.Since(begun).Round(time.Millisecond))
			return p, nil
		}
		if ctx.Err() != nil {
			return nil, context.Canceled
		}
		if try == giveUpAfter {
			return nil, fmt.Errorf("the embedded ClickHouse could not be started again in %d tries, its log is in %s: %w", try,
				s.opts.LogDir(), err)
		}
		s.opts.Log.Warn("embedded ClickHouse does not start", "try", try, "error", err)
		select {
		case <-ctx.Done():
			return nil, context.Canceled
		case <-time.After(pause):
		}
		pause = min(pause*2, backoffMax)
	}
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
	s.stopOnce.Do(func() { close(s.stopping) })
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
func (s *Server) HTTPAddr() string { return s.opts.httpAddr() }

// NativeAddr is the host:port of the native protocol.
func (s *Server) NativeAddr() string { return s.opts.nativeAddr() }

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
