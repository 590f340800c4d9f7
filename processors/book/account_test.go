package book

import (
	"cmp"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// TestCurves compares an account with a plain list of its bookings.
func TestCurves(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		start := schemas.Day(20_000) // 2024-10-04
		a, day := Account{}, start
		first := schemas.Day(0)
		sums := map[schemas.Day]schemas.Cents{} // of each month's bookings, by day
		for range rapid.IntRange(1, 60).Draw(t, "bookings") {
			day += schemas.Day(rapid.IntRange(0, 9).Draw(t, "days"))
			cents := schemas.Cents(rapid.IntRange(-900_000, 900_000).Draw(t, "cents"))
			late := min(schemas.Day(rapid.IntRange(0, 4).Draw(t, "late")), day-MonthOf(day))
			a.book(day-late, cents)
			first = cmp.Or(first, day-late)
			sums[day-late] += cents
		}
		l := a.Levels()
		sum := schemas.Cents(0)
		for d := 1; d < len(l); d++ {
			if on := a.Month + schemas.Day(d-1); on < nextMonth(a.Month) {
				sum += sums[on]
			}
			require.Equal(t, sum, l[d])
		}
		n := 0
		month := a.Month
		for l := range a.Months {
			month = MonthOf(month - 1)
			require.GreaterOrEqual(t, month, first, "a month that was not seen from its first day")
			sum, points := schemas.Cents(0), 0
			for d := month; d < nextMonth(month); d++ {
				if sums[d] != 0 {
					points++
				}
			}
			for d := month; d < nextMonth(month); d++ {
				sum += sums[d]
				if points <= maxPoints {
					require.InDelta(t, int64(sum), int64(l[int(d-month)+1]), 100)
				}
			}
			require.InDelta(t, int64(sum), int64(l[len(l)-1]), 100, "the month's last level is kept")
			n++
		}
		require.LessOrEqual(t, n, MaxMonths)
		require.LessOrEqual(t, len(a.Past), maxPastBytes)
	})
}

// TestABusyMonthKeepsItsTurns keeps of a month with bookings each day those that move the money most.
func TestABusyMonthKeepsItsTurns(t *testing.T) {
	t.Parallel()
	a := Account{}
	first := nextMonth(MonthOf(20_000))
	for d := range 30 {
		cents := schemas.Cents(-20_000)
		if d == 14 {
			cents = 800_000
		}
		a.book(first+schemas.Day(d), cents)
	}
	a = a.At(nextMonth(first))
	for l := range a.Months {
		require.InDelta(t, -280_000, int64(l[14]), 60_000)
		require.InDelta(t, 520_000, int64(l[15]), 60_000)
		require.Equal(t, schemas.Cents(220_000), l[30])
	}
	require.Less(t, len(a.Past), 60)
	require.Equal(t, schemas.Cents(500_000), a.Over)
}

// TestADebitOfOursIsNoNews: the bank feed shows a debit of ours, and its money coming back.
func TestADebitOfOursIsNoNews(t *testing.T) {
	t.Parallel()
	c := &Customer{Collections: Collections{{Debits: []Debit{{Cents: 15_000, Action: 20_100, Until: 20_106}}}}}
	b := Book{Customer: c, rules: rules.Default()}
	tell := func(day schemas.Day, cents schemas.Cents, id string) {
		b.moved(&Waiting{At: day.Opening(), Moved: cents, TxID: id})
	}
	level := func() schemas.Cents {
		if len(c.Accounts) == 0 {
			return 0
		}
		l := c.Accounts[0].Levels()
		return l[len(l)-1]
	}
	tell(20_099, -15_000, "")
	require.Equal(t, schemas.Cents(-15_000), level(), "of the day before it was sent")
	tell(20_106, -15_000, "")
	require.Equal(t, schemas.Cents(-15_000), level(), "it is shown")
	tell(20_106, -15_000, "")
	require.Equal(t, schemas.Cents(-30_000), level(), "it is shown once")
	c.Collections[0].Debits[0].State = DebitUnpaid
	tell(20_108, 15_000, "salary")
	require.Equal(t, schemas.Cents(-15_000), level(), "income is news")
	tell(20_108, 15_000, "")
	require.Equal(t, schemas.Cents(-15_000), level(), "its money comes back")
	tell(20_108, 15_000, "")
	require.Equal(t, schemas.Cents(0), level(), "it comes back once")
}
