package metrics

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	chsink "github.com/kasi-collections/kasi/sinks/clickhouse"
)

// clearingEvery is how long an answer of ClickHouse is used again: the question reads all debits of some months.
const clearingEvery = 30 * time.Second

// clearing asks ClickHouse where the debits stand with the bank.
type clearing struct {
	ask                   func(context.Context) ([]chsink.Clearing, error)
	balance, open, oldest *prometheus.Desc
	mu                    sync.Mutex
	rows                  []chsink.Clearing
	err                   error
	asked                 time.Time
}

// WatchClearing adds the clearing balance of each tenant, its open debits and the age of the oldest of them.
func (m *Metrics) WatchClearing(ask func(context.Context) ([]chsink.Clearing, error)) {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"tenant"}, nil)
	}
	m.registry.MustRegister(&clearing{
		ask: ask,
		balance: desc("kasi_clearing_balance_cents",
			"Instructed - succeeded - failed - disputed - pending over the last periods, in cents. Other than 0 in two "+
				"scrapes is an alarm: run kasi verify."),
		open: desc("kasi_open_debits", "Debits that the bank has not answered."),
		oldest: desc("kasi_oldest_open_debit_seconds",
			"Since the action date of the oldest open debit, in whole days of the calendar; 0 where none is open."),
	})
}

// Describe implements prometheus.Collector.
func (c *clearing) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.balance
	ch <- c.open
	ch <- c.oldest
}

// Collect implements prometheus.Collector.
func (c *clearing) Collect(ch chan<- prometheus.Metric) {
	rows, err := c.read()
	if err != nil {
		ch <- prometheus.NewInvalidMetric(c.balance, err)
		return
	}
	for _, r := range rows {
		ch <- prometheus.MustNewConstMetric(c.balance, prometheus.GaugeValue, float64(r.Balance()), r.Tenant)
		ch <- prometheus.MustNewConstMetric(c.open, prometheus.GaugeValue, float64(r.Open), r.Tenant)
		ch <- prometheus.MustNewConstMetric(c.oldest, prometheus.GaugeValue, float64(r.OldestDays)*24*time.Hour.Seconds(),
			r.Tenant)
	}
}

func (c *clearing) read() ([]chsink.Clearing, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.asked) >= clearingEvery || c.err != nil {
		ctx, cancel := context.WithTimeout(context.Background(), askPatience)
		defer cancel()
		c.rows, c.err = c.ask(ctx)
		c.asked = time.Now()
	}
	return c.rows, c.err
}
