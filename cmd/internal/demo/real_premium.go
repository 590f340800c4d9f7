package demo

import (
	"cmp"
	"hash/fnv"
	"slices"
	"time"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/cmd/internal/feed"
	"github.com/kasi-collections/kasi/schemas"
)

const (
	// premiumPercent of the median monthly income is a real account's made-up premium; at least minPremium.
	premiumPercent                = 5
	minPremium      schemas.Cents = 1_000
	spreadDays                    = 28
	interestKSymbol               = "interest"
)

// premiums makes one policy an account, ordered by first month and account. Income is every credit but interest; the median is taken over the account's full
// months, those without income included. Accounts without a full month get no policy.
func premiums(rows []feed.Row) []realPolicy {
	end := schemas.PeriodOf(rows[len(rows)-1].Date) // the file's last month counts as not full
	type earned struct {
		customer string
		first    schemas.Period
		months   map[schemas.Period]schemas.Cents
	}
	accounts := map[string]*earned{}
	for _, r := range rows {
		a := accounts[r.AccountID]
		if a == nil {
			a = &earned{customer: r.CustomerID, first: firstFull(r.Date), months: map[schemas.Period]schemas.Cents{}}
			accounts[r.AccountID] = a
		}
		if r.Direction == schemas.Credit && r.Symbol != interestKSymbol {
			a.months[schemas.PeriodOf(r.Date)] += r.AmountCents
		}
	}
	var policies []realPolicy
	for account, a := range accounts {
		var incomes []schemas.Cents
		for p := a.first; p < end; p = p.Next() {
			incomes = append(incomes, a.months[p])
		}
		if len(incomes) == 0 {
			continue
		}
		premium := max(median(incomes)*premiumPercent/100, minPremium)
		policies = append(policies, realPolicy{account: account, customer: a.customer, premium: premium, first: a.first})
	}
	slices.SortFunc(policies, func(a, b realPolicy) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.account, b.account))
	})
	return policies
}

// firstFull is the first month that the account was open for from its first day.
func firstFull(opened civil.Date) schemas.Period {
	if opened.Day == 1 {
		return schemas.PeriodOf(opened)
	}
	return schemas.PeriodOf(opened).Next()
}

// median of amounts in whole cents; of an even number of amounts the mean of the middle two, cut to the cent. It sorts its argument.
func median(cents []schemas.Cents) schemas.Cents {
	slices.Sort(cents)
	n := len(cents)
	if n%2 == 1 {
		return cents[n/2]
	}
	return (cents[n/2-1] + cents[n/2]) / 2
}

// spreadAccounts moves each account's rows 0 to 27 days into the future, by a hash of its number, and sorts by date again.
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

// upTo is the rows up to and including a day.
func upTo(rows []feed.Row, last civil.Date) []feed.Row {
	n, _ := slices.BinarySearchFunc(rows, last.AddDays(1), func(r feed.Row, d civil.Date) int { return r.Date.Compare(d) })
	return rows[:n]
}
