package backtest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kasi-collections/kasi/schemas"
)

func oracleOf(a *Account, w World, premium schemas.Cents) (lines []string) {
	d := newDays(law.Calendar, a.first, a.months[len(a.months)-1].last+30)
	for _, t := range oracleTries(a.in(w), d, premium) {
		lines = append(lines, t.first.Text()+" "+t.cents.String())
	}
	return lines
}

func TestTheOracleTakesWhatAnybodyCould(t *testing.T) {
	a := account(t, "1", spender)
	require.Equal(t, []string{"2025-01-06 100.00", "2025-02-06 100.00", "2025-03-06 100.00"}, oracleOf(a, Sweep, 10_000))
	require.Equal(t, []string{"2025-01-06 900.00", "2025-02-06 860.00", "2025-03-06 900.00"}, oracleOf(a, Sweep, 100_000))
	require.Equal(t, []string{"2025-01-06 900.00", "2025-02-06 900.00", "2025-03-06 900.00"}, oracleOf(a, Month, 100_000))
	odd := account(t, "2", `
2024-12-31 +10
2025-01-06 +80
2025-01-08 -80
2025-01-11 +70
2025-01-12 -70
2025-01-13 +90
2025-01-14 -90
2025-02-28 +1`)
	require.Equal(t, []string{"2025-01-06 80.00", "2025-01-13 70.00"}, oracleOf(odd, Sweep, 15_000),
		"parts, on banking days: the 11th and 12th are a weekend")
	require.Equal(t, []string{"2025-01-13 90.00"}, oracleOf(odd, Month, 15_000), "parts bring no more")
}

// someAccount is any account: credits and debits of some rands on some days.
func someAccount(t *rapid.T) *Account {
	start := day("2025-01-01") - schemas.Day(rapid.IntRange(0, 27).Draw(t, "start"))
	var txs []schemas.Transaction
	d, balance := start, schemas.Cents(0)
	for end := start + 125; d < end; d += schemas.Day(rapid.IntRange(0, 9).Draw(t, "pause")) {
		cents := schemas.Cents(rapid.IntRange(-9, 9).Draw(t, "rands")) * 1_000
		if cents = max(cents, -balance); cents == 0 {
			cents = 1_000
		}
		balance += cents
		tx := schemas.Transaction{
			TransactionID: fmt.Sprint(len(txs)), CustomerID: "C", AccountID: "A", AmountCents: max(cents, -cents),
			Direction: schemas.Credit, BookedAt: d.Date().In(schemas.Johannesburg), Description: "SALARY",
		}
		if cents < 0 {
			tx.Direction = schemas.Debit
		}
		txs = append(txs, tx)
	}
	tx := txs[len(txs)-1]
	tx.TransactionID, tx.BookedAt = "last", d.Date().In(schemas.Johannesburg)
	return Accounts(append(txs, tx), law, false)[0]
}

// noMoreThanTheOracle compares each month of each contender with the oracle's.
func noMoreThanTheOracle(t require.TestingT, a *Account, o Options) {
	r, err := newRunner(law, []*Account{a}, o)
	require.NoError(t, err)
	for _, percent := range o.Premiums {
		premium := a.Premium(percent)
		most := make([]schemas.Cents, len(a.months))
		for _, x := range oracleTries(a.in(o.World), r.days, premium) {
			most[x.month] += x.cents
		}
		for c := range r.Contenders {
			l, err := r.live(&r.Contenders[c], r.arenas()[c], a.in(o.World), premium)
			require.NoError(t, err)
			got := make([]schemas.Cents, len(a.months))
			for _, x := range l.tries {
				if x.state == tryPaid && x.on <= a.months[x.month].last {
					got[x.month] += x.cents
				}
			}
			for m := range got {
				require.LessOrEqual(t, got[m], most[m], "%s collected more in %s of %s", r.Contenders[c].Name,
					a.months[m].period, a.ID)
				require.LessOrEqual(t, got[m], premium)
			}
		}
	}
}

func TestNobodyCollectsMoreThanTheOracle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := someAccount(t)
		w := rapid.SampledFrom([]World{Month, Sweep}).Draw(t, "world")
		b := rapid.SampledFrom(AllBalances()).Draw(t, "balances")
		noMoreThanTheOracle(t, a, Options{World: w, Balances: b, Premiums: []int{5, 60}, Contenders: Contenders()})
	})
}

func TestNobodyCollectsMoreThanTheOracleFromPeople(t *testing.T) {
	t.Parallel()
	for _, a := range neighbours(1, 60, 7) {
		noMoreThanTheOracle(t, a.whole(), Options{
			World: People, Balances: True, Premiums: []int{5, 40}, Contenders: Contenders(),
		})
	}
}
