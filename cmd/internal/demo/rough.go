package demo

import (
	"context"
	"math/rand/v2"
	"time"

	"cloud.google.com/go/civil"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/schemas"
)

// Rough turns a month into one for a product under fire. The zero value leaves it as it is.
type Rough struct {
	// Records is how many bank transactions the feeds deliver at least; small ones fill the days, and are fed while the
	// calendar moves.
	Records int
	// LateMail makes the bank's answers come out of order, many of them days late or again.
	LateMail bool
	// Delivered hears of the transactions that Kafka has acknowledged. It is called from one goroutine at a time.
	Delivered func([]schemas.Transaction)
	// Phase hears what the run does next; it may hold the run up.
	Phase func(ctx context.Context, phase Phase, d civil.Date) error
}

// Phase is a part of the month.
type Phase string

// The phases. Those from PhaseMorning to PhaseBank come every day.
const (
	PhaseImport  Phase = "import"
	PhaseExecute Phase = "execute"
	PhaseHistory Phase = "history"
	PhaseMorning Phase = "morning"
	PhaseAdvance Phase = "advance"
	PhaseBank    Phase = "bank"
	PhaseReport  Phase = "report"
	PhaseSettle  Phase = "settlement"
	PhaseExport  Phase = "export"
)

// The small transactions of a day are fed in so many parts, so far apart, for as long as the calendar moves; then the
// rest at once.
const (
	smallParts = 40
	smallPause = 250 * time.Millisecond
)

func (m *month) enter(ctx context.Context, p Phase, d civil.Date) error {
	if m.Phase == nil {
		return nil
	}
	return m.Phase(ctx, p, d)
}

// advance moves the calendar to the day's cut-off while the small transactions flow.
func (m *month) advance(ctx context.Context, d civil.Date) error {
	small := m.w.small(d, (m.Records-m.delivered)/(m.To.DaysSince(d)+1))
	arrived := make(chan struct{})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return m.trickle(ctx, small, arrived) })
	g.Go(func() error { defer close(arrived); return m.Advancer.Advance(ctx, d) })
	return g.Wait()
}

// trickle delivers in parts until arrived is closed, then the rest.
func (m *month) trickle(ctx context.Context, txs []schemas.Transaction, arrived <-chan struct{}) error {
	size, pause := len(txs)/smallParts+1, time.NewTicker(smallPause)
	defer pause.Stop()
	for len(txs) > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-arrived:
			return m.deliver(ctx, batch{txs: txs})
		case <-pause.C:
		}
		n := min(size, len(txs))
		if err := m.deliver(ctx, batch{txs: txs[:n]}); err != nil {
			return err
		}
		txs = txs[n:]
	}
	return nil
}

// small is n small transactions of the day, in turn over all customers whose bank reports them: purchases where the
// money is there, else a friend's help.
func (w *world) small(d civil.Date, n int) []schemas.Transaction {
	var txs []schemas.Transaction
	for skipped := 0; len(txs) < n && skipped < len(w.people); {
		p := w.people[w.turn%len(w.people)]
		w.turn++
		if !p.reported(d) {
			skipped++
			continue
		}
		skipped = 0
		cents := schemas.Cents(100 + w.change.IntN(2_900))
		at, what := clock(d, 9+w.change.IntN(7), w.change.IntN(60)), p.memo("POS PURCHASE SPAZA", "SPAZA SHOP", "GROCERIES")
		if p.acc.balance-p.keepCents < cents {
			what = p.memo("INSTANT PAYMENT FRIEND", "FRIEND", "TRANSFER")
		} else {
			cents = -cents
		}
		txs = append(txs, p.acc.move(at, cents, what))
	}
	return txs
}

// lateMail is a bank whose answers take their time: out of order, one in twelve a day or two late, one in ten again
// days later. All are there on the last day.
type lateMail struct {
	rng   *rand.Rand
	later map[civil.Date][]schemas.Result
	last  civil.Date
}

func newLateMail(seed uint64, last civil.Date) *lateMail {
	return &lateMail{rng: rand.New(rand.NewPCG(seed, 1<<33)), later: map[civil.Date][]schemas.Result{}, last: last}
}

// send takes the answers given on the day and returns what leaves the bank that evening.
func (l *lateMail) send(d civil.Date, given []schemas.Result) []schemas.Result {
	out := l.later[d]
	delete(l.later, d)
	for _, r := range given {
		switch on := d.AddDays(1 + l.rng.IntN(2)); {
		case l.rng.IntN(12) == 0 && on.Before(l.last):
			l.later[on] = append(l.later[on], r)
		default:
			out = append(out, r)
		}
		if on := d.AddDays(l.rng.IntN(6)); l.rng.IntN(10) == 0 && on.Before(l.last) {
			if on == d {
				out = append(out, r)
			} else {
				l.later[on] = append(l.later[on], r)
			}
		}
	}
	l.rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}
