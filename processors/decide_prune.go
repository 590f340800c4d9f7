package processors

import (
	"slices"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

const (
	// disputeSlack is how many days after the end of its dispute window a debit is still known, so that a dispute on the
	// last day is met late.
	disputeSlack = 7
	// silentDays is after how many days without money a stream is forgotten, or later, where older history may still be
	// told of.
	silentDays = 400
)

// forgotten tells whether a debit has a result and can no longer be disputed: what the bank says of it then is said of
// an unknown debit, whether it has been pruned yet or not. A window that grew while the debit could still be disputed
// counts; one that grew later does not bring it back.
func (b *debit) forgotten(today schemas.Day, r *rules.Rules) bool {
	if b.State == debitInFlight {
		return false
	}
	until, on := schemas.Day(0), b.Action
	for {
		next := b.Action + schemas.Day(r.DisputeDays(b.Rail, on.Date())) + disputeSlack
		if next <= until {
			return today > until
		}
		until, on = next, next+1
	}
}

// prune drops what no decision or answer can need any more. When it runs makes no difference to any output.
func (c *Customer) prune(today schemas.Day, r *rules.Rules, p *rules.Params) {
	period := schemas.PeriodOf(today.Date())
	c.Collections = slices.DeleteFunc(c.Collections, func(k collection) bool {
		if k.open() || k.Period >= period {
			return false
		}
		return !slices.ContainsFunc(k.Debits, func(b debit) bool { return !b.forgotten(today, r) })
	})
	c.forgetMoney(today, p)
}

// forgetMoney drops deposits and streams that have had their days. It runs before anything is made of new money, so
// that it makes no difference when a cut-off looked at the customer last.
func (c *Customer) forgetMoney(today schemas.Day, p *rules.Params) {
	c.Deposits = slices.DeleteFunc(c.Deposits, func(d deposit) bool {
		return d.day() < today-schemas.Day(p.DepositDays)-schemas.Day(p.SameMoneyDays)
	})
	c.Streams = slices.DeleteFunc(c.Streams,
		func(s stream) bool { return s.last() < today-schemas.Day(max(silentDays, p.BackfillDays)) })
}
