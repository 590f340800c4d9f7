package demo

import (
	"cmp"
	"hash/fnv"
	"slices"
	"time"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/feed"
)

const (
	// premiumPercent of the median monthly income is a real account's made-up premium; at least minPremium.
	premiumPercent                = 5
	minPremium      schemas.Cents = 1_000
	spreadDays                    = 28
	interestKSymbol               = "interest"
)

// premiums makes one policy an account, ordered by first month and account. Income is every credit but interest; the
// median is taken over the account's full months, those without income included. Accounts without a full month get no
// policy.
func premiums(rows []feed.Row) []realPolicy {
	policies, months := map[string]*realPolicy{}, map[string]map[schemas.Period]schemas.Cents{}
	for _, r := range rows {
		p := policies[r.AccountID]
		if p == nil {
			p = &realPolicy{account: r.AccountID, customer: r.CustomerID, first: firstFull(r.Date)}
			policies[r.AccountID], months[r.AccountID] = p, map[schemas.Period]schemas.Cents{}
		}
		p.end = schemas.PeriodOf(r.Date) // nobody knows what came after the account's last row, so that month is not full
		if r.Direction == schemas.Credit && r.Symbol != interestKSymbol {
			months[r.AccountID][p.end] += r.AmountCents
		}
	}
	var full []realPolicy
	for account, p := range policies {
		var incomes []schemas.Cents
		for m := p.first; m < p.end; m = m.Next() {
			incomes = append(incomes, months[account][m])
		}
		if len(incomes) == 0 {
			continue
		}
		p.premium = max(median(incomes)*premiumPercent/100, minPremium)
		full = append(full, *p)
	}
	slices.SortFunc(full, func(a, b realPolicy) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.account, b.account))
	})
	return full
}

// firstFull is the first month that the account was open for from its first day.
func firstFull(opened civil.Date) schemas.Period {
	if opened.Day == 1 {
		return schemas.PeriodOf(opened)
	}
	return schemas.PeriodOf(opened).Next()
}

// median of amounts in whole cents; of an even number of amounts the mean of the middle two, cut to the cent. It sorts
// its argument.
func median(cents []schemas.Cents) schemas.Cents {
	slices.Sort(cents)
	n := len(cents)
	if n%2 == 1 {
		return cents[n/2]
	}
	return (cents[n/2-1] + cents[n/2]) / 2
}

// spreadAccounts moves each account's rows 0 to 27 days into the future, by a hash of its number, and sorts by date
// again.
func spreadAccounts(rows []feed.Row) []feed.Row {
	for i := range rows {
		h := fnv.New32a()
		_, _ = h.Write([]byte(rows[i].AccountID)) // a hash takes everything
		days := int(h.Sum32() % spreadDays)
		rows[i].Date = rows[i].Date.AddDays(days)
		rows[i].BookedAt = rows[i].BookedAt.Add(time.Duration(days) * 24 * time.Hour)
	}
	slices.SortStableFunc(rows, func(a, b feed.Row) int { return a.Date.Compare(b.Date) })
	return rows
}

// fixedDays is how a debit order on a fixed day of the month would have done on the same balances and premiums: one
// attempt each full month, at the end of that day. It is the measure that the engine's timing has to beat.
type fixedDays struct {
	Attempts int
	// Paid counts the attempts that would have been paid, by day of the month (1-28).
	Paid [29]int
}

// best and worst name the days on which most and fewest were paid, the earliest where several are equal.
func (f fixedDays) best() (day int) {
	for day = 1; f.Paid[day] != slices.Max(f.Paid[1:]); day++ {
	}
	return day
}

func (f fixedDays) worst() (day int) {
	for day = 1; f.Paid[day] != slices.Min(f.Paid[1:]); day++ {
	}
	return day
}

// onFixedDays computes fixedDays for the policies of a bank whose accounts have not been opened by any day yet.
func onFixedDays(rows []feed.Row, policies []realPolicy, b *realBank) fixedDays {
	var f fixedDays
	balances := map[string]map[civil.Date]schemas.Cents{} // at the end of each day with transactions
	for _, r := range rows {
		if balances[r.CustomerID] == nil {
			balances[r.CustomerID] = map[civil.Date]schemas.Cents{}
		}
		balances[r.CustomerID][r.Date] = *r.BalanceAfterCents
	}
	for _, p := range policies {
		var balance schemas.Cents
		// An account that was opened in a month had its first row there, so the month before the first full one holds its
		// opening.
		for d := p.first.First().AddMonths(-1); d.Before(p.end.First()); d = d.AddDays(1) {
			if after, moved := balances[p.customer][d]; moved {
				balance = after
			}
			period := schemas.PeriodOf(d)
			if period < p.first || d.Day > 28 {
				continue
			}
			if d.Day == 1 {
				f.Attempts++
			}
			if balance-b.accounts[p.customer].lows[period] >= p.premium {
				f.Paid[d.Day]++
			}
		}
	}
	return f
}

// upTo is the rows up to and including a day.
func upTo(rows []feed.Row, last civil.Date) []feed.Row {
	n, _ := slices.BinarySearchFunc(rows, last.AddDays(1), func(r feed.Row, d civil.Date) int { return r.Date.Compare(d) })
	return rows[:n]
}
