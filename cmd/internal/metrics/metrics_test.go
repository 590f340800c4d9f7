package metrics

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	chsink "github.com/kasi-collections/kasi/sinks/clickhouse"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/stage"
)

// What the stages and the sink tell must be heard: an interface that is not met is a metric that stays silent.
var (
	_ stage.Observer  = (*Metrics)(nil)
	_ chsink.Observer = (*Metrics)(nil)
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
	m := New(map[string][]string{"collect": {"collect"}, "sink": {"sink"}})
	m.Committed("collect", 7, 11)
	m.Committed("collect", 1, 2)
	m.Aborted("collect", errors.New("rebalance"))
	m.Restored("collect", 1500*time.Millisecond)
	m.Refused("collect", "UNKNOWN_DEBIT")
	m.Took("collect", time.Now().Add(-30*time.Millisecond))
	m.Took("collect", time.Now().Add(time.Hour)) // a producer whose clock runs ahead
	m.Inserted("debits_log", 40, time.Now().Add(-2*time.Second))
	m.InsertFailed("debits_log")
	m.Missing("kasi.debits.v1", 3, 17)
	m.Refilled("debits_log", 5)
	code, body := get(t, m, "/metrics")
	require.Equal(t, http.StatusOK, code)
	for _, line := range []string{
		`kasi_records_total{direction="in",stage="collect"} 8`, `kasi_records_total{direction="out",stage="collect"} 13`,
		`kasi_transactions_total{outcome="committed",stage="collect"} 2`,
		`kasi_transactions_total{outcome="aborted",stage="collect"} 1`,
		`kasi_restore_seconds{stage="collect"} 1.5`, `kasi_dead_letters_total{class="UNKNOWN_DEBIT",stage="collect"} 1`,
		`kasi_record_seconds_bucket{stage="collect",le="0.064"} 2`, `kasi_record_seconds_count{stage="collect"} 2`,
		`kasi_record_seconds_bucket{stage="sink",le="1.024"} 0`, `kasi_record_seconds_bucket{stage="sink",le="4.096"} 1`,
		`kasi_sink_rows_total{table="debits_log"} 40`, `kasi_sink_inserts_total{outcome="done",table="debits_log"} 1`,
		`kasi_sink_inserts_total{outcome="failed",table="debits_log"} 1`,
		`kasi_sink_missing_events{partition="3",series="kasi.debits.v1"} 17`,
		`kasi_sink_refilled_rows_total{table="debits_log"} 5`,
	} {
		require.Contains(t, body, line+"\n")
	}
}

func TestReadiness(t *testing.T) {
	m := New(map[string][]string{"intake": {"intake", "owners"}, "sink": {"sink"}})
	code, body := get(t, m, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, "not ready: intake, sink\n", body)
	code, _ = get(t, m, "/livez")
	require.Equal(t, http.StatusOK, code)
	m.Ready("intake")
	m.Ready("sink")
	code, _ = get(t, m, "/readyz")
	require.Equal(t, http.StatusOK, code)
	m.Ended("owners", errors.New("fenced"))
	_, body = get(t, m, "/readyz")
	require.Equal(t, "not ready: intake\n", body, "half of intake is away")
	m.Ended("collect", nil)
	_, body = get(t, m, "/readyz")
	require.Equal(t, "not ready: intake\n", body, "a role of another process does not count here")
}

// What somebody must look at is told, and takes nobody's readiness.
func TestTroubles(t *testing.T) {
	m := New(map[string][]string{"intake": {"intake"}})
	m.Ready("intake")
	m.Troubled("intake", stage.TroubleRemoved, "kasi.feed.incomes.v1-0", "offsets 3 to 6 were removed")
	code, body := get(t, m, "/readyz")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "ok\ndegraded: offsets 3 to 6 were removed\n", body)
	_, body = get(t, m, "/metrics")
	require.Contains(t, body, `kasi_troubles{kind="records_removed",stage="intake",where="kasi.feed.incomes.v1-0"} 1`)
	m.Troubled("intake", stage.TroubleRemoved, "kasi.feed.incomes.v1-0", "")
	_, body = get(t, m, "/readyz")
	require.Equal(t, "ok\n", body)
	_, body = get(t, m, "/metrics")
	require.NotContains(t, body, "kasi_troubles{")
}

type waiting []progress.Waiting

func (w waiting) Waiting(_ context.Context, group progress.Group) ([]progress.Waiting, error) {
	if len(w) == 0 {
		return nil, errors.New("no broker answers")
	}
	return w, nil
}

func TestLag(t *testing.T) {
	m := New(nil)
	m.WatchLag(waiting{
		{Group: "g", Topic: "t", Records: 2, Oldest: time.Now().Add(-time.Minute)},
		{Group: "g", Topic: "u"},
	}, progress.Group{ID: "g"})
	_, body := get(t, m, "/metrics")
	require.Contains(t, body, `kasi_lag_records{group="g",topic="t"} 2`+"\n")
	require.Regexp(t, `kasi_lag_seconds\{group="g",topic="t"\} 60\.`, body)
	require.Contains(t, body, `kasi_lag_seconds{group="g",topic="u"} 0`+"\n")

	m = New(nil)
	m.WatchLag(waiting{}, progress.Group{ID: "g"})
	code, body := get(t, m, "/metrics")
	require.Equal(t, http.StatusOK, code, "brokers that are away do not take the other figures with them")
	require.True(t, strings.Contains(body, "go_goroutines") && !strings.Contains(body, "kasi_lag_records{"))
}

// ClickHouse is not asked at each scrape, but again at once after an error.
func TestClearing(t *testing.T) {
	m, asked, answer := New(nil), 0, error(nil)
	m.WatchClearing(func(context.Context) ([]chsink.Clearing, error) {
		asked++
		return []chsink.Clearing{{
			Tenant: "demo", Instructed: 500, Answered: 300, Pending: 150, Open: 1, OldestDays: 2, Items: 3,
		}}, answer
	})
	answer = errors.New("away")
	_, body := get(t, m, "/metrics")
	require.NotContains(t, body, "kasi_clearing_balance_cents{")
	answer = nil
	for range 3 {
		_, body = get(t, m, "/metrics")
		require.Contains(t, body, `kasi_clearing_balance_cents{tenant="demo"} 50`+"\n")
		require.Contains(t, body, `kasi_open_items{tenant="demo"} 3`+"\n")
		require.Contains(t, body, `kasi_open_debits{tenant="demo"} 1`+"\n")
		require.Contains(t, body, `kasi_oldest_open_debit_seconds{tenant="demo"} 172800`+"\n")
	}
	require.Equal(t, 2, asked)
}
