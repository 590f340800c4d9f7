package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/kasi-collections/kasi/schemas"
)

// hooks is what is counted of webhooks.
type hooks struct {
	tried   *prometheus.CounterVec
	waiting *prometheus.GaugeVec
	oldest  *prometheus.Desc

	mu    sync.Mutex
	since map[[2]string]time.Time // by tenant and webhook
}

func newHooks(registry *prometheus.Registry) *hooks {
	h := &hooks{since: map[[2]string]time.Time{}}
	auto := promauto.With(registry)
	h.tried = auto.NewCounterVec(prometheus.CounterOpts{
		Name: "kasi_webhook_deliveries_total",
		Help: "Attempts to deliver an event by what came of them: delivered, retrying, or failed for good.",
	}, []string{"tenant", "webhook", "outcome"})
	h.waiting = auto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kasi_webhook_waiting", Help: "Deliveries that wait, as far as they are read (20,000 at most).",
	}, []string{"tenant", "webhook"})
	h.oldest = prometheus.NewDesc("kasi_webhook_oldest_waiting_seconds",
		"Since the oldest delivery that waits was asked for; 0 where none waits.", []string{"tenant", "webhook"}, nil)
	registry.MustRegister(h)
	return h
}

// Describe implements prometheus.Collector.
func (h *hooks) Describe(ch chan<- *prometheus.Desc) { ch <- h.oldest }

// Collect implements prometheus.Collector.
func (h *hooks) Collect(ch chan<- prometheus.Metric) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for of, since := range h.since {
		age := 0.0
		if !since.IsZero() {
			age = max(0, time.Since(since).Seconds())
		}
		ch <- prometheus.MustNewConstMetric(h.oldest, prometheus.GaugeValue, age, of[0], of[1])
	}
}

// WebhookTried implements webhooks.Observer.
func (m *Metrics) WebhookTried(tenant, webhook string, status schemas.DeliveryStatus) {
	m.hooks.tried.WithLabelValues(tenant, webhook, string(status)).Inc()
}

// WebhookWaits implements webhooks.Observer.
func (m *Metrics) WebhookWaits(tenant, webhook string, waiting int, oldest time.Time) {
	m.hooks.waiting.WithLabelValues(tenant, webhook).Set(float64(waiting))
	m.hooks.mu.Lock()
	defer m.hooks.mu.Unlock()
	m.hooks.since[[2]string{tenant, webhook}] = oldest
}

// WebhookGone implements webhooks.Observer.
func (m *Metrics) WebhookGone(tenant, webhook string) {
	m.hooks.waiting.DeleteLabelValues(tenant, webhook)
	m.hooks.mu.Lock()
	defer m.hooks.mu.Unlock()
	delete(m.hooks.since, [2]string{tenant, webhook})
}
