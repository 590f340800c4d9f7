package strategy

import (
	"sync"

	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/processors/chance"
	"github.com/kasi-collections/kasi/processors/price"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// Priced follows the money as Standard does, and beyond that debits where a debit is worth more than waiting. Where the
// bank feed shows balances they say what is there; where it shows what the account spends, its movements do; else it
// debits what has been seen to come in, for as long as such money lasts.
type Priced struct {
	Setting
	// Table is what was learned of the population.
	Table *chance.Table
	// Learn, where set, is told of each situation that is met: fitting counts what became of it.
	Learn func(v *View, m *Met)
}

// Setting is what a failure and waiting are worth.
type Setting struct {
	FailurePercent int // of the amount, that a failed presentment costs
	Patience       int // what of the amount is still worth it after waiting, of chance.One
}

// Kasi is the product's strategy, with what the embedded table has learned.
func Kasi(careful bool) *Priced {
	s := Setting{40, 9_450}
	if careful {
		s = Setting{120, 9_800}
	}
	return &Priced{Setting: s, Table: learned()}
}

var learned = sync.OnceValue(chance.Default)

// Met is a situation that a cut-off met.
type Met struct {
	chance.Facts
	Amount schemas.Cents
	Taken  schemas.Cents // by debits of the month
	From   schemas.Day   // that the lowest level counts from
	Proved bool
}

// offer is a debit that the rules allow.
type offer struct {
	k           *book.Collection
	pol         *book.Policy
	rail        rules.RailRule
	most        schemas.Cents // that one debit may take
	outstanding schemas.Cents
	parts       bool
	arrears     bool
}

// Decide implements Strategy.
func (p *Priced) Decide(v *View) ([]Ruling, schemas.Day) {
	return (&cutoff{View: v, priced: p}).decide()
}

// price rules on a debit that the rules allow.
func (c *cutoff) price(o *offer, f funds) Ruling {
	if !c.sight.seen {
		return c.byMoney(o, f)
	}
	s, m := c.situation(o)
	if c.priced.Learn != nil && !o.arrears {
		c.priced.Learn(c.View, &m)
	}
	v := price.Of(&s)
	c.offered = offered{true, s, v, m, c.trackUntil(o.pol), c.waiting(o.k, f).Reason}
	c.byDay = true
	return c.byPrice(o, f, &s, &v)
}

// byMoney rules where only the money that came is known, or nothing at all.
func (c *cutoff) byMoney(o *offer, f funds) Ruling {
	if r := c.fromMoney(f, o.most, o.outstanding, o.parts); r.Reason != "" {
		return c.spare(r, f, o.outstanding)
	}
	if !o.arrears {
		if r := c.blind(o.k, o.most); r.Reason != "" {
			return c.spare(r, f, o.outstanding)
		}
	}
	return c.waiting(o.k, f)
}

// byPrice rules where the account's movements are known.
func (c *cutoff) byPrice(o *offer, f funds, s *price.Situation, v *price.Verdict) Ruling {
	switch {
	case v.Proved && c.clearing(o, f, s):
		return Ruling{Reason: WhyDepositClearing, Next: f.clearing}
	case v.Proved && c.unproved():
		return Ruling{Reason: WhyProofFailed}
	case v.Proved && v.Best():
		return c.spare(Ruling{Reason: WhyMoneySeen, Amount: o.most, Proved: true}, f, o.outstanding)
	case v.Proved || o.arrears:
		return c.waiting(o.k, f)
	}
	if r := c.fromMoney(f, min(o.most, s.Lowest), o.outstanding, o.parts); r.Reason == WhyPartOfMoney && !f.regular &&
		r.Amount >= o.outstanding*leastPart/100 {
		r.Proved = true
		return c.spare(r, f, o.outstanding)
	}
	m := &c.sight.facts
	if !v.Best() || m.Failed || m.Broken && c.sight.fall < 2*o.most || o.k.Collected > 0 && !s.Last {
		return c.waiting(o.k, f)
	}
	return c.spare(Ruling{Reason: WhyLikely, Amount: o.most, Blind: true}, f, o.outstanding)
}

// clearing tells whether what proves the amount came today, from regular income: it is debited on the next banking day
// (CONTRACT 4.4), if there is one.
func (c *cutoff) clearing(o *offer, f funds, s *price.Situation) bool {
	if f.clearing == 0 || !f.seen || s.Last {
		return false
	}
	return s.Lowest-(f.total-f.usable) < o.most
}

// unproved tells whether a proof of this month has failed on an account that spends nothing: money leaves it unseen. It
// is tried once more in the period's last days.
func (c *cutoff) unproved() bool {
	s := &c.sight
	return s.facts.Failed && s.fall == 0 && s.facts.Left > lastDays
}

const lastDays = 5

// leastPart is what percentage of the outstanding amount a part must be that is worth a presentment.
const leastPart = 20

// situation is what a debit of the offer is priced from.
func (c *cutoff) situation(o *offer) (price.Situation, Met) {
	x := o.most
	facts := c.factsFor(x)
	until := c.trackUntil(o.pol)
	t := c.priced.Table
	last := facts
	last.Left = trackDays
	s := price.Situation{
		Amount: x, Lowest: c.lowest(), Tracks: o.rail.TrackingDays > 0, Ends: until >= c.LastBanking,
		Last:       c.NextBanking > c.LastBanking,
		HeldChance: t.Chance(chance.Held, &facts), HeldToday: t.Today(chance.Held, &facts),
		HeldLastChance: t.Chance(chance.Held, &last),
		SoonChance:     t.Chance(chance.Soon, &facts), LaterChance: t.Chance(chance.Later, &facts),
		ProofChance: t.Chance(chance.Proof, &facts), ProofToday: t.Today(chance.Proof, &facts),
		FailureCost: x * schemas.Cents(c.priced.FailurePercent) / 100, Patience: c.priced.Patience,
	}
	c.count(x, &s)
	m := Met{facts, x, c.sight.taken, c.sight.month + schemas.Day(c.sight.from) - 1, s.Lowest >= x}
	return s, m
}
