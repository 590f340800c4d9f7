package app_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/schemas"
)

// A running stack counts what its stages and its sink do, down to the class of a record that was refused.
func TestStackServesMetrics(t *testing.T) {
	cfg := settings(t, func(c *config.Config) { c.Metrics = freeAddr(t) })
	s, err := app.Up(t.Context(), cfg, quiet())
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Stop()) }()
	get := func(path string) (int, string) {
		resp, err := http.Get("http://" + cfg.Metrics + path)
		require.NoError(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(b)
	}
	code, body := get("/readyz")
	require.Equal(t, http.StatusOK, code, body)
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Streams().Brokers...))
	require.NoError(t, err)
	defer cl.Close()
	require.NoError(t, cl.ProduceSync(t.Context(), &kgo.Record{
		Topic: schemas.TopicFeedTransactions,
		Value: []byte(`{"transaction_id":"t1"}`),
	}).FirstErr())
	wants := []string{
		`kasi_dead_letters_total{class="MISSING_FIELD",stage="intake"} 1`,
		`kasi_transactions_total{outcome="committed",stage="collect"}`,
		`kasi_restore_seconds{stage="collect"}`, `kasi_record_seconds_count{stage="intake"} 1`,
		`kasi_sink_rows_total{table="calendar_log"} 1`,
		`kasi_lag_records{group="kasi.collect",topic="kasi.customer.timeline.v1"}`, `kasi_lag_records{group="kasi.sink"`,
		`kasi_lag_seconds{group="kasi.intake",topic="kasi.feed.transactions.v1"} 0`,
		`kasi_record_seconds_count{stage="sink"}`,
	}
	for _, want := range wants {
		require.Eventually(t, func() bool { _, body = get("/metrics"); return strings.Contains(body, want) }, 20*time.Second,
			50*time.Millisecond, "no %s", want)
	}
}

func TestMetricsAddressTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	_, err = app.Up(t.Context(), settings(t, func(c *config.Config) { c.Metrics = taken.Addr().String() }), quiet())
	require.ErrorContains(t, err, "choose another address with --metrics")
}
