package strategy

import (
	"math/bits"
	"slices"

	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/processors/chance"
	"github.com/kasi-collections/kasi/schemas"
)

// sight is what the bookings of the customer's account show at a cut-off.
type sight struct {
	seen    bool
	of      *book.Account
	balance int // place of the account's balance, where it is as new as the bookings; else -1

	// What follows is found out when it is asked for first.
	studied bool
	account book.Account // brought to this month
	levels  book.Levels
	month   schemas.Day // its first day
	from    int         // the day of the month that the lowest level counts from; 0: with what the month began with
	taken   schemas.Cents
	facts   chance.Facts // but for what depends on the amount
	fall    schemas.Cents
	months  []book.Levels // the full ones before, the latest first
}

// look finds the account.
func (c *cutoff) look() {
	if a := c.mainAccount(); a != nil {
		c.sight = sight{seen: true, of: a, balance: c.balanceOf(a), month: book.MonthOf(c.Today)}
	}
}

// study finds out what the account's bookings show.
func (c *cutoff) study() {
	s := &c.sight
	if s.studied {
		return
	}
	s.studied = true
	s.account = s.of.At(s.month)
	s.levels = s.account.Levels()
	s.months = make([]book.Levels, 0, book.MaxMonths)
	for l := range s.account.Months {
		s.months = append(s.months, *l)
	}
	s.facts.Months = len(s.months)
	s.facts.Left = int(c.PeriodEnds - c.Today)
	if s.facts.Next = chance.Never; c.expected.Day != 0 {
		s.facts.Next = int(c.expected.Day - c.Today)
	}
	c.lookAtDebits()
	s.fall = fallOf(&s.levels, 0)
	if len(s.months) > 0 {
		s.fall = fallOf(&s.levels, fallOpen(&s.months[0], &s.fall))
	}
	for i := range c.Streams {
		st := &c.Streams[i]
		s.facts.Steady = s.facts.Steady ||
			(st.Kind == schemas.Pension || st.Kind == schemas.Grant) && c.Today-st.Last() <= steadyDays
	}
}

// steadyDays is for how many days a pension or grant is taken to go on: a month may lie between, and another begun.
const steadyDays = 62

// balanceOf is the place of an account's balance, or -1 where none is known that is as new as its bookings.
func (c *cutoff) balanceOf(a *book.Account) int {
	for i := range c.Balances {
		if b := &c.Balances[i]; b.Account == a.ID && schemas.DayOfUnix(b.At) >= a.Latest() {
			return i
		}
	}
	return -1
}

// mainAccount is the account that the latest income came to; without income the one with the latest bookings.
func (c *cutoff) mainAccount() *book.Account {
	for _, d := range slices.Backward(c.Deposits) {
		if d.From&book.FromBank == 0 {
			continue
		}
		for i := range c.Accounts {
			if c.Accounts[i].ID == d.Account {
				return &c.Accounts[i]
			}
		}
	}
	var best *book.Account
	for i := range c.Accounts {
		if a := &c.Accounts[i]; best == nil || a.Month > best.Month {
			best = a
		}
	}
	return best
}

// lookAtDebits finds what debits of ours say: a failed one of this month restarts the lowest level, those paid or with
// the bank since then lower what is there.
func (c *cutoff) lookAtDebits() {
	s := &c.sight
	var proved schemas.Day
	each := func(of func(d *book.Debit)) {
		for i := range c.Collections {
			for j := range c.Collections[i].Debits {
				of(&c.Collections[i].Debits[j])
			}
		}
	}
	each(func(d *book.Debit) {
		failed := d.WantsMoney(c.Rules)
		if on := d.SettledOn(); failed && on >= s.month {
			s.facts.Failed = true
			s.from = max(s.from, int(on-s.month)+1)
		}
		if d.Proved && d.State != book.DebitInFlight && d.Action >= proved {
			proved, s.facts.Broken = d.Action, failed
		}
	})
	each(func(d *book.Debit) {
		since := s.month + schemas.Day(max(0, s.from-1))
		if d.State == book.DebitInFlight || d.State == book.DebitPaid && d.SettledOn() >= since {
			s.taken += d.Cents
		}
	})
}

// fallOf is the largest fall of the levels from a high, the opening one included, to a later low.
func fallOf(l *book.Levels, high schemas.Cents) (fall schemas.Cents) {
	for _, x := range l {
		high = max(high, x)
		fall = max(fall, high-x)
	}
	return fall
}

