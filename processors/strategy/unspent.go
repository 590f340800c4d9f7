package strategy

import (
	"slices"

	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/schemas"
)

// Of an account that was never seen to spend nobody knows whether its money stays, or leaves without a booking.

// youngDays is for how many days an account that was never seen to spend may have spent nothing yet.
const youngDays = 31

// unspent tells whether the account was never seen to spend: perhaps its feed shows no spending.
func (c *cutoff) unspent() bool { return c.sight.of.Spent == 0 }

// cameIn is the income of this month that no debit has taken.
func (c *cutoff) cameIn() schemas.Cents {
	sum := -c.sight.taken
	for i := range c.Deposits {
		if dep := &c.Deposits[i]; dep.Day() >= c.sight.month && !dep.Gone && dep.Account == c.sight.account.ID {
			sum += dep.Cents
		}
	}
	return max(0, sum)
}

// unproved tells whether a proof of this month has failed on an account that was not seen to spend: its money leaves
// unseen. It is tried once more in the period's last days.
func (c *cutoff) unproved() bool {
	s := &c.sight
	return s.facts.Failed && s.facts.Broken && s.fall == 0 && s.facts.Left > lastDays
}

const lastDays = 5

// opening tells whether a deposit is what an account was opened with: the only income ever seen, of no kind that comes
// again, and nothing spent. Such money often stays with the bank.
func (c *cutoff) opening(dep *book.Deposit) bool {
	return c.sight.seen && c.unspent() && c.cover(dep) < 0 && c.irregular(dep.Stream) && c.incomeDays(2) < 2
}

// incomeDays is on how many days income came, as far as streams remember; it counts to a bound at most.
func (c *cutoff) incomeDays(bound int) int {
	days := make([]int64, 0, 4)
	for i := range c.Streams {
		for _, e := range c.Streams[i].History {
			if !slices.Contains(days, e[0]) {
				if days = append(days, e[0]); len(days) == bound {
					return bound
				}
			}
		}
	}
	return len(days)
}

// littleKnown tells whether the money of an account that was never seen to spend seems to leave without a booking:
// debits have failed, none was ever paid, and hardly any income is known.
func (c *cutoff) littleKnown() bool {
	if !c.unspent() || c.incomeDays(fewIncomes+1) > fewIncomes {
		return false
	}
	failed := false
	for i := range c.Collections {
		for j := range c.Collections[i].Debits {
			d := &c.Collections[i].Debits[j]
			if d.State == book.DebitPaid {
				return false
			}
			failed = failed || d.WantsMoney(c.Rules)
		}
	}
	return failed
}

// fewIncomes are so few days with income that nothing follows from them.
const fewIncomes = 3
