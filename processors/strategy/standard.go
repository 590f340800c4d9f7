package strategy

import (
	"math/bits"

	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/processors/income"
	"github.com/kasi-collections/kasi/schemas"
)

// Standard follows the money: it debits what has been seen to come in, waits while income is expected, and tries once
// without having seen money, on the planned day where no income is known or else on the period's last banking day.
type Standard struct{}

// cutoff is one run of the strategy: a view, and what is found out from it.
type cutoff struct {
	*View
	wallet      wallet
	known       bool               // some income of the customer is known
	expected    income.Expectation // the next payment expected; day 0 where none is
	lastDeposit schemas.Day
	failing     failing
	debited     bool // this cut-off has made a debit
	sums        funds
	summed      bool // sums are those of the wallet as it is now

	priced  *Priced // nil: nothing has a price
	fixed   bool    // the customer is one of the share on a fixed schedule
	byDay   bool    // a ruling depends on how many days are left
	sight   sight
	offered offered // of the collection that is ruled on

	// The banking day after lastNext[0] is lastNext[1]: deposits ask for the same day again and again.
	lastNext [2]schemas.Day
}

// Decide implements Strategy.
func (Standard) Decide(v *View) (rulings []Ruling, wake schemas.Day) {
	return (&cutoff{View: v}).decide()
}

func (c *cutoff) decide() (rulings []Ruling, wake schemas.Day) {
	var room [16]held
	c.lookForIncome()
	c.lookForFailures()
	if c.priced != nil {
		c.look()
		c.fixed = c.onFixedSchedule()
	}
	c.openWallet(room[:0])
	for i := range c.Collections {
		if k := &c.Collections[i]; k.Open() {
			rulings = append(rulings, c.rule(k))
		}
	}
	return rulings, c.wake(rulings)
}

// rule rules on one collection.
func (c *cutoff) rule(k *book.Collection) Ruling {
	pol := c.Policies.Find(k.Number)
	if !c.summed { // of a payer's ten thousand collections few change the wallet
		c.sums, c.summed = c.funds(), true
	}
	f := c.sums
	c.offered.priced = false
	r := c.choose(k, pol, f)
	if r.Amount > 0 && !c.BankingDay {
		r = Ruling{Reason: WhyNotBankingDay, Next: c.NextBanking}
	}
	r.Close = r.Reason == WhyPolicyCancelled || r.Reason == WhyPolicyLapsed || r.Reason == WhyPeriodEnded
	r.Budget, r.LastDeposit, r.NextExpected = f.total, c.lastDeposit, c.expected.Day
	if c.fixed {
		r.Group = WhyFixedSchedule
	}
	if r.Amount > 0 {
		c.debited = true
		c.sight.taken += r.Amount // all policies share it
		if until := c.trackUntil(pol); c.priced != nil && !c.fixed && r.Reason != WhyPartOfMoney && until > c.Today {
			r.TrackingDay = until
		}
		r.Uses = c.take(r.Amount, r.Blind)
		c.takeBalance(&r)
		c.summed = false
	}
	now := book.Decided{Reason: r.Reason, Next: r.Next, Amount: r.Amount}
	if c.offered.priced && (r.Amount > 0 || now != k.Decided) { // it is emitted
		r.Basis = c.basis(&r)
	}
	return r
}

// choose is the list of what stands against a debit, in order of precedence, and then of what speaks for one.
func (c *cutoff) choose(k *book.Collection, pol *book.Policy, f funds) Ruling {
	rail := c.Rules.Rail(pol.Rail, c.Date)
	parts := rail.PartialAllowed && !pol.Fixed
	outstanding := k.Outstanding()
	arrears := k.Period < c.Period
	switch {
	case k.InFlight() > 0:
		return Ruling{Reason: WhyAwaitResult}
	case k.Period > c.Period:
		return Ruling{Reason: WhyPeriodNotStarted, Next: schemas.DayOf(k.Period.First())}
	case k.Cancelled && pol.Status == schemas.PolicyLapsed:
		return Ruling{Reason: WhyPolicyLapsed}
	case k.Cancelled || pol.Status == schemas.PolicyCancelled:
		return Ruling{Reason: WhyPolicyCancelled}
	case pol.Status == schemas.PolicyLapsed:
		return Ruling{Reason: WhyPolicyLapsed}
	case arrears && !k.CollectsArrears(rail, c.Period, c.Params):
		return Ruling{Reason: WhyPeriodEnded}
	case pol.Hold != "":
		return Ruling{Reason: WhyPolicyOnHold}
	case k.Stopped:
		return Ruling{Reason: WhyUnknownCode}
	case arrears && !c.Collections.Running(k.Number, c.Period):
		return Ruling{Reason: WhyAwaitExecution}
	case rail.AttemptsPerCycle > 0 && k.Attempts >= rail.AttemptsPerCycle, !rail.RePresent && k.Attempts > 0:
		return Ruling{Reason: WhyAttemptsUsedUp}
	case pol.Fixed && outstanding < k.Due:
		return Ruling{Reason: WhyPartNotAllowed}
	case pol.Max > 0 && outstanding > pol.Max && !parts:
		return Ruling{Reason: WhyAboveMaximum}
	}
	most := outstanding
	if pol.Max > 0 {
		most = min(most, pol.Max)
	}
	switch {
	case c.fixed:
		return c.fixedSchedule(k, most)
	case c.priced != nil:
		return c.price(&offer{k, pol, rail, most, outstanding, parts, arrears}, f)
	}
	if r := c.fromMoney(f, most, outstanding, parts); r.Reason != "" {
		return c.spare(r, f, outstanding)
	}
	if !arrears {
		if r := c.blind(k, most); r.Reason != "" {
			return c.spare(r, f, outstanding)
		}
	}
	return c.waiting(k, f)
}

