// Package metrics counts what the roles of a process do, for Prometheus, and says whether the process lives and is
// ready.
package metrics

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is what one process counts. It hears the stages (stage.Observer) and the sink
// (chsink.Observer).
type Metrics struct {
	registry                                   *prometheus.Registry
	records, transactions, dead, inserts, rows *prometheus.CounterVec
	refilled                                   *prometheus.CounterVec
	restore, troubles, missing                 *prometheus.GaugeVec
	seconds                                    *prometheus.HistogramVec
	hooks                                      *hooks

	mu    sync.Mutex
	ready map[string]bool   // by role
	role  map[string]string // by stage
	// degraded are the texts of troubles that are not over, by stage, kind and place.
	degraded map[[3]string]string
}

// New makes the metrics of a process that runs these roles, each with the stages that it runs. A role is unready until
// Ready.
func New(stages map[string][]string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(), ready: map[string]bool{}, role: map[string]string{},
		degraded: map[[3]string]string{},
	}
	auto := promauto.With(m.registry)
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return auto.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m.records = counter("kasi_records_total",
		"Records of committed transactions: read (in) and written, the changelog included (out).", "stage", "direction")
	m.transactions = counter("kasi_transactions_total",
		"Kafka transactions by outcome; the records of an aborted one are read again.", "stage", "outcome")
	m.dead = counter("kasi_dead_letters_total", "Records refused, by class.", "stage", "class")
	m.inserts = counter("kasi_sink_inserts_total",
		"Inserts into ClickHouse by outcome; a failed one is tried again under the same token.", "table", "outcome")
	m.rows = counter("kasi_sink_rows_total", "Rows inserted into ClickHouse.", "table")
	m.refilled = counter("kasi_sink_refilled_rows_total",
		"Rows that ClickHouse had lost and that were brought back from Kafka.", "table")
	m.missing = auto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kasi_sink_missing_events",
		Help: "Events below the sink's mark that ClickHouse lacks; settlements wait while it is not 0.",
	}, []string{"series", "partition"})
	m.restore = auto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kasi_restore_seconds", Help: "How long the stage's latest restore of state took.",
	}, []string{"stage"})
	m.troubles = auto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kasi_troubles", Help: "1 for what somebody must look at while the rest goes on; /readyz says it in words.",
	}, []string{"stage", "kind", "where"})
	m.seconds = auto.NewHistogramVec(prometheus.HistogramOpts{
		Name: "kasi_record_seconds",
		Help: "From a record's own timestamp to the commit that took it over; of a sink, to its rows in ClickHouse.",
		// From 1 ms to about 17 minutes: a stage that was away catches up on old records.
		Buckets: prometheus.ExponentialBuckets(0.001, 4, 11),
	}, []string{"stage"})
	m.hooks = newHooks(m.registry)
	m.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for role, names := range stages {
		m.ready[role] = false
		for _, stage := range names {
			m.role[stage] = role
		}
	}
	return m
}

// Committed implements stage.Observer.
func (m *Metrics) Committed(stage string, in, out int) {
	m.transactions.WithLabelValues(stage, "committed").Inc()
	m.records.WithLabelValues(stage, "in").Add(float64(in))
	m.records.WithLabelValues(stage, "out").Add(float64(out))
}

// Aborted implements stage.Observer.
func (m *Metrics) Aborted(stage string, _ error) {
	m.transactions.WithLabelValues(stage, "aborted").Inc()
}

// Took implements stage.Observer.
func (m *Metrics) Took(stage string, written time.Time) {
	m.seconds.WithLabelValues(stage).Observe(max(0, time.Since(written).Seconds()))
}

// Refused implements stage.Observer.
func (m *Metrics) Refused(stage, class string) { m.dead.WithLabelValues(stage, class).Inc() }

// Restored implements stage.Observer.
func (m *Metrics) Restored(stage string, took time.Duration) {
	m.restore.WithLabelValues(stage).Set(took.Seconds())
}

// Ended implements stage.Observer: the stage's role is not ready until it serves again.
func (m *Metrics) Ended(stage string, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if role, ours := m.role[stage]; ours {
		m.ready[role] = false
	}
}

// Troubled implements stage.Observer.
func (m *Metrics) Troubled(stage, kind, where, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if text == "" {
		m.troubles.DeleteLabelValues(stage, kind, where)
		delete(m.degraded, [3]string{stage, kind, where})
		return
	}
	m.troubles.WithLabelValues(stage, kind, where).Set(1)
	m.degraded[[3]string{stage, kind, where}] = strings.ReplaceAll(text, "\n", "; ")
}

// Inserted implements chsink.Observer.
func (m *Metrics) Inserted(table string, rows int, oldest time.Time) {
	m.inserts.WithLabelValues(table, "done").Inc()
	m.rows.WithLabelValues(table).Add(float64(rows))
	m.Took("sink", oldest)
}

// InsertFailed implements chsink.Observer.
func (m *Metrics) InsertFailed(table string) { m.inserts.WithLabelValues(table, "failed").Inc() }

// Missing implements chsink.Observer.
func (m *Metrics) Missing(series string, partition int32, events int64) {
	m.missing.WithLabelValues(series, strconv.Itoa(int(partition))).Set(float64(events))
}

// Refilled implements chsink.Observer.
func (m *Metrics) Refilled(table string, rows int) {
	m.refilled.WithLabelValues(table).Add(float64(rows))
}

// Ready notes that a role serves.
func (m *Metrics) Ready(role string) {
	m.Troubled(role, troubleRole, role, "")
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ready[role] = true
}

// troubleRole is the kind of trouble of a role that stands aside.
const troubleRole = "role_aside"

// StandsAside notes that a role cannot go on, and why.
func (m *Metrics) StandsAside(role string, why error) {
	m.Troubled(role, troubleRole, role, fmt.Sprintf("%s stands aside and is tried again: %v", role, why))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ready[role] = false
}

// Degraded are the troubles that are not over, in words.
func (m *Metrics) Degraded() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Values(m.degraded))
}

// Handler serves /metrics, /livez and /readyz. /readyz is 503 and names the roles that do not serve yet. It also
// tells what somebody must look at, which by itself leaves it 200.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry,
		promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		degraded := m.Degraded()
		m.mu.Lock()
		defer m.mu.Unlock()
		waiting := slices.DeleteFunc(slices.Sorted(maps.Keys(m.ready)), func(role string) bool { return m.ready[role] })
		if len(waiting) > 0 {
			http.Error(w, "not ready: "+strings.Join(waiting, ", "), http.StatusServiceUnavailable)
		} else {
			_, _ = fmt.Fprintln(w, "ok")
		}
		for _, text := range degraded {
			_, _ = fmt.Fprintln(w, "degraded: "+text)
		}
	})
	return mux
}
