package processors

import (
	"slices"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// depositSource is a set of who told of a deposit.
type depositSource int

const (
	fromBank     depositSource = 1 << iota // the bank feed showed the money
	fromIncome                             // the income feed said it was paid
	fromAnnounce                           // the income feed announced it, and there is no bank feed to see it on
)

// deposit is money that came in, and how much of it no debit has counted on yet.
type deposit struct {
	No        int           `json:"n"`
	At        int64         `json:"t"` // Unix seconds
	Cents     schemas.Cents `json:"c"`
	Remaining schemas.Cents `json:"r,omitempty"`
	Stream    uint32        `json:"s,omitempty"`
	Account   string        `json:"a,omitempty"`
	From      depositSource `json:"f"`
	Income    string        `json:"i,omitempty"` // income id, where the income feed made the deposit
}

func (d *deposit) day() schemas.Day { return schemas.DayOfUnix(d.At) }

// deposit numbers and keeps money that came in, in the order of its instant. Money from before a debit that bounced is
// gone; money past its days is not kept.
func (c *Customer) deposit(d deposit, p *rules.Params, m schemas.Moment) int {
	c.DepositNo++
	d.No = c.DepositNo
	if d.day() < m.Today()-schemas.Day(p.DepositDays) {
		return d.No
	}
	d.Remaining = d.Cents
	if d.day() < c.Bounced {
		d.Remaining = 0
	}
	i := len(c.Deposits)
	for i > 0 && c.Deposits[i-1].At > d.At {
		i--
	}
	c.Deposits = slices.Insert(c.Deposits, i, d)
	return d.No
}

// sameMoney is a deposit of the same amount, some days off at most, that the given source told of and the other one has
// not.
func (c *Customer) sameMoney(cents schemas.Cents, on schemas.Day, days int, source depositSource) *deposit {
	for i := range c.Deposits {
		d := &c.Deposits[i]
		if d.From&(fromBank|fromIncome|fromAnnounce) == source && d.Cents == cents && abs(int(d.day()-on)) <= days {
			return d
		}
	}
	return nil
}

// incomeDeposit is the deposit that an income record made, or nil.
func (c *Customer) incomeDeposit(id string) *deposit {
	for i := range c.Deposits {
		if c.Deposits[i].Income == id {
			return &c.Deposits[i]
		}
	}
	return nil
}

// spend is what an insufficient-funds failure means: the deposits that the debit counted on, and all from before its
// action date, are gone.
func (c *Customer) spend(d *debit) {
	c.Bounced = max(c.Bounced, d.Action)
	for i := range c.Deposits {
		dep := &c.Deposits[i]
		if dep.day() < d.Action || slices.ContainsFunc(d.Uses, func(u [2]int64) bool { return u[0] == int64(dep.No) }) {
			dep.Remaining = 0
		}
	}
	d.Uses = nil
}

// giveBack frees the deposits of a debit that failed for another reason: the money is still there.
func (c *Customer) giveBack(d *debit) {
	for _, u := range d.Uses {
		for i := range c.Deposits {
			if dep := &c.Deposits[i]; int64(dep.No) == u[0] && dep.day() >= c.Bounced {
				dep.Remaining = min(dep.Cents, dep.Remaining+schemas.Cents(u[1]))
			}
		}
	}
	d.Uses = nil
}