// fromMoney debits money that is usable now, as far as it goes and the rules allow.
func (c *cutoff) fromMoney(f funds, most, outstanding schemas.Cents, parts bool) Ruling {
	amount := min(most, f.usable)
	switch {
	case amount == outstanding && f.announced:
		return Ruling{Reason: WhyAnnouncedIncome, Amount: amount}
	case amount == outstanding:
		return Ruling{Reason: WhyMoneySeen, Amount: amount}
	case parts && amount > 0 && amount >= c.leastPart(most, outstanding):
		return Ruling{Reason: WhyPartOfMoney, Amount: amount}
	}
	return Ruling{}
}

// blind debits without money seen: once, where no income is known, and once at the end of the period.
func (c *cutoff) blind(k *book.Collection, most schemas.Cents) Ruling {
	switch {
	case c.priced != nil && k.Attempts == 0 && !c.known && len(c.Accounts) == 0 && c.failedOnPlan(k):
		return c.onCommonPayday(most)
	case k.Failure != "" || k.Attempts > 0 && (c.priced == nil || c.Today < c.LastBanking):
		return Ruling{}
	case c.Today == c.LastBanking:
		return Ruling{Reason: WhyMonthEnd, Amount: most, Blind: true}
	case !c.known && c.Today >= k.Plan:
		return Ruling{Reason: WhyFirstAttempt, Amount: most, Blind: true}
	}
	return Ruling{}
}

// failing sums up the days on which debits of the customer failed for want of money. A day counts once, however many
// policies were debited on it: one empty account makes them all fail.
type failing struct {
	month int         // such days of this month
	row   int         // such days up to the last one, within a month, none paid between or since
	last  schemas.Day // the latest such day
}

// lookForFailures finds the failing days. It looks at the last 64 days; the row goes back from its last day, so that it
// does not change by the passing of time.
func (c *cutoff) lookForFailures() {
	var failed uint64 // bit n: debits of n days ago failed
	paid := schemas.Day(63)
	for i := range c.Collections {
		for j := range c.Collections[i].Debits {
			d := &c.Collections[i].Debits[j]
			ago := c.Today - d.SettledOn()
			switch {
			case ago < 0 || ago > 63:
			case d.State == book.DebitPaid:
				paid = min(paid, ago)
			case d.WantsMoney(c.Rules):
				failed |= 1 << ago
			}
		}
	}
	last := bits.TrailingZeros64(failed)
	if last == 64 {
		return
	}
	c.failing.last = c.Today - schemas.Day(last)
	days := func(ago schemas.Day) int { return bits.OnesCount64(failed & (1<<ago - 1)) } // fewer than so many days ago
	c.failing.month = days(c.Today - schemas.DayOf(c.Period.First()) + 1)
	c.failing.row = days(min(paid, schemas.Day(last+31)))
}

// paused is the first day after the pause that the failures in a row ask for.
func (c *cutoff) paused() schemas.Day {
	if c.failing.row == 0 {
		return 0
	}
	pauses := c.Params.FailurePauses
	return c.failing.last + schemas.Day(pauses[min(c.failing.row, len(pauses))-1])
}

// spare lets a debit wait where the customer's debits have failed too often (CONTRACT 4.6). The last attempt of the
// period is made all the same, and regular income is not left to be spent during a pause.
func (c *cutoff) spare(r Ruling, f funds, outstanding schemas.Cents) Ruling {
	left := c.Params.FailureDays - c.failing.month
	switch {
	case r.Reason == WhyMonthEnd:
		return r
	case left <= 0 || left == 1 && r.Amount < outstanding:
		return Ruling{Reason: WhyFailureBudget, Next: c.PeriodEnds + 1}
	case c.Today < c.paused() && !f.regular:
		return Ruling{Reason: WhyFailuresInARow, Next: c.paused()}
	}
	return r
}

