package deploy

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

var legend = regexp.MustCompile(`\{\{(\w+)\}\}`)

// playMonth runs `kasi demo november` with few policies and `kasi verify --follow`, lets things happen that a month
// seldom brings, and scrapes both all the while.
func playMonth(t *testing.T) *scrapes {
	s := &scrapes{
		now:    time.Date(2025, 11, 1, 0, 0, 0, 0, time.UTC),
		series: map[string]labels.Labels{}, points: map[string][]chunks.Sample{},
	}
	dir, metrics, verify, api, kafka := t.TempDir(), address(t), address(t), address(t), address(t)
	clickhouse := address(t)
	env := []string{"KASI_API_KEYS=demo=key", "KASI_ANALYST_PASSWORD=analyst-test"}
	product := begin(t, env, "demo", "november", "--policies", "120", "--data-dir", dir, "--http", api, "--kafka", kafka,
		"--clickhouse-http", clickhouse, "--clickhouse-native", address(t), "--metrics", metrics, "--webhooks-allow-private")
	s.targets = []string{metrics, verify}
	s.until(t, product, "a month and its result", func() bool {
		return strings.Contains(product.said(), "All of it is still up")
	})

	cl, err := kgo.NewClient(kgo.SeedBrokers(kafka))
	require.NoError(t, err)
	defer cl.Close()
	bad := &kgo.Record{Topic: "kasi.feed.transactions.v1", Value: []byte("no JSON")}
	require.NoError(t, cl.ProduceSync(t.Context(), bad).FirstErr())
	post(t, "http://"+api+"/v1/webhooks", `{"url":"http://`+address(t)+`/","events":["execution.completed"]}`)
	post(t, "http://"+api+"/v1/collections/execute", `{"period_month":"2025-12"}`)
	begin(t, env, "verify", "--follow", "--every", "1s", "--kafka-brokers", kafka, "--clickhouse-http", clickhouse,
		"--metrics", verify)
	s.until(t, product, "a webhook that waits", func() bool { return s.serves("kasi_webhook_oldest_waiting_seconds") })
	s.until(t, product, "verify's word", func() bool { return s.serves("kasi_verify_differences") })
	// What the engines are asked for at a scrape is left out where they take long.
	s.until(t, product, "an answer of every engine", func() bool {
		return !slices.ContainsFunc([]string{
			"kasi_lag_records", "kasi_clearing_balance_cents", "kasi_debits", "kasi_clickhouse_disk_bytes",
			"kasi_kafka_log_bytes",
		}, func(name string) bool { return !s.serves(name) })
	})
	return s
}

// until scrapes the targets until something is so.
func (s *scrapes) until(t *testing.T, p *process, what string, so func() bool) {
	t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for !so() {
		require.True(t, time.Now().Before(deadline) && !p.ended.Load(), "%s did not come:\n%s", what, p.said())
		s.next()
		for _, target := range s.targets {
			s.scrape(t, target)
		}
		<-time.After(100 * time.Millisecond)
	}
}

// scrape asks a target, if it is up.
func (s *scrapes) scrape(t *testing.T, target string) {
	res, err := http.Get("http://" + target + "/metrics")
	if err != nil {
		return
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	s.add(t, target, text)
}

// process is a kasi that runs, and what it has said.
type process struct {
	mu    sync.Mutex
	out   bytes.Buffer
	ended atomic.Bool
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// Write implements io.Writer.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

// begin starts the program that `make build` made; it is stopped when the test ends.
func begin(t *testing.T, env []string, args ...string) *process {
	cmd := exec.CommandContext(context.Background(), kasi(t), args...)
	cmd.Env = append(cmd.Environ(), env...)
	p := new(process)
	cmd.Stdout, cmd.Stderr = p, p
	require.NoError(t, cmd.Start())
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		p.ended.Store(true)
		close(done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		<-done
		if t.Failed() {
			t.Logf("%s:\n%s", strings.Join(args, " "), p.said())
		}
	})
	return p
}

func post(t *testing.T, url, body string) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("X-API-Key", "key")
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Contains(t, []int{http.StatusCreated, http.StatusAccepted}, res.StatusCode, "%s: %s", url, b)
}

func address(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}
