// Package embedded runs the real ClickHouse server out of libchdb: no installation, one directory, HTTP and native
// port.
//
// Guarantee: what ClickHouse has acknowledged is there after a crash or a kill -9 of the server process or of ours. A
// power cut may take the last rows, because there is no fsync unless Options.Durable asks for it.
//
// The server is a child process of our own binary, so a fault in it cannot take us with it. When it dies, it is started
// again on the same ports. When we die, it dies. DESIGN.md beside this file names the traps and says what happens on
// each failure.
package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/cenkalti/backoff/v5"
)

const (
	userKasi     = "kasi"
	databaseKasi = "kasi"

	startTimeout = 2 * time.Minute       // a directory with very many parts takes long to load
	probeEvery   = 20 * time.Millisecond // how often a starting server is asked

	// The pause after a failed restart doubles from firstPause to maxPause. maxTries is how many restarts in a row may
	// fail before the supervisor gives up.
	firstPause = 100 * time.Millisecond
	maxPause   = 10 * time.Second
	maxTries   = 8
)

// Server is a running ClickHouse. After a crash or kill of its process it comes back by itself, on the same ports and
// with the same data. Calls made meanwhile fail with a connection error, and the caller repeats them.
type Server struct {
	opts          Options
	http, native  addr
	lock          *os.File
	stop          context.CancelFunc // ends the supervisor
	done          chan struct{}      // closed when the supervisor has ended
	err           error              // why; valid once done is closed
	pid, restarts atomic.Int64
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
	s := &Server{opts: o, lock: lock, done: make(chan struct{})}
	if err := s.start(ctx); err != nil {
		_ = lock.Close()
		return nil, err
	}
	return s, nil
}

func (s *Server) start(ctx context.Context) (err error) {
	if err := s.opts.makeDirs(); err != nil {
		return err
	}
	if s.http, s.native, err = s.opts.resolve(); err != nil {
		return err
	}
	if err := s.opts.writeConfig(s.http, s.native); err != nil {
		return err
	}
	begun := time.Now()
	p, err := s.launch(ctx)
	if err != nil {
		return err
	}
	s.opts.Log.Info("embedded ClickHouse is ready", "http", s.HTTPAddr(), "native", s.NativeAddr(), "dir", s.opts.Dir,
		"took", time.Since(begun).Round(time.Millisecond))
	supervised, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	go s.supervise(supervised, p)
	return nil
}

// launch starts one process and waits until it answers.
func (s *Server) launch(ctx context.Context) (*process, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	p, err := startProcess(s.opts, s.lock)
	if err != nil {
		return nil, err
	}
	s.pid.Store(int64(p.cmd.Process.Pid))
	if err := s.waitReady(ctx, p); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// waitReady returns when a query has been answered on both ports, or says why that did not happen.
func (s *Server) waitReady(ctx context.Context, p *process) error {
	for {
		last := s.probe(ctx)
		if last == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("the embedded ClickHouse ended while starting (%w); its last words:\n%s",
				cmp.Or(p.err, errEnded), p.last())
		case <-p.startFailed:
			p.stop() // the rest of the message follows on the next lines; the clean end brings all of them
			return fmt.Errorf("the embedded ClickHouse could not start on %s and %s; its last words:\n%s", s.HTTPAddr(),
				s.NativeAddr(), p.last())
		case <-ctx.Done():
			return fmt.Errorf("the embedded ClickHouse did not answer in time (%w); last error: %w; its log is in %s", ctx.Err(),
				last, s.LogDir())
		case <-time.After(probeEvery):
		}
	}
}

var errEnded = errors.New("without an error")

