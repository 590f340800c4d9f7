package strategy

import (
	"slices"
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

// Setting is what a failure and waiting are worth. The zero value follows the rules.
type Setting struct {
	FailurePercent int // of the amount, that a failed presentment costs beside the other costs of the rules
	// KeenPercent is the same for a debit of what bookings prove, and for any of an account that is new: who tries learns.
	KeenPercent int
	Patience    int  // what of the amount is still worth it after waiting, of chance.One
	PatienceNew int  // the same where fewer than knownMonths of the account are known
	Careful     bool // what was left of a month is never counted on in the next
	// Doubts are for what little is known of: the only income ever seen is not counted on, nothing is tried blind where a
	// feed shows the account, and littleKnown waits.
	Doubts bool
}

// Kasi is the product's strategy, with what the embedded table has learned.
func Kasi(careful bool) *Priced {
	s := Setting{}
	if careful {
		s = Setting{FailurePercent: 750, KeenPercent: 130, Patience: 9_500, PatienceNew: 9_500, Careful: true, Doubts: true}
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
	c.byDay = true
	c.study()
	switch {
	case c.sight.balance >= 0:
		r := c.byBalance(o, f)
		c.priceBalance(o, &r)
		return r
	case c.priced.Doubts && c.littleKnown():
		return Ruling{Reason: WhyLittleKnown}
	case c.unspent() && c.Today-c.sight.account.Since <= youngDays:
		return c.byMoney(o, f)
	}
	s, m := c.situation(o)
	if c.unspent() && !m.Proved { // what came says little of what is left where no spending is seen
		return c.byMoney(o, f)
	}
	if c.priced.Learn != nil && !o.arrears {
		c.priced.Learn(c.View, &m)
	}
	v := price.Of(&s)
	c.offered = offered{true, s, v, m, c.trackUntil(o.pol)}
	return c.byPrice(o, f, &s, &v)
}

// byMoney rules where only the money that came is known, or nothing at all.
func (c *cutoff) byMoney(o *offer, f funds) Ruling {
	if r := c.fromMoney(f, o.most, o.outstanding, o.parts); r.Reason != "" {
		r.Proved = c.sight.seen
		return c.spare(r, f, o.outstanding)
	}
	if !o.arrears {
		if r := c.blindly(o, f); r.Reason != "" {
			return r
		}
	}
	return c.waiting(o.k, f)
}

// blindly is a debit that counts on no money, where it is time for one and no guard forbids it.
func (c *cutoff) blindly(o *offer, f funds) Ruling {
	switch r := c.blind(o.k, o.most); {
	case r.Amount == 0:
		return r
	case c.priced.Doubts && c.sight.seen:
		return Ruling{}
	case c.protected():
		return Ruling{Reason: WhyProtected}
	default:
		return c.spare(r, f, o.outstanding)
	}
}

// byBalance rules where the account's balance is known. A balance is money, whether or not a deposit was seen; what is
// not ready yet is left. No debit is sent against a balance that is too small: on the last banking day the part that is
// there is taken. What is left of regular income, hardly enough, is left until more comes, if more is to come: whoever
// takes an account's last rand finds it spent.
func (c *cutoff) byBalance(o *offer, f funds) Ruling {
	last := c.NextBanking > c.LastBanking
	room, all := c.wallet.room(c.sight.balance), c.wallet.balances[c.sight.balance].cents
	if last || all >= o.most && c.fleeting(o.most) {
		room = all
	}
	more := !last && c.expected.Day != 0 && c.expected.Day <= c.LastBanking
	if more && (f.regular || f.usable == 0) && room < o.most*thinPercent/100 {
		return c.waiting(o.k, f)
	}
	if r := c.fromMoney(f, o.most, o.outstanding, o.parts); r.Reason != "" {
		return c.spare(r, f, o.outstanding)
	}
	f.usable, f.announced = max(f.usable, room), false
	r := c.fromMoney(f, o.most, o.outstanding, o.parts)
	if r.Reason == "" || r.Amount < o.most && !last {
		return c.waiting(o.k, f)
	}
	r.Proved = true
	return c.spare(r, f, o.outstanding)
}

// takeBalance lets a debit that was ruled by the balance take from it what no deposit brings. All policies share one
// balance, and the feed may be silent until the next cut-off.
func (c *cutoff) takeBalance(r *Ruling) {
	if !c.sight.seen || c.sight.balance < 0 || !r.Proved {
		return
	}
	r.BalanceOf, r.FromBalance = c.sight.account.ID, r.Amount
	for _, u := range r.Uses {
		r.FromBalance -= u.Cents
	}
	c.wallet.balances[c.sight.balance].cents -= r.FromBalance
}

// thinPercent is how much of an amount a balance must hold to be more than hardly enough.
const thinPercent = 125

// byPrice rules where the account's movements are known.
func (c *cutoff) byPrice(o *offer, f funds, s *price.Situation, v *price.Verdict) Ruling {
	switch {
	case v.Proved && s.Lowest-c.clearing() < o.most && f.clearing != 0 && !s.Last && !c.fleeting(o.most):
		return Ruling{Reason: WhyDepositClearing, Next: f.clearing} // of regular income (CONTRACT 4.4)
	case v.Proved && c.unproved():
		return Ruling{Reason: WhyProofFailed}
	// What has come is debited at any price (CONTRACT 4.4), unless the last debit that was proved has failed and the bank
	// can wait for better.
	case v.Proved && (v.Best() || f.usable >= o.most && (!c.sight.facts.Broken || !s.Tracks)):
		c.offered.priced = v.Best()
		r := c.fromMoney(funds{usable: s.Lowest}, o.most, o.outstanding, o.parts)
		r.Proved = true
		return c.spare(r, f, o.outstanding)
	case v.Proved || o.arrears:
		return c.waiting(o.k, f)
	}
	f.usable = min(f.usable, s.Lowest)
	if r := c.fromMoney(f, o.most, o.outstanding, o.parts); r.Reason != "" && !f.regular {
		r.Proved = true
		return c.spare(r, f, o.outstanding)
	}
	if !c.known && c.sight.facts.Months == 0 {
		if r := c.blindly(o, f); r.Reason != "" {
			c.offered.priced = false // whatever it is worth
			return r
		}
	}
	m := &c.sight.facts
	if !v.Best() || m.Months == 0 || m.Failed || m.Broken && c.sight.fall < 2*o.most || o.k.Collected > 0 && !s.Last {
		return c.waiting(o.k, f)
	}
	if c.protected() {
		return Ruling{Reason: WhyProtected, Next: c.expected.Day}
	}
	return c.spare(Ruling{Reason: WhyLikely, Amount: o.most, Blind: true}, f, o.outstanding)
}

// protected tells whether the customer lives on a social grant, of which only what is proved is debited.
func (c *cutoff) protected() bool {
	for i := range c.Streams {
		if s := &c.Streams[i]; s.Kind == schemas.Grant && c.Today-s.Last() <= steadyDays {
			return true
		}
	}
	return slices.ContainsFunc(c.Incomes, func(in book.Income) bool {
		return in.Kind == schemas.Grant && in.State != schemas.IncomeCancelled
	})
}

// failedOnPlan tells whether the month before failed on its planned day, or was paid on the common payday instead: of a
// customer of whom no feed says anything that is all there is to learn from. It needs a rail that tracks.
func (c *cutoff) failedOnPlan(k *book.Collection) bool {
	var of *book.Collection
	for earlier := range c.Collections.Of(k.Number) {
		if earlier.Period < k.Period && len(earlier.Debits) > 0 {
			of = earlier
		}
	}
	pol := c.Policies.Find(k.Number)
	if of == nil || c.Rules.Rail(pol.Rail, c.Date).TrackingDays == 0 {
		return false
	}
	c.byDay = true // the debit is forgotten one day
	last := &of.Debits[len(of.Debits)-1]
	planned := schemas.DayOf(c.Rules.Calendar.OnOrAfter(of.Plan.Date()))
	if last.Action != planned && last.Action >= c.commonPayday(of.Period) {
		return last.State == book.DebitPaid
	}
	return last.WantsMoney(c.Rules) && last.PaidOn == 0
}

// commonPayday is the banking day after the day on which most people are paid in a period.
func (c *cutoff) commonPayday(p schemas.Period) schemas.Day {
	return schemas.DayOf(c.Rules.Calendar.Next(c.Rules.Calendar.Payday(p, c.Params.CommonPayday)))
}

// onCommonPayday debits where no feed says anything and the planned day did not do: on the common payday, and the bank
// tracks the debit to the month's end (CONTRACT 4.6).
func (c *cutoff) onCommonPayday(most schemas.Cents) Ruling {
	day := c.commonPayday(c.Period)
	if c.Today < day && day <= c.LastBanking {
		return Ruling{Reason: WhyAwaitFirstAttempt, Next: day}
	}
	return Ruling{Reason: WhyCommonPayday, Amount: most, Blind: true}
}

// clearing is what came to the account and is debited from the next banking day on only.
func (c *cutoff) clearing() (sum schemas.Cents) {
	for i := range c.Deposits {
		dep := &c.Deposits[i]
		if h := c.wallet.deposits[i]; h.worth == worthClearing && dep.From&book.FromBank != 0 &&
			dep.Account == c.sight.account.ID {
			sum += h.left
		}
	}
	return sum
}

// costs are what a failure costs, and what waiting leaves of the amount.
func (c *cutoff) costs(o *offer, months int, proved bool) (failure schemas.Cents, patience int) {
	set := c.priced.Setting
	switch {
	case set.FailurePercent == 0:
		set.FailurePercent, set.Patience, set.PatienceNew = c.Params.FailurePercent, c.Params.Patience, c.Params.PatienceNew
	case proved || months < knownMonths:
		set.FailurePercent = set.KeenPercent
	}
	failure = c.Params.FailureCents + o.most*schemas.Cents(set.FailurePercent)/100
	if end := o.rail.UnpaidsEndMandate; end > 0 {
		life := o.most * schemas.Cents(c.Params.MandateMonths)
		if o.pol.Unpaids+1 < end {
			life /= secondUnpaid
		}
		failure += life
	}
	if months < knownMonths {
		return failure, set.PatienceNew
	}
	return failure, set.Patience
}

// secondUnpaid is of how many unpaids that a mandate bears one is followed by another.
const secondUnpaid = 5

// knownMonths is how many full months make an account known.
const knownMonths = 3

// leastPart is the least part of what is outstanding that is worth a presentment. What the mandate allows at most is
// no part of it.
func (c *cutoff) leastPart(most, outstanding schemas.Cents) schemas.Cents {
	if c.priced == nil {
		return c.Params.MinDebitCents
	}
	return max(c.Params.MinDebitCents, min(most, outstanding*leastPartPercent/100))
}

const leastPartPercent = 20

// situation is what a debit of the offer is priced from.
func (c *cutoff) situation(o *offer) (price.Situation, Met) {
	x := o.most
	tracked, until := trackDays, c.trackUntil(o.pol)
	if o.rail.TrackingDays > 0 {
		tracked = int(until - c.Today)
	}
	facts := c.factsFor(x, tracked)
	chances := c.priced.Table.Chances(&facts)
	s := price.Situation{
		Amount: x, Lowest: c.lowest(), Tracks: o.rail.TrackingDays > 0, Ends: until >= c.LastBanking,
		Last:       c.NextBanking > c.LastBanking,
		PaidChance: chances[chance.Paid], TodayChance: chances[chance.Today],
		LaterChance: chances[chance.Later], LastChance: chances[chance.Last],
	}
	s.ProofChance, s.ProofToday = c.priced.Table.Proof(&facts)
	if c.unspent() {
		s.Lowest = min(s.Lowest, c.cameIn())
	}
	s.FailureCost, s.Patience = c.costs(o, facts.Months, s.Lowest >= x)
	m := Met{facts, x, c.sight.taken, c.sight.month + schemas.Day(c.sight.from) - 1, s.Lowest >= x}
	return s, m
}
