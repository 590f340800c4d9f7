package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ticksPerSecond is Linux's unit of processor time in /proc, which is the same on every machine.
const ticksPerSecond = 100

// usage is the processor time that processes and all their descendants have used, those that have ended included where
// they were waited for.
func usage(pids ...int) time.Duration {
	ticks := ofAll(func(f []string) (sum int64) {
		for _, n := range f[11:15] { // utime, stime, and those of children that were waited for
			t, _ := strconv.ParseInt(n, 10, 64)
			sum += t
		}
		return sum
	}, pids...)
	return time.Duration(ticks) * time.Second / ticksPerSecond
}

// resident is the memory that a process has in use, and all its descendants, in bytes.
func resident(pid int) (own, descendants int) {
	all := os.Getpagesize() * int(ofAll(func(f []string) int64 {
		pages, _ := strconv.ParseInt(f[21], 10, 64)
		return pages
	}, pid))
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid)) // only to be shown
	var size, pages int
	_, _ = fmt.Sscan(string(b), &size, &pages)
	return pages * os.Getpagesize(), all - pages*os.Getpagesize()
}

// ofAll adds up a figure of processes and all their descendants: what field says of their lines in /proc, from the
// state on.
func ofAll(field func([]string) int64, pids ...int) (sum int64) {
	of := map[int]int64{}
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // a well-formed pattern
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(b[strings.LastIndexByte(string(b), ')'):]), " ")
		f := strings.Fields(rest)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parent, _ := strconv.Atoi(f[1])
		of[pid] = field(f)
		children[parent] = append(children[parent], pid)
	}
	for todo := pids; len(todo) > 0; todo = todo[1:] {
		sum += of[todo[0]]
		todo = append(todo, children[todo[0]]...)
	}
	return sum
}

// child is a contender in a process of its own, so that neither its memory nor its processor time mixes with ours.
type child struct {
	cmd *exec.Cmd
	log *os.File
}

// spawn starts this program's own child command.
func spawn(ctx context.Context, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(exec.CommandContext(ctx, self, append([]string{"bench", "child"}, args...)...))
}

func start(cmd *exec.Cmd) (*child, error) {
	log, err := os.CreateTemp("", "kasilab-*.log")
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &child{cmd, log}, nil
}

func (c *child) usage() time.Duration { return usage(c.cmd.Process.Pid) }

// stop ends the child as Ctrl-C does and waits for it.
func (c *child) stop() error {
	defer remove(c.log)
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	err := c.cmd.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && (exit.ExitCode() == 143 || exit.ExitCode() == -1) {
		return nil // by this signal: how Java ends, and what has only just begun
	}
	if err != nil {
		b, _ := os.ReadFile(c.log.Name())
		return fmt.Errorf("%s: %w\n%s", strings.Join(c.cmd.Args, " "), err, b)
	}
	return nil
}

// kill ends the child as kill -9 does.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
	remove(c.log)
}

// remove ends a temporary file.
func remove(f *os.File) {
	_ = f.Close()
	_ = os.Remove(f.Name())
}

// gone tells whether the child has ended without being asked to.
func (c *child) gone() bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
	return err != nil || strings.Contains(string(b), ") Z ")
}
