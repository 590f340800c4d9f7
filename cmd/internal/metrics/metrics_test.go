package metrics

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/sinks"
	"github.com/kasi-collections/kasi/streams"
)

// What the stages and the sink tell must be heard: an interface that is not met is a metric that stays silent.
var (
	_ streams.RecordObserver  = (*Metrics)(nil)
	_ streams.SessionObserver = (*Metrics)(nil)
	_ sinks.Observer          = (*Metrics)(nil)
)

func get(t *testing.T, m *Metrics, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	b, err := io.ReadAll(w.Body)
	require.NoError(t, err)
	return w.Code, string(b)
}

func TestMetricsOfStagesAndSink(t *testing.T) {
	m := New("collect", "sink")
	m.Committed("collect", 7, 11)
	m.Committed("collect", 1, 2)
	m.Aborted("collect", errors.New("rebalance"))
	m.Restored("collect", 1500*time.Millisecond)
	m.Refused("collect", "UNKNOWN_DEBIT")
	m.Took("collect", time.Now().Add(-30*time.Millisecond))
	m.Took("collect", time.Now().Add(time.Hour)) // a producer whose clock runs ahead
	m.Inserted("debits_log", 40, time.Now().Add(-2*time.Second))
	m.InsertFailed("debits_log")
	code, body := get(t, m, "/metrics")
	require.Equal(t, http.StatusOK, code)
	for _, line := range []string{
		`kasi_records_total{direction="in",stage="collect"} 8`, `kasi_records_total{direction="out",stage="collect"} 13`,
		`kasi_transactions_total{outcome="committed",stage="collect"} 2`, `kasi_transactions_total{outcome="aborted",stage="collect"} 1`,
		`kasi_restore_seconds{stage="collect"} 1.5`, `kasi_dead_letters_total{class="UNKNOWN_DEBIT",stage="collect"} 1`,
		`kasi_record_seconds_bucket{stage="collect",le="0.064"} 2`, `kasi_record_seconds_count{stage="collect"} 2`,
		`kasi_record_seconds_bucket{stage="sink",le="1.024"} 0`, `kasi_record_seconds_bucket{stage="sink",le="4.096"} 1`,
		`kasi_sink_rows_total{table="debits_log"} 40`, `kasi_sink_inserts_total{outcome="done",table="debits_log"} 1`, `kasi_sink_inserts_total{outcome="failed",table="debits_log"} 1`,
	} {
		require.Contains(t, body, line+"\n")
	}
}

func TestReadiness(t *testing.T) {
	m := New("intake", "sink")
	code, body := get(t, m, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, "not ready: intake, sink\n", body)
	code, _ = get(t, m, "/livez")
	require.Equal(t, http.StatusOK, code)
	m.Ready("intake")
	m.Ready("sink")
	code, _ = get(t, m, "/readyz")
	require.Equal(t, http.StatusOK, code)
	m.Ended("policies", errors.New("fenced"))
	_, body = get(t, m, "/readyz")
	require.Equal(t, "not ready: intake\n", body, "half of intake is away")
	m.Ended("collect", nil)
	_, body = get(t, m, "/readyz")
	require.Equal(t, "not ready: intake\n", body, "a role of another process does not count here")
}

func TestLag(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "t"))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	for p := range int32(2) {
		for range 3 {
			require.NoError(t, cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Partition: p, Value: []byte("v")}).FirstErr())
		}
	}
	offsets := kadm.Offsets{}
	offsets.AddOffset("t", 0, 1, -1)
	offsets.AddOffset("t", 1, 3, -1)
	require.NoError(t, kadm.NewClient(cl).CommitAllOffsets(t.Context(), "g", offsets))
	m := New()
	end, err := m.WatchLag(c.ListenAddrs(), []string{"g"})
	require.NoError(t, err)
	_, body := get(t, m, "/metrics")
	require.Contains(t, body, `kasi_lag_records{group="g",topic="t"} 2`+"\n")
	c.Close()
	end()
	code, body := get(t, m, "/metrics")
	require.Equal(t, http.StatusOK, code, "brokers that are away do not take the other figures with them")
	require.True(t, strings.Contains(body, "go_goroutines") && !strings.Contains(body, "kasi_lag_records{"))
}
