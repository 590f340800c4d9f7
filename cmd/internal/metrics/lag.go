package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// lagPatience bounds how long a scrape waits for the brokers.
const lagPatience = 3 * time.Second

// lags asks the brokers at each scrape how far the groups are.
type lags struct {
	adm    *kadm.Client
	groups []string
	desc   *prometheus.Desc
}

// WatchLag adds the lag of consumer groups. close ends its client.
func (m *Metrics) WatchLag(brokers []string, groups []string, opts ...kgo.Opt) (closer func(), err error) {
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(brokers...), kgo.ClientID("kasi-metrics")}, opts...)...)
	if err != nil {
		return nil, err
	}
	m.registry.MustRegister(&lags{kadm.NewClient(cl), groups, prometheus.NewDesc("kasi_lag_records",
		"Offsets a group has not taken over. The marker of the last transaction counts, so a group that is up to date shows up to 1 a partition.",
		[]string{"group", "topic"}, nil)})
	return cl.Close, nil
}

// Describe implements prometheus.Collector.
func (l *lags) Describe(ch chan<- *prometheus.Desc) { ch <- l.desc }

// Collect implements prometheus.Collector. What the brokers do not answer is left out, and the scrape says so.
func (l *lags) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), lagPatience)
	defer cancel()
	described, err := l.adm.Lag(ctx, l.groups...)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(l.desc, err)
		return
	}
	for _, g := range described {
		if err := g.Error(); err != nil {
			ch <- prometheus.NewInvalidMetric(l.desc, err)
			continue
		}
		byTopic := map[string]int64{}
		for _, p := range g.Lag.Sorted() {
			if p.Err == nil {
				byTopic[p.Topic] += max(0, p.Lag)
			}
		}
		for topic, n := range byTopic {
			ch <- prometheus.MustNewConstMetric(l.desc, prometheus.GaugeValue, float64(n), g.Group, topic)
		}
	}
}
