package metrics

import (
	"context"
	"time"

	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/prometheus/client_golang/prometheus"
)

// askPatience bounds how long a scrape waits for the brokers, or for ClickHouse.
const askPatience = 3 * time.Second

// Queue tells what waits for a group; *progress.Tracker does.
type Queue interface {
	Waiting(ctx context.Context, group progress.Group) ([]progress.Waiting, error)
}

// lags asks the brokers at each scrape how far the groups are.
type lags struct {
	queue            Queue
	groups           []progress.Group
	records, seconds *prometheus.Desc
}

// WatchLag adds the lag of consumer groups, in records and in seconds.
func (m *Metrics) WatchLag(queue Queue, groups ...progress.Group) {
	m.registry.MustRegister(&lags{
		queue, groups,
		prometheus.NewDesc("kasi_lag_records",
			"Offsets a group has not taken over; 0 where only transaction markers are left.", []string{"group", "topic"}, nil),
		prometheus.NewDesc("kasi_lag_seconds",
			"Age of the oldest record that a group has not taken over, by the timestamp its producer gave it; 0 where none "+
				"waits.",
			[]string{"group", "topic"}, nil),
	})
}

// Describe implements prometheus.Collector.
func (l *lags) Describe(ch chan<- *prometheus.Desc) { ch <- l.records; ch <- l.seconds }

// Collect implements prometheus.Collector. What the brokers do not answer is left out, and the scrape says so.
func (l *lags) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), askPatience)
	defer cancel()
	for _, group := range l.groups {
		rows, err := l.queue.Waiting(ctx, group)
		if err != nil {
			ch <- prometheus.NewInvalidMetric(l.records, err)
			continue
		}
		for _, w := range rows {
			age := 0.0
			if !w.Oldest.IsZero() {
				age = max(0, time.Since(w.Oldest).Seconds())
			}
			ch <- prometheus.MustNewConstMetric(l.records, prometheus.GaugeValue, float64(w.Records), w.Group, w.Topic)
			ch <- prometheus.MustNewConstMetric(l.seconds, prometheus.GaugeValue, age, w.Group, w.Topic)
		}
	}
}
