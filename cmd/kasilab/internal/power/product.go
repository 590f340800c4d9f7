package power

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/kasi-collections/kasi/cmd/kasilab/internal/storm"
)

// product is `kasi up` on a disk.
type product struct {
	o                               Options
	disk                            *Disk
	http, kafka, clickhouse, native string
	cmd                             *exec.Cmd
	killed                          []int
}

func newProduct(o Options, disk *Disk) (*product, error) {
	free, err := addrs(4)
	if err != nil {
		return nil, err
	}
	return &product{o: o, disk: disk, http: free[0], kafka: free[1], clickhouse: free[2], native: free[3]}, nil
}

// addrs are addresses that nobody listens on, below those that the kernel gives to outgoing connections: while the
// product is away, none of these may take them.
func addrs(n int) (free []string, err error) {
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 12_000+rand.IntN(20_000))
		var l net.Listener
		if l, err = net.Listen("tcp", addr); err != nil {
			continue
		}
		defer l.Close()
		if free = append(free, addr); len(free) == n {
			return free, nil
		}
	}
	return nil, err
}

// start returns when the product serves.
func (p *product) start(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(p.o.Dir, "kasi.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd = p.o.Kasi(append([]string{
		"up", "--data-dir", filepath.Join(p.disk.Path(), "kasi"), "--calendar", "manual", "--date", "2025-11-01",
		"--http", p.http, "--kafka", p.kafka, "--clickhouse-http", p.clickhouse, "--clickhouse-native", p.native,
		"--queries-per-minute", "0", "--updates-per-minute", "0",
	}, p.o.Flags...)...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return err
	}
	pid := p.cmd.Process.Pid
	ended := false
	err = storm.WaitFor(ctx, "kasi up to serve, see "+log.Name(), func() bool {
		ended = !alive(pid)
		return ended || storm.Answers(ctx, "http://"+p.http+"/readyz")
	})
	if ended {
		return fmt.Errorf("kasi up ended by itself, see %s", log.Name())
	}
	return err
}

// kill kills the product and the processes that it started.
func (p *product) kill() {
	if p.cmd == nil || p.cmd.Process == nil {
		return
	}
	p.killed = append(children(p.cmd.Process.Pid), p.cmd.Process.Pid)
	for _, pid := range p.killed {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// wait returns when they are gone.
func (p *product) wait(ctx context.Context) error {
	if p.cmd == nil || p.cmd.Process == nil {
		return nil
	}
	_ = p.cmd.Wait()
	for _, pid := range p.killed {
		err := storm.WaitFor(ctx, fmt.Sprintf("process %d to end", pid), func() bool { return !alive(pid) })
		if err != nil {
			return err
		}
	}
	return nil
}

// alive is false for a zombie, too, once its last thread has ended and with it what it held open.
func alive(pid int) bool {
	state, _ := stat(pid)
	threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	return state != "" && (state != "Z" && state != "X" || len(threads) > 1)
}

// children are the processes that a process started itself.
func children(of int) (pids []int) {
	entries, _ := os.ReadDir("/proc") // Linux has it, as it has FUSE
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if _, parent := stat(pid); parent == of {
			pids = append(pids, pid)
		}
	}
	return pids
}

func stat(pid int) (state string, parent int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return "", 0
	}
	parent, err = strconv.Atoi(fields[1])
	if err != nil {
		return "", 0
	}
	return fields[0], parent
}