// probe asks one query on each port as user kasi.
func (s *Server) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	overHTTP := s.ClickHouse()
	overHTTP.Protocol, overHTTP.Addr = clickhouse.HTTP, []string{s.HTTPAddr()}
	overHTTP.TransportFunc = func(t *http.Transport) (http.RoundTripper, error) {
		t.Proxy = nil
		return t, nil
	}
	for _, opts := range []*clickhouse.Options{overHTTP, s.ClickHouse()} {
		conn, err := clickhouse.Open(opts)
		if err == nil {
			err = errors.Join(conn.Exec(ctx, "SELECT 1"), conn.Close())
		}
		if err != nil {
			return fmt.Errorf("%s: %w", opts.Protocol, err)
		}
	}
	return nil
}

// supervise keeps a process running until Stop ends ctx, or until it cannot be started any more.
func (s *Server) supervise(ctx context.Context, p *process) {
	defer close(s.done)
	defer s.lock.Close()
	for {
		select {
		case <-ctx.Done():
			if !p.stop() {
				s.opts.Log.Debug("embedded ClickHouse had open connections and was killed; nothing acknowledged is lost")
			}
			return
		case <-p.exited:
			s.opts.Log.Warn("embedded ClickHouse ended by itself and is started again", "error", cmp.Or(p.err, errEnded),
				"last", p.last())
		}
		var err error
		if p, err = s.relaunch(ctx); err != nil {
			if ctx.Err() == nil {
				s.err = err
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
			maxTries, s.LogDir(), err)
	}
	s.restarts.Add(1)
	s.opts.Log.Info("embedded ClickHouse is back", "took", time.Since(begun).Round(time.Millisecond))
	return p, nil
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

// Done is closed when the server has ended for good.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err is why the supervisor gave up; nil while it has not, and after Stop.
func (s *Server) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// HTTPAddr is the host:port of the HTTP interface.
func (s *Server) HTTPAddr() string { return s.http.String() }

// NativeAddr is the host:port of the native protocol.
func (s *Server) NativeAddr() string { return s.native.String() }

// LogDir is where the server writes clickhouse.log, clickhouse.err.log and console.log.
func (s *Server) LogDir() string { return s.opts.in("log") }

// Pid is the process id of the child as it is now; it changes with a restart.
func (s *Server) Pid() int { return int(s.pid.Load()) }

// Restarts is how often the child was started again.
func (s *Server) Restarts() int { return int(s.restarts.Load()) }

// ClickHouse returns the options of a connection over the native protocol as user kasi to database kasi.
func (s *Server) ClickHouse() *clickhouse.Options {
	return &clickhouse.Options{
		Addr:        []string{s.NativeAddr()},
		Auth:        clickhouse.Auth{Database: databaseKasi, Username: userKasi, Password: s.opts.KasiPassword},
		DialTimeout: 5 * time.Second,
	}
}

// ErrInUse is returned when another process runs a server on the directory.
var ErrInUse = errors.New("the directory is in use")

// lockDir takes the directory. The lock belongs to the open file, which the child inherits. So it is free only when
// both processes are gone. A directory whose owner has died is waited for, because that owner's child is about to end.
func lockDir(ctx context.Context, dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make the directory of the embedded ClickHouse: %w", err)
	}
	path := filepath.Join(dir, "kasi.lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the directory of the embedded ClickHouse: %w", err)
	}
	owner, err := backoff.Retry(ctx, func() (owner int, err error) {
		if err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			text, _ := os.ReadFile(path)
			if owner, _ = strconv.Atoi(strings.TrimSpace(string(text))); alive(owner) {
				err = backoff.Permanent(err)
			}
		}
		return owner, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(50*time.Millisecond)),
		backoff.WithMaxElapsedTime(orphanGrace+2*time.Second))
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%w: process %d runs an embedded ClickHouse on %s; stop it, or choose another data directory",
			ErrInUse, owner, dir)
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("write the lock file: %w", err)
	}
	return file, nil
}

// alive is false for a zombie too: where nobody reaps orphans (a container without an init process) the dead keep their
// process id.
func alive(pid int) bool {
	if pid <= 0 || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, state, found := strings.Cut(string(stat), ") ")
	return !found || !strings.HasPrefix(state, "Z")
}
