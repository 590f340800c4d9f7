package clickhouse

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
)

// asSink makes the test binary a sink; its value is a doomed.
const asSink = "KASI_TEST_AS_SINK"

// killsPerStep is how often a sink is killed at each of its steps; KASI_TEST_SINK_KILLS sets another number.
const killsPerStep = 3

// doomed is what a sink process is told: where to find its data and at which step to kill itself, after how many
// flushes with rows that got there.
type doomed struct {
	Brokers []string
	Address string
	Auth    clickhouse.Auth
	At      step
	After   int
}

// stepInserting stands between planned and inserted. There the sink waits for a line before its inserts, and is killed
// from outside.
const stepInserting step = -1

// What such a sink says before and after its inserts.
const sayInserting, sayInserted = "inserting", "inserted"

// runIfSink is the sink process. In one it never returns.
func runIfSink() {
	text := os.Getenv(asSink)
	if text == "" {
		return
	}
	var d doomed
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		panic(err)
	}
	tn, stdin := quick(), bufio.NewReader(os.Stdin)
	tn.session = 500 * time.Millisecond
	tn.hook = func(s step, cs []*chunk) error {
		switch {
		case !hasRows(cs):
		case s == d.At && d.After > 0:
			d.After--
		case s == d.At:
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		case d.At == stepInserting && s == stepPlanned:
			fmt.Println(sayInserting)
			_, _ = stdin.ReadString('\n')
		case d.At == stepInserting && s == stepInserted:
			fmt.Println(sayInserted)
		}
		return nil
	}
	err := run(context.Background(), sinkConfig(d.Brokers, &clickhouse.Options{Addr: []string{d.Address}, Auth: d.Auth}),
		tn, func() {})
	fmt.Fprintln(os.Stderr, "the sink ended by itself:", err)
	os.Exit(1)
}

// A sink process that is killed with kill -9 at a step of its flushes, again and again, with records arriving all the
// while, so that whoever comes next would choose other ranges: nothing is lost and nothing is stored twice.
func TestSinkKilledAtEachStep(t *testing.T) {
	kills := killsPerStep
	if n, err := strconv.Atoi(os.Getenv("KASI_TEST_SINK_KILLS")); err == nil {
		kills = n
	}
	for _, at := range []step{stepStarted, stepPlanned, stepInserting, stepInserted, stepKept, stepMarked, stepCommitted} {
		name := "inserting"
		if at != stepInserting {
			name = at.String()
		}
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 2)
			began, plans := time.Now(), 0
			for killed := 0; killed < kills; {
				w.write(3)
				if w.dies(at) {
					killed++
				}
				plans += w.plans()
			}
			w.write(1)
			w.drain(quick())
			w.exact()
			t.Logf("%d kills left %d planned ranges; %d collections stored once; %s", kills, plans,
				w.rows[schemas.TopicCollections], time.Since(began).Round(time.Second))
		})
	}
}

// dies runs a sink process until it is killed at a step, and tells whether it was there that it died.
func (w *world) dies(at step) bool {
	w.t.Helper()
	p, through := newProxy(w.t, w.opts)
	told := doomed{Brokers: w.kafka.Brokers, Address: through.Addr[0], Auth: w.opts.Auth, At: at, After: rand.IntN(3)}
	cmd := exec.Command(os.Args[0]) //nolint:gosec // our own program
	cmd.Env = append(os.Environ(), asSink+"="+string(encode(w.t, told)))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(w.t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(w.t, err)
	require.NoError(w.t, cmd.Start())
	w.t.Cleanup(func() { _ = cmd.Process.Kill() })
	p.spent = func() { _ = cmd.Process.Kill() }
	dead, last := make(chan struct{}), ""
	go func() {
		defer close(dead)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			switch last = lines.Text(); last {
			case sayInserting:
				if told.After--; told.After < 0 {
					p.budget.Store(rand.Int64N(60_000)) // of some 70,000 bytes
				}
				_, _ = stdin.Write([]byte("\n"))
			case sayInserted: // more was allowed than it had to send
				p.budget.Store(-1)
			}
		}
		_ = cmd.Wait()
	}()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(30 * time.Second); ; {
		select {
		case <-dead:
			status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
			require.Equal(w.t, syscall.SIGKILL, status.Signal(), "the sink was not killed: %s\n%s", cmd.ProcessState,
				stderr.Bytes())
			return at != stepInserting || last == sayInserting
		case <-late:
			require.FailNow(w.t, "the sink does not get to its step", "%s\n%s", at, stderr.Bytes())
		case <-tick.C:
			w.write(1)
		}
	}
}

// plans counts the ranges that are written down and not committed.
func (w *world) plans() (n int) {
	w.t.Helper()
	done, err := w.admin.FetchOffsets(context.Background(), schemas.GroupSink)
	require.NoError(w.t, err)
	for _, partitions := range done {
		for _, o := range partitions {
			if _, ok := parsePlan(o.Metadata, o.At); ok {
				n++
			}
		}
	}
	return n
}
