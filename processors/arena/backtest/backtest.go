// Package backtest sets ways to collect premiums beside each other on the same accounts: schedules that any insurer
// could follow, the product's engine, and an oracle that knows every balance to come. It is pure: no Kafka, no HTTP, no
// clock, and all chances come from a seed, so the same accounts and options give the same rows, however many goroutines
// work.
//
// An account has one policy. Each of its full months owes one premium, executed on the 1st; what the month's end leaves
// is not collected later. DESIGN.md of this directory says what a world is, and what can be learned from it.
package backtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/arena"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// Half is the accounts that something was fitted on. The others are judged.
type Half string

// The halves, by a hash of the account's id.
const (
	NoHalf Half = "none" // nothing was fitted: all accounts are judged
	Odd    Half = "odd"
	Even   Half = "even"
)

// Halves are all halves.
func Halves() []Half { return []Half{NoHalf, Odd, Even} }

// Options say what is compared.
type Options struct {
	World      World
	Balances   Balances
	Premiums   []int // in percent of the median monthly income
	Contenders []Contender
	Seed       uint64
	Train      Half
	From, To   schemas.Period // months that are judged; empty: no bound
	SkipLast   int            // so many months at the end of each account are not judged
	Goroutines int            // 0: as many as there are processors
	// Progress hears how many of all runs (an account, a contender, a premium) are done. Several goroutines call it.
	Progress func(done, of int64)
}

// Result is what a backtest came to.
type Result struct {
	Accounts int // that were judged
	Rows     []Row
}

// runner is a backtest under way.
type runner struct {
	Options
	accounts []*Account
	days     *days
	engines  []*processors.Engine // by contender; nil where it needs none
	rules    *rules.Rules
}

// newRunner makes ready to judge accounts.
func newRunner(law *rules.Rules, accounts []*Account, o Options) (*runner, error) {
	r := &runner{Options: o, rules: law}
	for _, a := range accounts {
		if len(a.months) > 0 && (o.Train == NoHalf || o.Train == "" || a.odd() != (o.Train == Odd)) {
			r.accounts = append(r.accounts, a)
		}
	}
	if len(r.accounts) == 0 {
		return nil, errors.New("backtest: no account has a full month to judge")
	}
	first, last := r.accounts[0].first, schemas.Day(0)
	for _, a := range r.accounts {
		first, last = min(first, a.first), max(last, a.months[len(a.months)-1].last)
	}
	r.days = newDays(r.rules.Calendar, first, last+trackingDays+31)
	for _, c := range o.Contenders {
		var e *processors.Engine
		if c.Strategy != nil {
			e = processors.NewEngine(r.rules, processors.WithStrategy(c.Strategy))
		}
		r.engines = append(r.engines, e)
	}
	return r, nil
}

// arenas are one for each engine, for one goroutine.
func (r *runner) arenas() []*arena.Arena {
	all := make([]*arena.Arena, len(r.engines))
	for i, e := range r.engines {
		if e != nil {
			all[i] = arena.New(e, r.rules)
		}
	}
	return all
}

// Run lets each contender collect from each account. It returns the context's error where that ends first. The rules
// should be without arrears.
func Run(ctx context.Context, law *rules.Rules, accounts []*Account, o Options) (*Result, error) {
	r, err := newRunner(law, accounts, o)
	if err != nil {
		return nil, err
	}
	all, err := r.runAll(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([][]Row, len(o.Premiums)*len(o.Contenders))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(r.workers())
	for i := range rows {
		group.Go(func() error {
			if ctx.Err() == nil {
				rows[i] = r.rows(&o.Contenders[i%len(o.Contenders)], o.Premiums[i/len(o.Contenders)], all, i)
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	res := &Result{Accounts: len(r.accounts), Rows: slices.Concat(rows...)}
	if len(res.Rows) == 0 {
		return nil, errors.New("backtest: no account has a full month among those that are judged")
	}
	return res, nil
}

// workers is how many goroutines work.
func (r *runner) workers() int {
	if r.Goroutines > 0 {
		return r.Goroutines
	}
	return runtime.GOMAXPROCS(0)
}

// judged is what came of an account: for each premium and contender, the sums of each segment.
type judged struct {
	kind string
	of   [][len(segments)]sums
}

// runAll runs the accounts side by side. What comes of one stands in its own place, so their order does not matter.
func (r *runner) runAll(ctx context.Context) ([]judged, error) {
	all := make([]judged, len(r.accounts))
	var next, done atomic.Int64
	total := int64(len(r.accounts) * len(r.Contenders) * len(r.Premiums))
	group, ctx := errgroup.WithContext(ctx)
	for range min(r.workers(), len(r.accounts)) {
		group.Go(func() error {
			arenas := r.arenas()
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(r.accounts) {
					return nil
				}
				a := r.accounts[i].whole()
				of, err := r.account(ctx, a, arenas, func() {
					if now := done.Add(1); r.Progress != nil {
						r.Progress(now, total)
					}
				})
				if err != nil {
					return err
				}
				all[i] = judged{a.Kind, of}
			}
			return ctx.Err()
		})
	}
	return all, group.Wait()
}

// account runs one account through all premiums and contenders.
func (r *runner) account(ctx context.Context, a *Account, arenas []*arena.Arena, done func(),
) (of [][len(segments)]sums, err error) {
	found := a.in(r.World)
	for _, percent := range r.Premiums {
		premium := a.Premium(percent)
		oracle := oracleTries(found, r.days, premium)
		for c := range r.Contenders {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			l, err := r.live(&r.Contenders[c], arenas[c], found, premium)
			if err != nil {
				return nil, fmt.Errorf("backtest: account %s, %s: %w", a.ID, r.Contenders[c].Name, err)
			}
			of = append(of, r.judge(a, l, oracle, premium))
			done()
		}
	}
	return of, nil
}

func newDice(seed, stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }

// Named are the contenders of these names, in the order of the table. An unknown name is an error that lists all.
func Named(names []string) ([]Contender, error) {
	all := Contenders()
	for _, name := range names {
		if !slices.ContainsFunc(all, func(c Contender) bool { return c.Name == name }) {
			return nil, fmt.Errorf("backtest: no strategy is called %q; there are %s", name, nameList(all))
		}
	}
	return slices.DeleteFunc(all, func(c Contender) bool { return !slices.Contains(names, c.Name) }), nil
}
