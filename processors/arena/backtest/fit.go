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

// Fit counts, over the half of the accounts that a backtest would not judge and over the worlds Month and Sweep, what
// became of the situations that the product's engine meets without balances: the cells of a chance.Table. The same
// accounts give the same cells. Households teach nothing: they live by a simulator's rules.
func Fit(ctx context.Context, law *rules.Rules, accounts []*Account, train Half, premiums []int,
) (map[string]chance.Cell, error) {
	if train != Odd && train != Even {
		return nil, errors.New("backtest: say which half of the accounts to fit on, odd or even")
	}
	judge := map[Half]Half{Odd: Even, Even: Odd}[train] // a runner keeps the other half than it was told of
	cells := map[string]chance.Cell{}
	for range fitRounds {
		sum := map[string]chance.Cell{}
		for _, w := range []World{Month, Sweep} {
			r, err := newRunner(law, accounts, Options{World: w, Balances: None, Train: judge})
			if err != nil {
				return nil, err
			}
			if err := r.count(ctx, chance.Of(cells), premiums, sum); err != nil {
				return nil, err
			}
		}
		cells = sum
	}
	return cells, nil
}

// count adds up what the accounts of a runner teach.
func (r *runner) count(ctx context.Context, t *chance.Table, premiums []int, sum map[string]chance.Cell) error {
	var next atomic.Int64
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for range min(runtime.GOMAXPROCS(0), len(r.accounts)) {
		group.Go(func() error {
			c := &counter{runner: r, cells: map[string]chance.Cell{}}
			kasi := strategy.Kasi(false)
			kasi.Table, kasi.Learn = t, c.meet
			e := processors.NewEngine(r.rules, processors.WithStrategy(kasi))
			ar := arena.New(e, r.rules)
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(r.accounts) {
					break
				}
				if err := c.account(ar, r.accounts[i], premiums); err != nil {
					return err
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for name, n := range c.cells {
				s := sum[name]
				sum[name] = chance.Cell{
					Count: s.Count + n.Count, Tracked: s.Tracked + n.Tracked, Today: s.Today + n.Today,
				}
			}
			return ctx.Err()
		})
	}
	return group.Wait()
}

// counter counts what becomes of the situations of one account after another.
type counter struct {
	*runner
	met   []met
	cells map[string]chance.Cell
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
func (c *counter) account(ar *arena.Arena, a *Account, premiums []int) error {
	available := make([]schemas.Cents, len(a.balance))
	in := a.in(c.World)
	l := in.ledger()
	for i := range available {
		l.open(a.first+schemas.Day(i), nil)
		available[i] = l.available()
	}
	for _, percent := range premiums {
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
			last = a.months[i].last
		}
	}
	low := a.at(max(a.first, m.From))
	var soon, later, tracked, today bool
	for d := max(a.first, m.From); d <= last; d++ {
		at := a.at(d)
		low = min(low, at)
		if d < m.today || !c.days.are(d) {
			continue
		}
		within := d <= m.today+trackingDays
		if d > m.today && at-low-m.Taken >= m.Amount {
			soon, later = soon || within, true
		}
		if within && available[d-a.first]-m.Taken >= m.Amount {
			tracked, today = true, today || d == m.today
		}
	}
	add := func(table int, tracked, today bool) {
		name := m.Name(table)
		n := c.cells[name]
		n.Count++
		if tracked {
			n.Tracked++
		}
		if today {
			n.Today++
		}
		c.cells[name] = n
	}
	if m.Proved {
		add(chance.Proof, tracked, today)
		return
	}
	add(chance.Soon, soon, false)
	add(chance.Later, later, false)
	if !soon {
		add(chance.Held, tracked, today)
	}
}
