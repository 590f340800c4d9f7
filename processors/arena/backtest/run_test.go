package backtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors/strategy"
	"github.com/kasi-collections/kasi/schemas"
)

// someOf are the contenders of these names.
func someOf(t testing.TB, names ...string) []Contender {
	all, err := Named(names)
	require.NoError(t, err)
	return all
}

// neighbours are so many households who live in 2025 for so many months.
func neighbours(seed uint64, n, months int) []*Account {
	return Households(seed, n, day("2025-01-01").Date(), months, law)
}

func TestTheSameSeedGivesTheSameRowsHoweverManyWork(t *testing.T) {
	t.Parallel()
	for _, w := range Worlds() {
		accounts := neighbours(3, 40, 6)
		if w != People {
			accounts = Told(accounts, law)
		}
		o := Options{
			World: w, Balances: True, Premiums: []int{5, 20}, Seed: 9, Goroutines: 1,
			Contenders: someOf(t, "day-25", "standard", Oracle),
		}
		one, err := Run(t.Context(), law, accounts, o)
		require.NoError(t, err)
		o.Goroutines = 8
		many, err := Run(t.Context(), law, accounts, o)
		require.NoError(t, err)
		require.Equal(t, one, many)
		require.NotEmpty(t, one.Rows)
		for _, row := range one.Rows {
			if row.Strategy == Oracle {
				require.Equal(t, Hundredths(100_00), row.ShareOfOracle)
				require.Zero(t, row.FailedPer100)
			}
		}
	}
}

func TestRowsAreTheContractsJSON(t *testing.T) {
	t.Parallel()
	accounts := []*Account{account(t, "1", spender), account(t, "2", strings.ReplaceAll(spender, "-20 -400", "-07 -400"))}
	res, err := Run(t.Context(), law, accounts, Options{
		World: Sweep, Balances: None, Premiums: []int{5}, Contenders: someOf(t, "day-15", Oracle), Seed: 1,
	})
	require.NoError(t, err)
	got, err := json.Marshal(res.Rows)
	require.NoError(t, err)
	require.JSONEq(t, `[
{"strategy":"day-15","world":"sweep","premium_percent":5,"balances":"none","segment":"all","kind":"ALL",
 "account_months":6,"due_cents":27000,"share_of_due":16.67,"share_of_oracle":16.67,"failed_per_100":83.33,
 "presentments_per_success":6.00,"low":0.00,"high":33.33},
{"strategy":"oracle","world":"sweep","premium_percent":5,"balances":"none","segment":"all","kind":"ALL",
 "account_months":6,"due_cents":27000,"share_of_due":100.00,"share_of_oracle":100.00,"failed_per_100":0.00,
 "presentments_per_success":1.00,"low":100.00,"high":100.00}]`, string(got))
	strict := json.NewDecoder(bytes.NewReader(got))
	strict.DisallowUnknownFields()
	var again []Row
	require.NoError(t, strict.Decode(&again))
	for i := range again {
		require.NotZero(t, again[i].AccountMonths)
		again[i].Detail = res.Rows[i].Detail // no part of the contract's row
	}
	require.Equal(t, res.Rows, again)
}

func TestAHalfIsJudgedByWhatTheOtherTaught(t *testing.T) {
	t.Parallel()
	accounts := neighbours(5, 50, 3)
	odd, err := newRunner(law, accounts, Options{Train: Odd})
	require.NoError(t, err)
	even, err := newRunner(law, accounts, Options{Train: Even})
	require.NoError(t, err)
	require.Equal(t, len(accounts), len(odd.accounts)+len(even.accounts))
	for _, a := range odd.accounts {
		require.False(t, a.odd(), "fitted on odd accounts, judged on even ones")
		require.NotContains(t, even.accounts, a)
	}
	require.InDelta(t, 25, len(odd.accounts), 10)
}

func TestABacktestStopsWhenItIsToldTo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	o := Options{World: People, Premiums: []int{5}, Contenders: someOf(t, "standard"), Goroutines: 2}
	o.Progress = func(done, _ int64) {
		if done == 3 {
			cancel()
		}
	}
	_, err := Run(ctx, law, neighbours(1, 1000, 3), o)
	require.ErrorIs(t, err, context.Canceled)
}

func TestUnknownContendersAreRefused(t *testing.T) {
	t.Parallel()
	_, err := Named([]string{"day-1", "luck"})
	require.ErrorContains(t, err, `"luck"; there are day-1, `)
}

// tracker debits everything on the first day it may, tracked for ten days.
type tracker struct{}

func (tracker) Decide(v *strategy.View) (all []strategy.Ruling, wake schemas.Day) {
	for i := range v.Collections {
		k := &v.Collections[i]
		if !k.Open() {
			continue
		}
		r := strategy.Ruling{Reason: strategy.WhyAwaitResult}
		if v.BankingDay && k.InFlight() == 0 && k.Period == v.Period && k.Attempts == 0 {
			r = strategy.Ruling{
				Reason: strategy.WhyMoneySeen, Amount: k.Outstanding(),
				TrackingDay: schemas.DayOf(v.Rules.TrackingUntil(schemas.RailDebiCheck, v.Date)),
			}
		}
		all = append(all, r)
	}
	return all, 0
}

