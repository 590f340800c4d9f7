package book

import (
	"slices"

	"github.com/kasi-collections/kasi/schemas"
)

// Source is a set of who told of a deposit.
type Source int

// Who tells of deposits.
const (
	FromBank     Source = 1 << iota // the bank feed showed the money
	FromIncome                      // the income feed said it was paid
	FromAnnounce                    // the income feed announced it, and there is no bank feed to see it on
)

// Deposit is money that came in, and how much of it no debit has counted on yet.
type Deposit struct {
	No          int           `json:"n"`
	At          int64         `json:"t"` // Unix seconds
	Cents       schemas.Cents `json:"c"`
	Remaining   schemas.Cents `json:"r,omitempty"`
	Stream      uint32        `json:"s,omitempty"`
	Account     string        `json:"a,omitempty"`
	From        Source        `json:"f"`
	Income      string        `json:"i,omitempty"` // income id, where the income feed told of it
	Transaction string        `json:"x,omitempty"` // transaction id, where the bank feed showed it
}

// Day is the Johannesburg day on which the money came.
func (d *Deposit) Day() schemas.Day { return schemas.DayOfUnix(d.At) }

// source is the id of the record that the money is known by: the transaction's, or else the income's.
func (d *Deposit) source() string {
	if d.Transaction != "" {
		return d.Transaction
	}
	return d.Income
}

// keepDeposit numbers and keeps money that came in, in the order of its instant. Money from before a debit that bounced
// is gone; money past its days is not kept.
func (b *Book) keepDeposit(d Deposit) int {
	b.DepositNo++
	d.No = b.DepositNo
	if d.Day() < b.today-schemas.Day(b.Params.DepositDays) {
		return d.No
	}
	d.Remaining = d.Cents
	if d.Day() < b.Bounced {
		d.Remaining, d.Transaction = 0, ""
	}
	i := len(b.Deposits)
	for i > 0 && b.Deposits[i-1].At > d.At {
		i--
	}
	b.Deposits = slices.Insert(b.Deposits, i, d)
	return d.No
}

// sameMoney is a deposit of the same amount, SameMoneyDays off at most, that the given source told of and no other.
func (b *Book) sameMoney(cents schemas.Cents, on schemas.Day, source Source) *Deposit {
	days := schemas.Day(b.Params.SameMoneyDays)
	for i := range b.Deposits {
		d := &b.Deposits[i]
		if d.From == source && d.Cents == cents && d.Day()-on <= days && on-d.Day() <= days {
			return d
		}
	}
	return nil
}

// depositOf is the deposit that an income record made or was found to be, or nil.
func (c *Customer) depositOf(income string) *Deposit {
	for i := range c.Deposits {
		if c.Deposits[i].Income == income {
			return &c.Deposits[i]
		}
	}
	return nil
}

// deposit is the deposit of that number, or nil.
func (c *Customer) deposit(no int64) *Deposit {
	for i := range c.Deposits {
		if int64(c.Deposits[i].No) == no {
			return &c.Deposits[i]
		}
	}
	return nil
}

// bounce is what an insufficient-funds failure means: the deposits that the debit counted on, and all from before its
// action date, are gone. Those from before its action date never come back, so their transaction ids go too.
func (c *Customer) bounce(d *Debit) {
	c.Bounced = max(c.Bounced, d.Action)
	for _, u := range d.Uses {
		if dep := c.deposit(u[0]); dep != nil {
			dep.Remaining = 0
		}
	}
	for i := range c.Deposits {
		if dep := &c.Deposits[i]; dep.Day() < d.Action {
			dep.Remaining, dep.Transaction = 0, ""
		}
	}
	d.Uses = nil
}

// giveBack frees the deposits of a debit that failed for another reason: the money is still there.
func (c *Customer) giveBack(d *Debit) {
	for _, u := range d.Uses {
		if dep := c.deposit(u[0]); dep != nil && dep.Day() >= c.Bounced {
			dep.Remaining = min(dep.Cents, dep.Remaining+schemas.Cents(u[1]))
		}
	}
	d.Uses = nil
}

// silentDays is after how many days without money a stream is forgotten, or later, where older history may still be
// told of.
const silentDays = 400

// forgetMoney drops deposits and streams that have had their days. It runs before anything is made of new money, so
// that it makes no difference when a cut-off looked at the customer last.
func (b *Book) forgetMoney() {
	first := b.today - schemas.Day(b.Params.DepositDays) - schemas.Day(b.Params.SameMoneyDays)
	b.Deposits = slices.DeleteFunc(b.Deposits, func(d Deposit) bool { return d.Day() < first })
	b.Streams.Forget(b.today - schemas.Day(max(silentDays, b.Params.BackfillDays)))
}
