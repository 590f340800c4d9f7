package backtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
)

// lived is what became of the debits of a schedule on an account in the world Sweep, one line each.
func lived(a *Account, w World, premium schemas.Cents, decide rule) (lines []string) {
	d := newDays(law.Calendar, a.first, a.months[len(a.months)-1].last+30)
	b := &bank{ledger: a.in(w).ledger(), days: d, fee: 5_000}
	ruleTries(decide, a, b, premium)
	for _, t := range b.tries {
		end := map[tryState]string{tryOpen: "open", tryPaid: "paid ", tryFailed: "failed "}[t.state]
		lines = append(lines, t.first.Text()+" "+t.cents.String()+" "+end+t.on.Text())
	}
	return lines
}

func TestADebitMeetsTheMoneyOfItsDay(t *testing.T) {
	a := account(t, "1", spender)
	require.Equal(t, []string{
		"2025-01-06 100.00 paid 2025-01-06", "2025-02-06 100.00 paid 2025-02-06", "2025-03-06 100.00 paid 2025-03-06",
	}, lived(a, Sweep, 10_000, onDays(6)), "the day's bookings come before the debit")
	require.Equal(t, []string{
		"2025-01-20 100.00 failed 2025-01-20", "2025-02-20 100.00 failed 2025-02-20", "2025-03-20 100.00 failed 2025-03-20",
	}, lived(a, Sweep, 10_000, onDays(20)))
	require.Equal(t, []string{
		"2025-01-02 100.00 failed 2025-01-02", "2025-01-06 100.00 paid 2025-01-06",
		"2025-02-03 100.00 failed 2025-02-03", "2025-02-06 100.00 paid 2025-02-06",
		"2025-03-03 100.00 failed 2025-03-03", "2025-03-06 100.00 paid 2025-03-06",
	}, lived(a, Sweep, 10_000, onDays(1, 6, 7)), "the 1st is a holiday or on a weekend; what is paid is not tried again")
}

func TestATrackedDebitIsOneTryWithOneResult(t *testing.T) {
	a := account(t, "1", spender)
	require.Equal(t, []string{
		"2025-01-02 100.00 paid 2025-01-06", "2025-02-03 100.00 paid 2025-02-06", "2025-03-03 100.00 paid 2025-03-06",
	}, lived(a, Sweep, 10_000, track(func(s *sight) schemas.Day { return s.first })))
	require.Equal(t, []string{
		"2025-01-21 100.00 failed 2025-01-31", "2025-02-21 100.00 failed 2025-02-28",
		"2025-03-24 100.00 failed 2025-03-31",
	}, lived(a, Sweep, 10_000, track(func(s *sight) schemas.Day { return s.first + 20 })),
		"it fails on the last banking day of its ten, which never leave the month")
}

func TestATryThatHasNotComeBackCountsNowhere(t *testing.T) {
	a := account(t, "1", spender)
	r := &runner{}
	of := r.judge(a, life{tries: []try{{month: 2, cents: 100, state: tryOpen}}}, nil, 1_000)
	require.Equal(t, sums{months: 3, due: 3_000}, of[0])
	late := try{month: 0, cents: 1_000, first: day("2025-01-31"), state: tryPaid, on: day("2025-02-03")}
	of = r.judge(a, life{tries: []try{late}}, nil, 1_000)
	require.Equal(t, sums{months: 3, due: 3_000, paid: 1, presented: 1, followed: 1, waited: 28}, of[0],
		"paid after its month ended")
}

func TestJudgingTakesTheMonthsAskedFor(t *testing.T) {
	a := account(t, "1", spender+"\n2025-05-02 +1")
	paid := []try{paidTry(0, day("2025-01-06"), 1_000), paidTry(3, day("2025-04-01"), 500)}
	fails := append(paid, try{month: 3, cents: 500, state: tryFailed, on: day("2025-04-01")})
	a.Fee = 600
	of := (&runner{}).judge(a, life{tries: fails}, paid, 1_000)
	require.Equal(t, sums{
		months: 4, due: 4_000, collected: 1_500, most: 1_500, failed: 1, paid: 2, presented: 3, fees: 600, followed: 2,
	}, of[0])
	require.Equal(t, sums{
		months: 1, due: 1_000, collected: 500, most: 500, failed: 1, paid: 1, presented: 2, fees: 600, followed: 1,
	}, of[1], "the 4th full month is mature")
	of = (&runner{Options: Options{From: "2025-02", To: "2025-03"}}).judge(a, life{tries: fails}, paid, 1_000)
	require.Equal(t, sums{months: 2, due: 2_000}, of[0])
	of = (&runner{Options: Options{SkipLast: 1}}).judge(a, life{tries: fails}, paid, 1_000)
	require.Equal(t, int64(3), of[0].months)
	require.Zero(t, of[0].failed, "the account's last month")
}

func TestDetailsOfALife(t *testing.T) {
	a := account(t, "1", spender)
	a.Fee = 600
	failed := func(on string) try { return try{cents: 500, state: tryFailed, on: day(on)} }
	of := (&runner{}).judge(a, life{
		tries: []try{failed("2025-01-02"), paidTry(0, day("2025-01-08"), 500), failed("2025-01-20"), failed("2025-01-21")},
		guesses: []guess{
			{on: day("2025-01-06")}, {on: day("2025-02-06"), told: true, hit: true}, {on: day("2025-03-06"), told: true},
		},
	}, nil, 1_000)
	require.Equal(t, sums{
		months: 3, due: 3_000, collected: 500, failed: 3, paid: 1, presented: 4, fees: 1_800, ended: 1, followed: 1,
		waited: 2, deposits: 3, told: 2, hit: 1,
	}, of[0])
}
