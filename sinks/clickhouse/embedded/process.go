package embedded

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// process is one life of the child.
type process struct {
	cmd     *exec.Cmd
	console *console
	tty     *os.File // our end of the pty that is the child's standard input; closing it ends the server
	pipe    *os.File // our end of the parent pipe (childPipeFD)
	exited  chan struct{}
	err     error // how it ended; valid once exited is closed
}

// startProcess starts the child. It does not wait for the server to answer.
func startProcess(o Options, config string, lock *os.File) (*process, error) {
	exe, err := ownProgram()
	if err != nil {
		return nil, err
	}
	tty, stdin, err := openTTY()
	if err != nil {
		return nil, fmt.Errorf("open a pty for the embedded ClickHouse (is /dev/pts mounted?): %w", err)
	}
	defer func() { _ = stdin.Close() }()
	childEnd, ourEnd, err := os.Pipe()
	if err != nil {
		_ = tty.Close()
		return nil, fmt.Errorf("open a pipe for the embedded ClickHouse: %w", err)
	}
	defer func() { _ = childEnd.Close() }()

	p := &process{console: newConsole(o.LogDir(), o.Log), tty: tty, pipe: ourEnd, exited: make(chan struct{})}
	p.cmd = exec.Command(exe) //nolint:gosec // our own program
	p.cmd.Args = append([]string{childName}, childArgs(o, config)...)
	p.cmd.Env = childEnvironment(o)
	p.cmd.Dir = o.Dir
	p.cmd.Stdin = stdin
	p.cmd.Stdout = p.console
	p.cmd.Stderr = p.console
	p.cmd.ExtraFiles = []*os.File{childEnd, lock}
	p.cmd.WaitDelay = time.Second
	// In a session of its own Ctrl-C reaches only us, and the child cannot touch the user's terminal. Pdeathsig would not
	// do: it follows the thread that started the child, and Go's threads come and go.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := p.cmd.Start(); err != nil {
		_ = tty.Close()
		_ = ourEnd.Close()
		p.console.close()
		return nil, fmt.Errorf("start the embedded ClickHouse: %w", err)
	}
	go func() { _, _ = io.Copy(io.Discard, tty) }()
	go p.wait()
	return p, nil
}

// ownProgram is what to start again. The link of /proc leads to the program that is running even when its file has been
// replaced by a newer build.
func ownProgram() (string, error) {
	const running = "/proc/self/exe"
	if _, err := os.Stat(running); err == nil {
		return running, nil
	}
	exe, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find our own program to start the embedded ClickHouse: %w", err)
	}
	return exe, nil
}

// openTTY opens a pty whose near end can be closed while it is read from. pty.Open's own file is in blocking mode,
// where a pending read keeps the descriptor open past Close, and the child would never see the end of its input.
func openTTY() (near, far *os.File, err error) {
	blocking, far, err := pty.Open()
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = blocking.Close() }()
	fd, err := unix.FcntlInt(blocking.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		_ = far.Close()
		return nil, nil, err
	}
	return os.NewFile(uintptr(fd), blocking.Name()), far, nil
}

func (p *process) wait() {
	p.err = p.cmd.Wait()
	_ = p.tty.Close()
	_ = p.pipe.Close()
	p.console.close()
	close(p.exited)
}

// stop ends the server cleanly and kills it if it is still there after the grace. Killing loses nothing that was
// acknowledged.
func (p *process) stop(grace time.Duration) (clean bool) {
	_ = p.tty.Close()
	select {
	case <-p.exited:
		return true
	case <-time.After(grace):
	}
	p.kill()
	<-p.exited
	return false
}

func (p *process) kill() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }

// childArgs are clickhouse-local's. --interactive and the pty matter: otherwise any exception in a connection's thread
// ends the process.
func childArgs(o Options, config string) []string {
	return []string{
		"--path=" + o.dataDir(), "--config-file=" + config, "--log-level=warning",
		"--progress=off", "--progress-table=off", "--enable-progress-table-toggle=0",
		"--interactive", "--disable_suggestion", "--highlight=0", "--history_file=/dev/null",
		"--query=CREATE DATABASE IF NOT EXISTS kasi; SYSTEM START LISTEN QUERIES ALL",
	}
}

func childEnvironment(o Options) []string {
	env := []string{childEnv + "=" + o.Library, "HOME=" + o.Dir, "TZ=UTC", "TERM=dumb", "LC_ALL=C.UTF-8"}
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH", "TMPDIR", "GOCOVERDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
