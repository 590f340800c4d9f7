package metrics

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	chsink "github.com/kasi-collections/kasi/sinks/clickhouse"
	"github.com/kasi-collections/kasi/streams/progress"
)

const (
	// askPatience bounds how long a scrape waits for the brokers, or for ClickHouse.
	askPatience = 3 * time.Second
	// clearingEvery is how long an answer of ClickHouse is used again: the question reads all debits of some months.
	clearingEvery = 30 * time.Second
)

// asked are gauges whose values are asked for at each scrape. What is not answered is left out, and the scrape says so.
type asked struct {
	gauges []*prometheus.Desc
	ask    func(ctx context.Context, tell tellFunc) error
}

// tellFunc gives the gauges their values, in their order.
type tellFunc func(labels []string, values ...float64)

type gauge struct{ name, help string }

func (m *Metrics) watch(gauges []gauge, labels []string, ask func(context.Context, tellFunc) error) {
	a := &asked{ask: ask}
	for _, g := range gauges {
		a.gauges = append(a.gauges, prometheus.NewDesc(g.name, g.help, labels, nil))
	}
	m.registry.MustRegister(a)
}

// Describe implements prometheus.Collector.
func (a *asked) Describe(ch chan<- *prometheus.Desc) {
	for _, g := range a.gauges {
		ch <- g
	}
}

// Collect implements prometheus.Collector.
func (a *asked) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), askPatience)
	defer cancel()
	err := a.ask(ctx, func(labels []string, values ...float64) {
		for i, v := range values {
			ch <- prometheus.MustNewConstMetric(a.gauges[i], prometheus.GaugeValue, v, labels...)
		}
	})
	if err != nil {
		ch <- prometheus.NewInvalidMetric(a.gauges[0], err)
	}
}

// Queue tells what waits for a group; *progress.Tracker does.
type Queue interface {
	Waiting(ctx context.Context, group progress.Group) ([]progress.Waiting, error)
}

// WatchLag adds the lag of consumer groups, in records and in seconds.
func (m *Metrics) WatchLag(queue Queue, groups ...progress.Group) {
	m.watch([]gauge{
		{"kasi_lag_records", "Offsets a group has not taken over; 0 where only transaction markers are left."},
		{"kasi_lag_seconds", "Age of the oldest record that a group has not taken over, by the timestamp its producer " +
			"gave it; 0 where none waits."},
	}, []string{"group", "topic"}, func(ctx context.Context, tell tellFunc) (failed error) {
		for _, group := range groups {
			rows, err := queue.Waiting(ctx, group)
			failed = errors.Join(failed, err)
			for _, w := range rows {
				age := 0.0
				if !w.Oldest.IsZero() {
					age = max(0, time.Since(w.Oldest).Seconds())
				}
				tell([]string{w.Group, w.Topic}, float64(w.Records), age)
			}
		}
		return failed
	})
}

// kept asks again only when an answer is older than clearingEvery, or was an error.
func kept[T any](ask func(context.Context) ([]T, error)) func(context.Context) ([]T, error) {
	var mu sync.Mutex
	var rows []T
	var err error
	var answered time.Time
	return func(ctx context.Context) ([]T, error) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(answered) >= clearingEvery || err != nil {
			rows, err = ask(ctx)
			answered = time.Now()
		}
		if err != nil {
			return nil, err
		}
		return rows, nil
	}
}

// WatchDebits adds how the debits of this month and the last stand, in number and in cents.
func (m *Metrics) WatchDebits(ask func(context.Context) ([]chsink.DebitCount, error)) {
	rows := kept(ask)
	m.watch([]gauge{
		{"kasi_debits", "Debits of the calendar's month and the one before, by what the bank said last, and why."},
		{"kasi_debits_cents", "The same in cents."},
	}, []string{"tenant", "period", "status", "reason"}, func(ctx context.Context, tell tellFunc) error {
		all, err := rows(ctx)
		for _, r := range all {
			tell([]string{r.Tenant, r.Period, r.Status, r.Reason}, float64(r.Count), float64(r.Amount))
		}
		return err
	})
}

// WatchDisks adds the room on ClickHouse's disks.
func (m *Metrics) WatchDisks(ask func(context.Context) ([]chsink.Disk, error)) {
	rows := kept(ask)
	m.watch([]gauge{
		{"kasi_clickhouse_disk_free_bytes", "Room left on a disk of ClickHouse."},
		{"kasi_clickhouse_disk_bytes", "Size of the disk."},
	}, []string{"disk"}, func(ctx context.Context, tell tellFunc) error {
		all, err := rows(ctx)
		for _, d := range all {
			tell([]string{d.Name}, float64(d.Free), float64(d.Total))
		}
		return err
	})
}

// WatchLogs adds the room on the brokers' disks and what our topics take of it.
func (m *Metrics) WatchLogs(ask func(context.Context) ([]progress.LogDir, error)) {
	rows := kept(ask)
	m.watch([]gauge{
		{"kasi_kafka_disk_free_bytes", "Room left on the volume of a broker's directory, as the broker says."},
		{"kasi_kafka_disk_bytes", "Size of the volume."},
		{"kasi_kafka_log_bytes", "What the topics kasi.* take in the directory, all replicas of it."},
	}, []string{"broker", "dir"}, func(ctx context.Context, tell tellFunc) error {
		all, err := rows(ctx)
		for _, d := range all {
			tell([]string{strconv.Itoa(int(d.Broker)), d.Dir}, float64(d.Free), float64(d.Total), float64(d.Ours))
		}
		return err
	})
}

// WatchClearing adds the clearing balance of each tenant, its open debits and the age of the oldest of them.
func (m *Metrics) WatchClearing(ask func(context.Context) ([]chsink.Clearing, error)) {
	rows := kept(ask)
	m.watch([]gauge{
		{"kasi_clearing_balance_cents", "Instructed - succeeded - failed - disputed - pending over the last periods, in " +
			"cents. Other than 0 in two scrapes is an alarm: run kasi verify."},
		{"kasi_open_debits", "Debits that the bank has not answered."},
		{
			"kasi_oldest_open_debit_seconds",
			"Since the action date of the oldest open debit, in whole days of the calendar; 0 where none is open.",
		},
		{"kasi_open_items", "Answers of the bank that settle nothing, and debits without an answer for long, that nobody " +
			"has closed: see kasi open-items."},
	}, []string{"tenant"}, func(ctx context.Context, tell tellFunc) error {
		all, err := rows(ctx)
		for _, r := range all {
			tell([]string{r.Tenant}, float64(r.Balance()), float64(r.Open), float64(r.OldestDays)*24*time.Hour.Seconds(),
				float64(r.Items))
		}
		return err
	})
}
