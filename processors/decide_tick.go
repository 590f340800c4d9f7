package processors

import (
	"slices"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// desk is one cut-off of one customer: everything a decision is made from.
type desk struct {
	e      *Engine
	c      *Customer
	m      schemas.Moment
	out    *Outputs
	params rules.Params

	today       schemas.Day
	period      schemas.Period
	banking     bool
	nextBanking schemas.Day // first banking day after today
	lastBanking schemas.Day // last banking day of the period
	wallet      wallet
	known       bool        // some income of the customer is known
	expected    expectation // the next payment expected; day 0 where none is
	lastDeposit schemas.Day
	debited     bool // this cut-off has made a debit

	// The banking day after lastNext[0] is lastNext[1]: deposits ask for the same day again and again.
	lastNext [2]schemas.Day
}

// Tick lets business time pass. When the day opens, what was waiting for it arrives; at a cut-off (m.Cutoff >= 1) each
// open collection is decided, oldest first. A tick that can bring nothing new (Customer.Asleep) returns at once and
// changes nothing.
func (e *Engine) Tick(c *Customer, m schemas.Moment, out *Outputs) error {
	if !e.wakeful && c.Asleep(m) || e.wakeful && !c.NeedsTick() {
		return nil
	}
	today, p := m.Today(), e.rules.Params(m.Date)
	for len(c.Waiting) > 0 && c.Waiting[0].day() <= today {
		w := c.Waiting[0]
		c.Waiting = slices.Delete(c.Waiting, 0, 1)
		e.arrive(c, &w, &p, m, out)
	}
	for i := range c.Incomes {
		if in := &c.Incomes[i]; in.waits() && in.Day <= today {
			e.paid(c, in, &p, m, out)
		}
	}
	if m.Cutoff == 0 {
		return nil
	}
	c.prune(today, e.rules, &p)
	d := desk{e: e, c: c, m: m, out: out, params: p, today: today, period: schemas.PeriodOf(m.Date)}
	d.decideAll()
	c.Wake = d.wake()
	return nil
}

// decideAll makes one decision for each open collection, in their order: oldest period, then planned day, then policy
// number.
func (d *desk) decideAll() {
	cal := d.e.rules.Calendar
	d.banking = cal.IsBankingDay(d.m.Date)
	d.nextBanking = schemas.DayOf(cal.Next(d.m.Date))
	d.lastBanking = schemas.DayOf(cal.OnOrBefore(d.period.Last()))
	outstanding := d.outstanding()
	d.e.assume(d.c, outstanding, &d.params, d.m)
	d.lookForIncome()
	d.openWallet(outstanding)
	for i := range d.c.Collections {
		if k := &d.c.Collections[i]; k.open() {
			d.decide(k)
		}
	}
}

// outstanding is what all collections that may be debited now still lack.
func (d *desk) outstanding() schemas.Cents {
	var sum schemas.Cents
	for i := range d.c.Collections {
		k := &d.c.Collections[i]
		if !k.open() || k.Cancelled || k.Stopped || k.Period > d.period {
			continue
		}
		pol := d.c.policy(k.Number)
		if pol.Status != schemas.PolicyActive || pol.Hold != "" || k.Period < d.period && d.arrears(k, pol) != "" {
			continue
		}
		sum += k.outstanding()
	}
	return sum
}

// announcedDays is for how long after its day an announced income is still waited for where a bank feed would show it.
const announcedDays = 7

// lookForIncome finds out whether any income is known, and when the next payment is expected.
func (d *desk) lookForIncome() {
	expect := func(x expectation) {
		d.known = true
		if d.expected.day == 0 || x.day < d.expected.day {
			d.expected = x
		}
	}
	for i := range d.c.Streams {
		s := &d.c.Streams[i]
		d.lastDeposit = max(d.lastDeposit, s.last())
		if x, ok := d.e.expects(s, d.today); ok {
			expect(x)
		}
	}
	if d.lastDeposit != 0 && d.today-d.lastDeposit <= schemas.Day(d.params.KnownIncomeDays) {
		d.known = true
	}
	for i := range d.c.Incomes {
		in := &d.c.Incomes[i]
		switch {
		case (in.expected() || in.waits()) && d.today <= in.Day+announcedDays:
			expect(expectation{in.Day, d.today > in.Day})
		case in.Done && d.today-in.Day <= schemas.Day(d.params.KnownIncomeDays):
			d.known = true
		}
	}
}

// next is the first banking day after a day.
func (d *desk) next(of schemas.Day) schemas.Day {
	switch of {
	case d.today:
		return d.nextBanking
	case d.lastNext[0]:
		return d.lastNext[1]
	}
	d.lastNext = [2]schemas.Day{of, schemas.DayOf(d.e.rules.Calendar.Next(of.Date()))}
	return d.lastNext[1]
}

// weekAhead is the longest a customer sleeps: a change in the dated rules is met at the latest by then.
const weekAhead = 7

// wake is the first day after today on which a cut-off could decide otherwise than today's, if no record comes before.
func (d *desk) wake() schemas.Day {
	if d.debited {
		return 0 // the next cut-off says what the debit has changed, even on the same day
	}
	wake := d.today + weekAhead
	sooner := func(x schemas.Day) {
		if x > d.today && x < wake {
			wake = x
		}
	}
	sooner(schemas.DayOf(d.period.Last()) + 1)
	sooner(d.lastBanking)
	if !d.banking {
		sooner(d.nextBanking)
	}
	if d.lastDeposit != 0 {
		sooner(d.lastDeposit + schemas.Day(d.params.KnownIncomeDays) + 1)
	}
	for i := range d.c.Collections {
		if k := &d.c.Collections[i]; k.open() {
			sooner(k.Plan)
		}
	}
	for i := range d.c.Deposits {
		if dep := &d.c.Deposits[i]; dep.Remaining > 0 {
			sooner(d.next(dep.day()))
			if dep.day() >= d.wallet.fresh {
				sooner(d.spentFrom(dep))
			}
			sooner(dep.day() + schemas.Day(d.params.DepositDays) + 1)
		}
	}
	for i := range d.c.Streams {
		if x, ok := d.e.expects(&d.c.Streams[i], d.today); ok {
			sooner(x.day + 1)
			sooner(x.day + graceDays + 1)
		}
	}
	for i := range d.c.Incomes {
		if in := &d.c.Incomes[i]; in.State != schemas.IncomeCancelled {
			sooner(in.Day)
			sooner(in.Day + 1)
			sooner(in.Day + announcedDays + 1)
			sooner(in.Day + schemas.Day(d.params.KnownIncomeDays) + 1)
		}
	}
	if len(d.c.Waiting) > 0 {
		sooner(d.c.Waiting[0].day())
	}
	return wake
}
