package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"cloud.google.com/go/civil"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/retry"
)

// rowPatience bounds how long the probe looks for a sampled row in ClickHouse.
const rowPatience = 10 * time.Second

// Spread is the distribution of one latency.
type Spread struct {
	Samples       int
	P50, P99, Max time.Duration
}

func spread(d []time.Duration) Spread {
	if len(d) == 0 {
		return Spread{}
	}
	slices.Sort(d)
	return Spread{Samples: len(d), P50: d[len(d)/2], P99: d[len(d)*99/100], Max: d[len(d)-1]}
}

// LatencyReport is how long Kasi took, seen from outside, on the machine and under the load of the run.
type LatencyReport struct {
	// Deposit is from handing a bank transaction to the Kafka client until its DepositEvent can be read (read committed).
	Deposit Spread
	// Debit is from the time stamp of the cut-off's tick until a debit of that cut-off can be read.
	Debit Spread
	// Row is from the time stamp of the cut-off's tick until the first debit read of that cut-off is found in ClickHouse.
	Row Spread
}

func (r LatencyReport) print(w io.Writer) {
	row := func(from, to string, s Spread) table.Row {
		return table.Row{from, to, s.Samples, ms(s.P50), ms(s.P99), ms(s.Max)}
	}
	show(w, "Latency, measured during the run", 0, table.Row{"from", "to", "samples", "p50", "p99", "max"}, []table.Row{
		row("transaction fed", "deposit event on Kafka", r.Deposit),
		row("cut-off tick", "debit on Kafka", r.Debit),
		row("cut-off tick", "debit row in ClickHouse", r.Row),
	})
}

func ms(d time.Duration) string {
	return fmt.Sprintf("%d.%d ms", d.Milliseconds(), d.Microseconds()/100%10)
}

// probe watches the topics beside the run, with its own client, and notes when things arrive.
type probe struct {
	cl      *kgo.Client
	product Product
	cancel  context.CancelFunc
	work    sync.WaitGroup

	mu       sync.Mutex
	sentAt   map[string]time.Time   // sampled transactions
	deposits []time.Duration        // sent until seen
	ticks    map[string]time.Time   // last cut-off tick of each day, as stamped
	debits   map[string][]time.Time // debits seen, by the day of their instruction
	rows     map[string]time.Time   // first debit of a day seen in ClickHouse
	asking   bool                   // one row is being waited for; the analyst's queries at a time are limited
}

func newProbe(ctx context.Context, p Product) (*probe, error) {
	cl, err := p.source().Client(kgo.ConsumeTopics(schemas.TopicCalendar, schemas.TopicDeposits, schemas.TopicDebits),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	b := &probe{
		cl: cl, product: p, cancel: cancel,
		sentAt: map[string]time.Time{}, ticks: map[string]time.Time{}, debits: map[string][]time.Time{},
		rows: map[string]time.Time{},
	}
	b.work.Go(func() { b.watch(ctx) })
	return b, nil
}

func (b *probe) close() {
	b.cancel()
	b.work.Wait()
	b.cl.Close()
}

// sent notes the credits about to be fed that are booked on the calendar's own day: such a deposit counts at once, so
// the time until it is seen is Kasi's own.
func (b *probe) sent(day civil.Date, txs []schemas.Transaction) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, tx := range txs {
		if tx.Direction == schemas.Credit && schemas.DateIn(tx.BookedAt) == day {
			b.sentAt[tx.TransactionID] = time.Now()
		}
	}
}

func (b *probe) watch(ctx context.Context) {
	for {
		fetches := b.cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return
		}
		now := time.Now()
		b.mu.Lock()
		fetches.EachRecord(func(r *kgo.Record) { b.seen(ctx, r, now) })
		b.mu.Unlock()
	}
}

// seen notes one record; a record that is not what its topic promises is the run's own business, not the probe's.
func (b *probe) seen(ctx context.Context, r *kgo.Record, now time.Time) {
	switch r.Topic {
	case schemas.TopicCalendar:
		var t schemas.Tick
		if json.Unmarshal(r.Value, &t) == nil && t.Cutoff > 0 {
			b.ticks[t.Date] = r.Timestamp
		}
	case schemas.TopicDeposits:
		var d schemas.DepositEvent
		if json.Unmarshal(r.Value, &d) != nil {
			return
		}
		if at, sampled := b.sentAt[d.TransactionID]; sampled {
			b.deposits = append(b.deposits, now.Sub(at))
			delete(b.sentAt, d.TransactionID)
		}
	case schemas.TopicDebits:
		var d schemas.DebitInstruction
		if json.Unmarshal(r.Value, &d) != nil {
			return
		}
		if len(b.debits[d.BusinessDate]) == 0 && !b.asking {
			b.asking = true
			b.work.Go(func() { b.row(ctx, d) })
		}
		b.debits[d.BusinessDate] = append(b.debits[d.BusinessDate], now)
	}
}

// row asks ClickHouse again and again until a debit is there.
func (b *probe) row(ctx context.Context, d schemas.DebitInstruction) {
	ctx, cancel := context.WithTimeout(ctx, rowPatience)
	defer cancel()
	var n int64
	var err error
	for n == 0 && err == nil {
		if n, err = b.product.number(ctx, `SELECT '', count() FROM debits_log
WHERE tenant_id = {tenant:String} AND period_month = {period:String} AND debit_id = {id:String}`,
			map[string]string{"tenant": d.TenantID, "period": string(d.PeriodMonth), "id": d.DebitID}); n == 0 && err == nil {
			err = retry.Pause(ctx, 2*time.Millisecond)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.asking = false; n > 0 {
		b.rows[d.BusinessDate] = time.Now()
	}
}

// report sums up what has been seen.
func (b *probe) report() LatencyReport {
	b.mu.Lock()
	defer b.mu.Unlock()
	var debits, rows []time.Duration
	for day, tick := range b.ticks {
		for _, at := range b.debits[day] {
			debits = append(debits, at.Sub(tick))
		}
		if at, ok := b.rows[day]; ok {
			rows = append(rows, at.Sub(tick))
		}
	}
	return LatencyReport{Deposit: spread(b.deposits), Debit: spread(debits), Row: spread(rows)}
}
