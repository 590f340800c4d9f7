package bugs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// stopPatience is how long `go test` may take to end after it was asked to.
const stopPatience = 10 * time.Second

// tested is what one `go test` said.
type tested struct {
	ran      int
	failed   []string // tests that failed, or were running when the binary crashed, without the parents of such
	compiled bool
	timedOut bool
	ok       bool
	output   string
	took     time.Duration
}

// event is a line of `go test -json`.
type event struct {
	Action, Package, Test, Output, FailedBuild string
}

// goTest runs tests of one package; dir is a directory of its own for what they leave behind. The error is that of a
// `go test` that could not be run at all.
func goTest(ctx context.Context, root, dir string, args ...string) (tested, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json", "-vet=off", "-count=1"}, args...)...)
	cmd.Dir = root
	// The embedded Kafka: its faults can be placed, and it costs a millisecond.
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "KASI_TEST_KAFKA=embedded", "KASI_TEST_KAFKA_BROKERS=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = stopPatience
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	start := time.Now()
	err := cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the test binary, where `go test` went without it
	}
	if ctx.Err() != nil {
		return tested{}, ctx.Err()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return tested{}, fmt.Errorf("go test: %w", err)
	}
	if err != nil && out.Len() == 0 {
		return tested{}, fmt.Errorf("go test %s: %w\n%s", strings.Join(args, " "), err, errs.String())
	}
	t := readEvents(&out)
	t.ok, t.took = err == nil, time.Since(start)
	t.output += errs.String()
	return t, nil
}

// readEvents makes sense of the output of `go test -json`.
func readEvents(r io.Reader) tested {
	t := tested{compiled: true}
	var text strings.Builder
	running, failed := map[string]bool{}, map[string]bool{}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		if json.Unmarshal(line, &e) == nil {
			text.WriteString(e.Output)
			switch {
			case e.Action == "build-fail" || e.FailedBuild != "":
				t.compiled = false
			case e.Test == "":
			case e.Action == "run":
				t.ran++
				running[e.Test] = true
			case e.Action == "fail":
				failed[e.Test] = true
				delete(running, e.Test)
			case e.Action == "pass" || e.Action == "skip":
				delete(running, e.Test)
			}
		}
		if err != nil {
			break
		}
	}
	t.output = text.String()
	t.timedOut = strings.Contains(t.output, "panic: test timed out after ")
	for name := range running { // a crash ends the binary without a word about them
		failed[name] = true
	}
	for name := range failed {
		parent := false
		for other := range failed {
			parent = parent || strings.HasPrefix(other, name+"/")
		}
		if !parent {
			t.failed = append(t.failed, name)
		}
	}
	slices.Sort(t.failed)
	return t
}
