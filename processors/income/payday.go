package income

import (
	"time"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// Rule is how a pattern places its paydays.
type Rule int

// The rules. A state of an earlier build has none: then its kind says where paydays lie.
const (
	byKind        Rule = iota
	onTheDay           // also where banks are closed
	bankingBefore      // on the banking day before, where they are
	bankingAfter       // on the one after
	grantOlder         // with the older persons' grants
	grantDisability
	grantChildren
	weekdayOfMonth // on the first (B = 1), second... or last (5) Monday (A = 0), Tuesday... of the month
	everyDays      // A days after the payment before, whatever the month
)

// paysBefore tells whether payments of a kind are known to come earlier where banks are closed, never later.
func paysBefore(k schemas.IncomeKind) bool {
	return k == schemas.Salary || k == schemas.Wage || k == schemas.Pension || k == schemas.Grant
}

// paysEarly tells whether a kind is paid early in December.
func paysEarly(k schemas.IncomeKind) bool { return k == schemas.Salary || k == schemas.Wage }

// paydays are the days on which a pattern pays.
type paydays struct {
	Pattern
	cal  *rules.Calendar
	kind schemas.IncomeKind
}

// near is the payday next to a day, before or after it. Month and dom are the day's date.
func (p *paydays) near(d schemas.Day, month, dom int) schemas.Day {
	switch p.Freq {
	case Weekly, Biweekly:
		return p.place(d + p.toWeekday(d))
	case SemiMonthly:
		best := d + 99
		for m := month - 1; m <= month+1; m++ {
			for _, of := range [...]int{p.A, p.B} {
				if x := p.place(dayInMonth(m, of)); abs(int(x-d)) < abs(int(best-d)) {
					best = x
				}
			}
		}
		return best
	}
	if p.Rule == everyDays {
		return d
	}
	return p.inMonth(p.month(d, month, dom))
}

// after is the payday after the one next to a day.
func (p *paydays) after(d schemas.Day) schemas.Day {
	switch p.Freq {
	case Weekly:
		return p.place(d + p.toWeekday(d) + 7)
	case Biweekly:
		return p.place(d + p.toWeekday(d) + 14)
	case SemiMonthly:
		return p.place(afterTwo(d, p.A, p.B))
	}
	if p.Rule == everyDays {
		return d + schemas.Day(p.A)
	}
	month, dom := date(d)
	return p.inMonth(p.month(d, month, dom) + 1)
}

// toWeekday is how far a day lies from the usual weekday next to it.
func (p *paydays) toWeekday(d schemas.Day) schemas.Day {
	return schemas.Day((p.A-d.Weekday()+10)%7 - 3)
}

// place moves a day to one on which banks are open, where the rule asks for it.
func (p *paydays) place(d schemas.Day) schemas.Day {
	switch {
	case p.cal.IsOpen(d):
		return d
	case p.Rule == bankingAfter:
		return bankingDay(p.cal, d, 1)
	case p.Rule == bankingBefore, p.Rule == byKind && (paysBefore(p.kind) || p.Freq == Weekly || p.Freq == Biweekly):
		return bankingDay(p.cal, d, -1)
	}
	return d
}

// bankingDay is the first day from d on, by steps of one day forth or back, on which banks are open.
func bankingDay(cal *rules.Calendar, d, step schemas.Day) schemas.Day {
	for !cal.IsOpen(d) {
		d += step
	}
	return d
}

// usual is about the day of the month on which a monthly pattern pays.
func (p *paydays) usual() int {
	switch p.Rule {
	case grantOlder, grantDisability, grantChildren:
		return 5
	case weekdayOfMonth:
		return min(p.B*7-3, 28)
	}
	return p.A
}

// decemberFrom is the first day of December on which salaries due later come.
const decemberFrom = 13

// isDecember tells whether a date is one of December's early paydays: a regime of its own, which says nothing of the
// other months.
func (p *paydays) isDecember(month, dom int) bool {
	return month%12 == december && dom >= decemberFrom && p.Freq == Monthly && paysEarly(p.kind) && p.usual() > 15
}

// month is the month whose payday lies next to a day: a salary of the 1st that came on the 31st belongs to the month
// after.
func (p *paydays) month(d schemas.Day, month, dom int) int {
	usual := p.usual()
	switch {
	case p.isDecember(month, dom):
	case p.December > 0 && month%12 == december && abs(dom-p.December) <= farOff:
	case dom-usual >= 15 && dayInMonth(month+1, usual)-d < d-dayInMonth(month, usual):
		return month + 1
	case usual-dom >= 15 && d-dayInMonth(month-1, usual) < dayInMonth(month, usual)-d:
		return month - 1
	}
	return month
}

// inMonth is the payday of a month.
func (p *paydays) inMonth(month int) schemas.Day {
	if month%12 == december && p.usual() > 15 {
		switch {
		case p.December > 0:
			return p.place(dayInMonth(month, p.December))
		case paysEarly(p.kind):
			return schemas.DayOf(p.cal.Payday(schemas.PeriodOf(firstOf(month).Date()), p.usual()))
		}
	}
	switch p.Rule {
	case grantOlder, grantDisability, grantChildren:
		return p.cal.GrantDay(month/12, time.Month(month%12+1), int(p.Rule-grantOlder))
	case weekdayOfMonth:
		d := dayInMonth(month, p.B*7)
		if p.B == 5 {
			d = dayInMonth(month, 31)
		}
		d -= schemas.Day((d.Weekday() - p.A + 7) % 7)
		return bankingDay(p.cal, d, -1)
	}
	return p.place(dayInMonth(month, p.A))
}

// afterTwo is the first of two days of the month that lies clearly after d: a payment may come some days before its own
// day.
func afterTwo(d schemas.Day, a, b int) schemas.Day {
	const early = 5
	month := monthOf(d)
	for m := month; ; m++ {
		for _, dom := range []int{a, b} {
			if x := dayInMonth(m, dom); x > d+early {
				return x
			}
		}
	}
}
