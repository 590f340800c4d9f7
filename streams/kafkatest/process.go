package kafkatest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// keepFile in a cluster's directory says that its logs and data are to be kept: they show what became of a transaction.
const keepFile = "keep"

// watch runs a program and ends it when standard input closes, which the death of the test process does, however it
// dies. Then it clears the directory $1. The program is given by the remaining arguments.
const watch = `dir=$1; shift; exec 3<&0; "$@" </dev/null 3<&- & program=$!
( cat <&3 >/dev/null; kill -9 $program; wait
  [ -e "$dir/keep" ] || rm -rf "$dir" ) 2>/dev/null &
exec 3<&-; wait $program`

// process is a program that dies with us.
type process struct {
	cmd  *exec.Cmd
	tie  *os.File // open as long as the program may live
	done chan struct{}
	gone atomic.Bool
}

// java is a command with the jars of a directory and flags for Java itself.
func java(jars string, flags []string, args ...string) *exec.Cmd {
	all := append(slices.Clone(flags), "-Dorg.slf4j.simpleLogger.showDateTime=true",
		"-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS", "-cp", filepath.Join(jars, "*"))
	return exec.Command("java", append(all, args...)...)
}

// startProcess starts the command in a process group of its own, so that Ctrl-C reaches the test alone, with its output
// in a file.
func startProcess(dir, log string, program *exec.Cmd) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	stdin, tie, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer stdin.Close()
	cmd := exec.Command("sh", append([]string{"-c", watch, "kasi-kafka", dir}, program.Args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		_ = tie.Close()
		return nil, err
	}
	p := &process{cmd: cmd, tie: tie, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		p.gone.Store(true)
		close(p.done)
	}()
	return p, nil
}

func (p *process) ended() bool { return p.gone.Load() }

// kill ends the whole group, the watch included, and waits for its end.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
	_ = p.tie.Close()
}

// tail is the end of a log.
func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

// metadata asks one broker for its view of the cluster, internal topics included.
func metadata(ctx context.Context, broker string) (kadm.Metadata, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.RequestRetries(0))
	if err != nil {
		return kadm.Metadata{}, err
	}
	defer cl.Close()
	return kadm.NewClient(cl).Metadata(ctx)
}