// waiting says what a collection waits for, nearest first.
func (c *cutoff) waiting(k *book.Collection, f funds) Ruling {
	expected := c.expected.Day
	if c.expected.Late {
		expected = 0 // any day now
	}
	switch {
	case f.clearing != 0 && f.total > f.usable && f.seen:
		return Ruling{Reason: WhyDepositClearing, Next: f.clearing}
	case f.clearing != 0 && f.total > f.usable:
		return Ruling{Reason: WhyAwaitIncome, Next: f.clearing}
	case f.usable > 0 && f.usable < c.Params.MinDebitCents:
		return Ruling{Reason: WhyBelowMinimum, Next: expected}
	case f.usable > 0:
		return Ruling{Reason: WhyNotEnough, Next: expected}
	case k.Failure != "":
		return Ruling{Reason: WhyAwaitFunds, Next: expected}
	case c.known:
		return Ruling{Reason: WhyAwaitIncome, Next: expected}
	case k.Attempts > 0 || k.Period < c.Period:
		return Ruling{Reason: WhyAwaitFunds, Next: expected}
	}
	return Ruling{Reason: WhyAwaitFirstAttempt, Next: k.Plan}
}

// announcedDays is for how long after its day an announced income is still waited for where a bank feed would show it.
const announcedDays = 7

// lookForIncome finds out whether any income is known, and when the next payment is expected.
func (c *cutoff) lookForIncome() {
	expect := func(x income.Expectation) {
		c.known = true
		if c.expected.Day == 0 || x.Day < c.expected.Day {
			c.expected = x
		}
	}
	for i := range c.Streams {
		s := &c.Streams[i]
		c.lastDeposit = max(c.lastDeposit, s.Last())
		if x, ok := s.Expects(c.Rules.Calendar, c.Today); ok {
			expect(x)
		}
	}
	knownDays := schemas.Day(c.Params.KnownIncomeDays)
	c.known = c.known || c.lastDeposit != 0 && c.Today-c.lastDeposit <= knownDays
	for i := range c.Incomes {
		in := &c.Incomes[i]
		switch {
		case (in.Expected() || in.Waits()) && c.Today <= in.Day+announcedDays:
			expect(income.Expectation{Day: in.Day, From: in.Day, To: in.Day + announcedDays, Late: c.Today > in.Day})
		case in.Done && c.Today-in.Day <= knownDays:
			c.known = true
		}
	}
}

// nextBanking is the first banking day after a day.
func (c *cutoff) nextBanking(of schemas.Day) schemas.Day {
	if of == c.Today {
		return c.NextBanking
	}
	if of != c.lastNext[0] {
		c.lastNext = [2]schemas.Day{of, schemas.DayOf(c.Rules.Calendar.Next(of.Date()))}
	}
	return c.lastNext[1]
}

// weekAhead is the longest a customer sleeps: a change in the dated rules is met at the latest by then.
const weekAhead = 7

// wake is the first day after today on which a cut-off could decide otherwise than today's, if no record comes before.
func (c *cutoff) wake(rulings []Ruling) schemas.Day {
	if c.debited {
		return 0 // the next cut-off says what the debit has changed, even on the same day
	}
	wake := c.Today + weekAhead
	sooner := func(x schemas.Day) {
		if x > c.Today && x < wake {
			wake = x
		}
	}
	sooner(c.PeriodEnds + 1)
	if c.byDay {
		sooner(c.Today + 1)
	}
	sooner(c.LastBanking)
	sooner(c.LastBanking + 1) // its attempt may have been forbidden
	sooner(c.paused())
	for i := range rulings {
		sooner(rulings[i].Next)
	}
	knownDays := schemas.Day(c.Params.KnownIncomeDays)
	if c.lastDeposit != 0 {
		sooner(c.lastDeposit + knownDays + 1)
	}
	for i, n := 0, 0; i < len(c.Collections); i++ {
		if k := &c.Collections[i]; k.Open() {
			if !rulings[n].Close {
				sooner(k.Plan)
			}
			n++
		}
	}
	for i := range c.Deposits {
		if dep := &c.Deposits[i]; dep.Remaining > 0 {
			sooner(c.nextBanking(dep.Day()))
			if dep.Day() >= c.wallet.fresh {
				sooner(c.spentFrom(dep))
			}
			sooner(dep.Day() + schemas.Day(c.Params.DepositDays) + 1)
		}
	}
	for i := range c.Streams {
		if x, ok := c.Streams[i].Expects(c.Rules.Calendar, c.Today); ok {
			sooner(x.Day + 1)
			sooner(x.Until() + 1)
		}
	}
	for i := range c.Incomes {
		if in := &c.Incomes[i]; in.State != schemas.IncomeCancelled {
			sooner(in.Day)
			sooner(in.Day + 1)
			sooner(in.Day + announcedDays + 1)
			sooner(in.Day + knownDays + 1)
		}
	}
	return wake
}