func TestAnEngineMayTrackItsDebits(t *testing.T) {
	t.Parallel()
	a := account(t, "1", spender)
	c := Contender{Name: "tracker", Strategy: tracker{}}
	r, err := newRunner(law, []*Account{a}, Options{World: Sweep, Balances: None, Contenders: []Contender{c}})
	require.NoError(t, err)
	l, err := r.live(&c, r.arenas()[0], a.in(Sweep), 10_000)
	require.NoError(t, err)
	var got []string
	for _, x := range l.tries {
		got = append(got, x.first.Text()+" "+x.on.Text())
		require.Equal(t, tryPaid, x.state)
	}
	require.Equal(t, []string{"2025-01-02 2025-01-06", "2025-02-03 2025-02-06", "2025-03-03 2025-03-06"}, got)
}

// spy notes the balances and collections that it sees at each cut-off, and debits R 100 on the 6th.
type spy struct{ saw map[string]string }

func (s spy) Decide(v *strategy.View) (all []strategy.Ruling, wake schemas.Day) {
	text := ""
	for _, b := range v.Balances {
		text += b.Cents.String() + " "
	}
	for i := range v.Collections {
		k := &v.Collections[i]
		if !k.Open() {
			continue
		}
		r := strategy.Ruling{Reason: strategy.WhyAwaitIncome}
		if v.Date.Day == 6 {
			r = strategy.Ruling{Reason: strategy.WhyMoneySeen, Amount: 10_000}
		}
		text += string(k.Period) + " "
		all = append(all, r)
	}
	s.saw[v.Date.String()] = strings.TrimSpace(text)
	return all, 0
}

func TestWhatAnEngineSeesOfAWorld(t *testing.T) {
	t.Parallel()
	days := []string{"2025-01-01", "2025-01-05", "2025-01-06", "2025-01-07", "2025-01-08", "2025-01-09", "2025-01-20"}
	const p = "2025-01"
	for balances, want := range map[Balances][]string{
		None: {p, p, p, p, p, p, p},
		True: {"0.00 " + p, "0.00 " + p, "900.00 " + p, "900.00 " + p, "300.00 " + p, "300.00 " + p, "0.00 " + p},
		Late: {"0.00 " + p, "0.00 " + p, "0.00 " + p, "900.00 " + p, "900.00 " + p, "300.00 " + p, "300.00 " + p},
	} {
		s := spy{map[string]string{}}
		c := Contender{Name: "spy", Strategy: s}
		a := account(t, "1", spender)
		r, err := newRunner(law, []*Account{a}, Options{World: Sweep, Balances: balances, Contenders: []Contender{c}})
		require.NoError(t, err)
		l, err := r.live(&c, r.arenas()[0], a.in(Sweep), 20_000)
		require.NoError(t, err)
		require.Equal(t, try{
			cents: 10_000, first: day("2025-01-06"), last: day("2025-01-06"), state: tryPaid,
			on: day("2025-01-06"), id: l.tries[0].id,
		}, l.tries[0])
		var got []string
		for _, d := range days {
			got = append(got, s.saw[d])
		}
		require.Equal(t, want, got, "balances %s", balances)
	}
}

func TestAnEngineForetellsItsDeposits(t *testing.T) {
	t.Parallel()
	const text = "2025-%02d-25 +9000\n2025-%02d-26 -9000\n"
	lines := "2024-12-31 +1\n"
	for month := 1; month <= 8; month++ {
		lines += fmt.Sprintf(text, month, month)
	}
	c := Contender{Name: "standard", Strategy: strategy.Standard{}}
	a := account(t, "1", lines)
	r, err := newRunner(law, []*Account{a}, Options{World: Sweep, Balances: None, Contenders: []Contender{c}})
	require.NoError(t, err)
	l, err := r.live(&c, r.arenas()[0], a.in(Sweep), 10_000)
	require.NoError(t, err)
	var hits, told int
	for _, g := range l.guesses {
		hits, told = hits+int(count(g.hit)), told+int(count(g.told))
	}
	require.Len(t, l.guesses, 6, "but the first of the stream, which nobody could foretell")
	require.Equal(t, told, hits)
	require.Greater(t, hits, 2)
}

// BenchmarkBacktest is the engine on simulated households.
func BenchmarkBacktest(b *testing.B) {
	const households, months = 200, 12
	accounts := neighbours(1, households, months)
	o := Options{World: People, Balances: True, Premiums: []int{5}, Contenders: someOf(b, "kasi"), Seed: 1}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Run(b.Context(), law, accounts, o); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*households*months/b.Elapsed().Seconds(), "customer-months/s")
}
