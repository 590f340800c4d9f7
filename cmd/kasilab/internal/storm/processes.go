package storm

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	chembed "github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
	"github.com/kasi-collections/kasi/streams/retry"
)

// base is which instances run all the time.
var base = []struct{ role, instance string }{
	{"ticker", "ticker-1"},
	{"intake", "intake-1"},
	{"intake", "intake-2"},
	{"collect", "collect-1"},
	{"collect", "collect-2"},
	{"settle", "settle-1"},
	{"sink", "sink-1"},
	{"sink", "sink-2"},
	{"api", "api-1"},
}

const (
	// again is the pause before an instance that ended by itself is started again, as a supervisor of services would.
	again = 500 * time.Millisecond
	// stopPatience bounds a clean stop.
	stopPatience = 30 * time.Second
)

// processes are the product.
type processes struct {
	o             Options
	ctx           context.Context
	http, metrics string // addresses of the API and of settle's metrics
	brokers       string
	flags         []string
	starts        chan func()
	done          sync.WaitGroup

	mu      sync.Mutex
	running map[string]*instance
	ended   map[string]int // instances of a role that ended by themselves
}

// instance is one process.
type instance struct {
	role   string
	cmd    *exec.Cmd
	exited chan struct{}
	wanted bool // that it runs
}

func newProcesses(ctx context.Context, o Options, server *chembed.Server) (*processes, error) {
	free, err := freeAddrs(2)
	if err != nil {
		return nil, err
	}
	ps := &processes{
		o: o, ctx: ctx, http: free[0], metrics: free[1], brokers: strings.Join(o.Brokers, ","), starts: make(chan func()),
		running: map[string]*instance{}, ended: map[string]int{},
	}
	ps.flags = []string{
		"--kafka-brokers", ps.brokers, "--clickhouse-addr", server.NativeAddr(), "--partitions", strconv.Itoa(partitions),
		"--replication", strconv.Itoa(o.Replication),
		"--calendar", "manual", "--date", firstDay.String(),
	}
	// The kernel ends a child with the thread that started it, so all are started by one that stays.
	go func() {
		runtime.LockOSThread()
		for start := range ps.starts {
			start()
		}
	}()
	return ps, nil
}

func (ps *processes) startAll() error {
	for _, b := range base {
		if err := ps.start(b.role, b.instance); err != nil {
			return err
		}
	}
	return nil
}

// start runs an instance until it is killed or stopped; if it ends by itself, it is started again.
func (ps *processes) start(role, name string) error {
	args := append([]string{"run", role, "--instance", name}, ps.flags...)
	switch role {
	case "api":
		args = append([]string{"api", "--http", ps.http, "--queries-per-minute", "0", "--updates-per-minute", "0"},
			ps.flags...)
	case "settle":
		args = append(args, "--metrics", ps.metrics)
	}
	log, err := os.OpenFile(filepath.Join(ps.o.Dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	i := &instance{role: role, cmd: ps.o.Kasi(args...), exited: make(chan struct{}), wanted: true}
	i.cmd.Stdout, i.cmd.Stderr = log, log
	i.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	ps.starts <- func() { started <- i.cmd.Start() }
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.running[name] = i
	ps.done.Go(func() {
		_ = i.cmd.Wait()
		close(i.exited)
		ps.mu.Lock()
		revive := i.wanted && role != "ticker" // a manual calendar's ticker has done its work after the first tick
		if revive {
			ps.ended[role]++
		}
		ps.mu.Unlock()
		if revive && retry.Pause(ps.ctx, again) == nil {
			_ = ps.start(role, name) // it ran before with the same command line
		}
	})
	return nil
}

// end sends a signal and waits for the end. It says no where the instance does not run.
func (ps *processes) end(name string, sig syscall.Signal) bool {
	ps.mu.Lock()
	i := ps.running[name]
	if i == nil || !i.wanted {
		ps.mu.Unlock()
		return false
	}
	i.wanted = false
	ps.mu.Unlock()
	_ = i.cmd.Process.Signal(sig)
	select {
	case <-i.exited:
	case <-time.After(stopPatience):
		_ = i.cmd.Process.Kill()
		<-i.exited
	}
	return true
}

// signal sends a signal to an instance that runs, and tells whether it does.
func (ps *processes) signal(name string, sig syscall.Signal) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	i := ps.running[name]
	return i != nil && i.wanted && i.cmd.Process.Signal(sig) == nil
}

func (ps *processes) kill(name string) bool { return ps.end(name, syscall.SIGKILL) }
func (ps *processes) stop(name string) bool { return ps.end(name, syscall.SIGTERM) }

// endedByThemselves is how many instances of a role ended without being told.
func (ps *processes) endedByThemselves(role string) int {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.ended[role]
}

func (ps *processes) close() {
	ps.mu.Lock()
	names := slices.Collect(maps.Keys(ps.running))
	ps.mu.Unlock()
	for _, name := range names {
		ps.kill(name)
	}
	ps.done.Wait()
	close(ps.starts)
}

func freeAddrs(n int) ([]string, error) {
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return out, nil
}
