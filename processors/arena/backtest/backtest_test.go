package backtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// account is made of lines such as "2025-01-06 +900": a date and rands. Balances begin at 0.
func account(t *testing.T, id, lines string) *Account {
	var txs []schemas.Transaction
	for line := range strings.Lines(lines) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		day, rands, _ := strings.Cut(line, " ")
		date, err := civil.ParseDate(day)
		require.NoError(t, err)
		cents, err := schemas.ParseRands(rands[1:])
		require.NoError(t, err)
		tx := schemas.Transaction{
			TransactionID: fmt.Sprintf("%s-%d", id, len(txs)), CustomerID: "C" + id, AccountID: id, AmountCents: cents,
			Direction: schemas.Credit, BookedAt: date.In(schemas.Johannesburg).Add(8*time.Hour + time.Duration(len(txs))),
		}
		if rands[0] == '-' {
			tx.Direction = schemas.Debit
		}
		txs = append(txs, tx)
	}
	all := Accounts(txs, law, false)
	require.Len(t, all, 1)
	return all[0]
}

var law = rules.Default().WithoutArrears()

func day(text string) schemas.Day { return dayOf(text) }

// spender earns R 900 on the 6th, a Monday in January 2025, spends R 500 on the 8th and the rest on the 20th, and
// saves R 40 of February's.
const spender = `
2024-12-31 +10
2025-01-06 +900
2025-01-08 -500
2025-01-20 -400
2025-02-06 +900
2025-02-10 -860
2025-03-06 +900
2025-03-10 -900
2025-04-01 +1`

func TestAnAccountIsReadAsItsTransactionsSay(t *testing.T) {
	a := account(t, "1", spender)
	var months []string
	for _, m := range a.months {
		months = append(months, string(m.period))
	}
	require.Equal(t, []string{"2025-01", "2025-02", "2025-03"}, months, "full months only")
	require.Equal(t, schemas.Cents(90_000), a.median)
	require.Equal(t, schemas.Cents(4_500), a.Premium(5))
	require.Equal(t, schemas.Cents(1_000), a.Premium(1), "at least R 10")
	require.Equal(t, day("2025-02-06"), a.months[1].payday, "January's payday, a month later")
	require.Equal(t, KindCash, a.Kind)
}

// at are the levels of some days, in rands.
func levelsAt(a *Account, w World, days ...string) (out []int64) {
	levels := a.levels(w)
	for _, d := range days {
		out = append(out, int64(levels[day(d)-a.first])/100)
	}
	return out
}

func TestLevelsOfAMonth(t *testing.T) {
	a := account(t, "1", spender)
	require.Equal(t, []int64{0, 900, 400, 0}, levelsAt(a, Month, "2025-01-05", "2025-01-06", "2025-01-19", "2025-01-20"))
	require.Equal(t, []int64{0, 900, 40}, levelsAt(a, Month, "2025-02-05", "2025-02-06", "2025-02-28"),
		"what was saved is there until the month ends")
	require.Equal(t, []int64{0, 900, 0}, levelsAt(a, Month, "2025-03-01", "2025-03-06", "2025-03-31"))
}

func TestLevelsOfASweep(t *testing.T) {
	a := account(t, "1", spender)
	require.Equal(t, []int64{0, 900, 400, 0}, levelsAt(a, Sweep, "2025-01-05", "2025-01-06", "2025-01-19", "2025-01-20"))
	require.Equal(t, []int64{0, 860, 0, 0}, levelsAt(a, Sweep, "2025-02-05", "2025-02-06", "2025-02-10", "2025-02-28"),
		"what is saved leaves as it comes")
}

// take opens the days up to one and takes what rands says if it is there.
func take(l ledger, from *schemas.Day, on string, rands int64) bool {
	for ; *from <= day(on); *from++ {
		l.open(*from, nil)
	}
	cents := schemas.Cents(rands * 100)
	if l.available() < cents {
		return false
	}
	l.take(cents)
	return true
}

func TestWhatIsTakenInAMonthIsMissingUntilItEnds(t *testing.T) {
	a := account(t, "1", spender)
	l, d := a.in(Month).ledger(), a.first
	require.True(t, take(l, &d, "2025-01-06", 100))
	require.False(t, take(l, &d, "2025-01-08", 301))
	require.True(t, take(l, &d, "2025-01-08", 300))
	require.False(t, take(l, &d, "2025-01-31", 1))
	require.True(t, take(l, &d, "2025-02-06", 900), "a new month knows nothing of the one before")
}

func TestWhatIsTakenOfASweepIsMissingUntilTheAccountIsEmpty(t *testing.T) {
	a := account(t, "1", spender)
	l, d := a.in(Sweep).ledger(), a.first
	require.True(t, take(l, &d, "2025-01-06", 100))
	require.False(t, take(l, &d, "2025-01-08", 301))
	require.True(t, take(l, &d, "2025-01-08", 300))
	require.True(t, take(l, &d, "2025-02-06", 860), "a new month knows nothing of the one before")

	again := account(t, "2", strings.Replace(spender, "2025-02-06", "2025-01-21 +300\n2025-01-22 -300\n2025-02-06", 1))
	l, d = again.in(Sweep).ledger(), again.first
	require.True(t, take(l, &d, "2025-01-08", 300))
	require.True(t, take(l, &d, "2025-01-21", 300), "spending stopped at nothing: what was taken was spent less")
	require.False(t, take(l, &d, "2025-01-21", 1))
}

func TestMedianInWholeCents(t *testing.T) {
	require.Equal(t, schemas.Cents(7), median([]schemas.Cents{9, 7, 1}))
	require.Equal(t, schemas.Cents(4), median([]schemas.Cents{9, 1, 4, 5}), "the half cent is cut")
	rapid.Check(t, func(t *rapid.T) {
		cents := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) schemas.Cents {
			return schemas.Cents(rapid.Int64Range(0,
				1_000_000).Draw(t, "cents"))
		}), 1, 40).Draw(t, "all")
		m := median(slices.Clone(cents))
		below, above := 0, 0
		for _, c := range cents {
			if c < m {
				below++
			}
			if c > m {
				above++
			}
		}
		if 2*below > len(cents) || 2*above > len(cents) {
			t.Fatalf("%d below and %d above %d of %v", below, above, m, cents)
		}
	})
}