// fallOpen raises fall to that of the month before, and returns how far its highest level stands above its last one.
func fallOpen(l *book.Levels, fall *schemas.Cents) schemas.Cents {
	*fall = max(*fall, fallOf(l, 0))
	return slices.Max(l[:]) - l[len(l)-1]
}

// dom is today's day of the month.
func (c *cutoff) dom() int { return int(c.Today-c.sight.month) + 1 }

// lowest is what the account holds at least.
func (c *cutoff) lowest() schemas.Cents {
	s := &c.sight
	low := slices.Min(s.levels[s.from : c.dom()+1])
	return max(0, s.levels[c.dom()]-low-s.taken)
}

// since is how many days ago a deposit came that is worth counting on for an amount.
func (c *cutoff) since(amount schemas.Cents) int {
	latest := schemas.Day(0)
	for i := range c.Streams {
		for _, e := range slices.Backward(c.Streams[i].History) {
			if 2*e[1] >= int64(amount) {
				latest = max(latest, schemas.Day(e[0]))
				break
			}
		}
	}
	if latest == 0 {
		return chance.Never
	}
	return int(c.Today - latest)
}

// trackUntil is the last day of a debit that the bank tracks from today; today where the rail tracks none.
func (c *cutoff) trackUntil(pol *book.Policy) schemas.Day {
	return schemas.DayOf(c.Rules.TrackingUntil(pol.Rail, c.Date))
}

// factsFor are the facts for a debit of an amount that the bank would track for so many days.
func (c *cutoff) factsFor(amount schemas.Cents, tracked int) chance.Facts {
	s := &c.sight
	f := s.facts
	f.Since = c.since(amount)
	f.Spends = s.fall >= 2*amount
	low := slices.Min(s.levels[:c.dom()+1])
	over := s.account.Over
	if low < 0 {
		over = max(0, over+low) // below what was left of the month before
	}
	f.Over = s.levels[c.dom()]-low+over >= amount+s.taken
	c.count(amount, tracked, &f)
	return f
}

// count counts the customer's own months.
func (c *cutoff) count(x schemas.Cents, tracked int, f *chance.Facts) {
	dom := c.dom()
	days := dom + int(c.PeriodEnds-c.Today)
	for i := range c.sight.months {
		l := &c.sight.months[i]
		held, soon, later := happened(l, dom, tracked, x)
		f.Held += held
		f.Soon += soon
		f.Later += later
		held, _, _ = happened(l, days-trackDays, trackDays, x)
		f.HeldLast += held
	}
}

// trackDays is for how many days banks track, where the rail does not say.
const trackDays = 10

// happened tells of a month whether from a day on an amount was held until after the tracked days, and whether what
// came proved it, in the tracked days and before the month ended.
func happened(l *book.Levels, dom, tracked int, x schemas.Cents) (held, soon, later int) {
	dom = max(dom, 1)
	low := l[len(l)-1]
	for d := len(l) - 1; d >= dom; d-- {
		low = min(low, l[d])
		if d <= dom+tracked && l[d]-low >= x {
			held = 1
		}
	}
	low = l[dom]
	for d := dom; d < len(l); d++ {
		low = min(low, l[d])
		if l[d]-low >= x {
			later = 1
			if d <= dom+tracked {
				soon = 1
			}
			break
		}
	}
	return held, soon, later
}

// fleeting tells whether this customer's own past says that money which proves an amount is gone by the next banking
// day (CONTRACT 4.4): in more than one of ten months, with a few in which it was not taken for granted.
func (c *cutoff) fleeting(x schemas.Cents) bool {
	wait, gone, months := int(c.NextBanking-c.Today), 0, 0
	for i := range c.sight.months {
		l := &c.sight.months[i]
		low := l[0]
		for d := range l {
			if low = min(low, l[d]); d > 0 && l[d]-low >= x {
				months++
				if l[min(d+wait, len(l)-1)]-low < x {
					gone++
				}
				break
			}
		}
	}
	a := &c.sight.account
	return chance.Own(gone, months, fleetingPopulation) > fleetingFrom ||
		chance.Own(bits.OnesCount8(a.Gone), a.Paydays, fleetingPopulation) > fleetingFrom
}

// Of the population's deposits that prove an amount, in 1/10,000, and from which chance on nobody waits.
const (
	fleetingPopulation = 300
	fleetingFrom       = 1_000
)
