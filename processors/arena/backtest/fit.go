package backtest

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/arena"
	"github.com/kasi-collections/kasi/processors/chance"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/processors/strategy"
	"github.com/kasi-collections/kasi/schemas"
)

// fitRounds is how often the situations are counted. What is met depends on what is decided, and that on the table: the
// first round knows nothing, and after four little changes.
const fitRounds = 4

// Learned is what a chance.Table is made of.
type Learned struct {
	Cells  map[string]chance.Cell
	Scores map[string]chance.Scored
}

// counts are what became of situations: of those that bookings prove by their cell, of the others by their case.
type counts struct {
	cells map[string]chance.Cell
	cases map[chance.Case]*chance.Counted
}

func newCounts() counts {
	return counts{map[string]chance.Cell{}, map[chance.Case]*chance.Counted{}}
}

// Fit counts, over the half of the accounts that a backtest would not judge and over the worlds Month and Sweep, what
// became of the situations that the product's engine meets without balances, and makes a table of it. The same accounts
// give the same table. Households teach nothing: they live by a simulator's rules.
func Fit(ctx context.Context, law *rules.Rules, accounts []*Account, train Half, premiums []int,
) (l Learned, err error) {
	if train != Odd && train != Even {
		return l, errors.New("backtest: say which half of the accounts to fit on, odd or even")
	}
	judge := map[Half]Half{Odd: Even, Even: Odd}[train] // a runner keeps the other half than it was told of
	return fit(ctx, law, accounts, Options{Train: judge, Premiums: premiums})
}

// fit learns from the accounts and months that a backtest would judge.
func fit(ctx context.Context, law *rules.Rules, accounts []*Account, o Options) (l Learned, err error) {
	o.Balances = None
	for range fitRounds {
		t, err := chance.Of(l.Cells, l.Scores)
		if err != nil {
			return l, err
		}
		sum := newCounts()
		for _, o.World = range []World{Month, Sweep} {
			r, err := newRunner(law, accounts, o)
			if err != nil {
				return l, err
			}
			if err := r.count(ctx, t, &sum); err != nil {
				return l, err
			}
		}
		l = Learned{sum.cells, chance.Learn(sum.cases)}
	}
	return l, nil
}

// count adds up what the accounts of a runner teach.
func (r *runner) count(ctx context.Context, t *chance.Table, sum *counts) error {
	var next atomic.Int64
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for range min(runtime.GOMAXPROCS(0), len(r.accounts)) {
		group.Go(func() error {
			c := &counter{runner: r, counts: newCounts()}
			kasi := strategy.Kasi(false)
			kasi.Table, kasi.Learn = t, c.meet
			e := processors.NewEngine(r.rules, processors.WithStrategy(kasi))
			ar := arena.New(e, r.rules)
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(r.accounts) {
					break
				}
				if err := c.account(ar, r.accounts[i]); err != nil {
					return err
				}
			}
			mu.Lock()
			defer mu.Unlock()
			sum.add(&c.counts)
			return ctx.Err()
		})
	}
	return group.Wait()
}

// add adds up.
func (c *counts) add(o *counts) {
	for name, n := range o.cells {
		s := c.cells[name]
		c.cells[name] = chance.Cell{Count: s.Count + n.Count, Tracked: s.Tracked + n.Tracked, Today: s.Today + n.Today}
	}
	for of, n := range o.cases {
		c.of(of).Join(n)
	}
}

func (c *counts) of(which chance.Case) *chance.Counted {
	if c.cases[which] == nil {
		c.cases[which] = &chance.Counted{}
	}
	return c.cases[which]
}

// counter counts what becomes of the situations of one account after another.
type counter struct {
	*runner
	counts
	met []met
}

type met struct {
	strategy.Met
	today schemas.Day
}

// meet notes a situation.
func (c *counter) meet(v *strategy.View, m *strategy.Met) {
	if v.BankingDay {
		c.met = append(c.met, met{*m, v.Today})
	}
}

// account lets the engine live with an account and counts.
func (c *counter) account(ar *arena.Arena, a *Account) error {
	available := make([]schemas.Cents, len(a.balance))
	in := a.in(c.World)
	l := in.ledger()
	for i := range available {
		l.open(a.first+schemas.Day(i), nil)
		available[i] = l.available()
	}
	for _, percent := range c.Premiums {
		c.met = c.met[:0]
		if _, err := engineTries(ar, a, c.bankOf(in), a.Premium(percent), c.Balances); err != nil {
			return err
		}
		for i := range c.met {
			c.outcome(a, available, &c.met[i])
		}
	}
	return nil
}

// outcome counts what became of a situation.
func (c *counter) outcome(a *Account, available []schemas.Cents, m *met) {
	var last schemas.Day
	for i := range a.months {
		if a.months[i].first <= m.today && m.today <= a.months[i].last {
			if p := a.months[i].period; p < c.From || c.To != "" && p > c.To {
				return
			}
			last = a.months[i].last
		}
	}
	low := a.at(max(a.first, m.From))
	var of struct{ paid, today, later, last bool }
	for d := max(a.first, m.From); d <= last; d++ {
		at := a.at(d)
		low = min(low, at)
		if d < m.today || !c.days.are(d) {
			continue
		}
		of.later = of.later || d > m.today && at-low-m.Taken >= m.Amount
		if available[d-a.first]-m.Taken >= m.Amount {
			of.paid = of.paid || d <= m.today+trackingDays
			of.today = of.today || d == m.today
			of.last = of.last || d >= last-trackingDays
		}
	}
	name := m.Proof()
	if !m.Proved {
		c.of(m.Case()).Add(of.paid, of.today, of.later, of.last)
		if name = chance.FailedCell; !m.Failed {
			return
		}
	}
	n := c.cells[name]
	c.cells[name] = chance.Cell{
		Count: n.Count + 1, Tracked: n.Tracked + int(count(of.paid)), Today: n.Today + int(count(of.today)),
	}
}
