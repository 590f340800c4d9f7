package processors

import (
	"time"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// graceDays is how long after its expected day a payment may still come before the next one is waited for.
const graceDays = 4

// missedCycles in a row end a stream.
const missedCycles = 2

// expectation is when a stream should pay next.
type expectation struct {
	day  schemas.Day
	late bool // the day has passed, but the money may still come
}

// expects is when a stream should pay next, as seen on a day. A stream without a pattern, or one that has missed its
// payments, expects nothing.
func (e *Engine) expects(s *stream, today schemas.Day) (expectation, bool) {
	if !s.mature() || len(s.History) == 0 {
		return expectation{}, false
	}
	if today <= s.Next+graceDays {
		return expectation{s.Next, today > s.Next}, true
	}
	for cycle := 2; cycle <= missedCycles; cycle++ {
		if d := e.cycle(s, cycle); today <= d+graceDays {
			return expectation{d, today > d}, true
		}
	}
	return expectation{}, false
}

// cycle is the n-th payday after the stream's latest deposit.
func (e *Engine) cycle(s *stream, n int) schemas.Day {
	last := s.last()
	switch s.Freq {
	case freqWeekly, freqBiweekly:
		step := 7
		if s.Freq == freqBiweekly {
			step = 14
		}
		shift := (s.A-last.Weekday()+10)%7 - 3 // back to the usual weekday, at most three days
		return schemas.DayOf(e.rules.Calendar.OnOrBefore((last + schemas.Day(shift+n*step)).Date()))
	case freqSemiMonthly:
		d := last
		for range n {
			d = afterTwo(d, s.A, s.B)
		}
		return d
	case freqMonthly:
		return e.payday(s, nearestMonth(last, s.A)+n)
	}
	return 0
}

// payday is the day on which a monthly stream pays in a month.
func (e *Engine) payday(s *stream, month int) schemas.Day {
	p := schemas.PeriodOf(firstOf(month))
	switch s.Kind {
	case schemas.Salary, schemas.Wage:
		return schemas.DayOf(e.rules.Calendar.Payday(p, s.A))
	case schemas.Grant:
		return e.grantDay(s, p, month)
	}
	return dayInMonth(month, s.A)
}

// grantDay follows the published grant day that the stream's latest deposit fell on, if it fell on one; else the day of
// the month.
func (e *Engine) grantDay(s *stream, p schemas.Period, month int) schemas.Day {
	last := s.last()
	then := e.rules.Calendar.GrantDays(schemas.PeriodOf(last.Date()))
	for _, grant := range []string{rules.GrantOlderPersons, rules.GrantDisability, rules.GrantChildren} {
		if d, ok := then[grant]; ok && schemas.DayOf(d) == last {
			if next, ok := e.rules.Calendar.GrantDays(p)[grant]; ok {
				return schemas.DayOf(next)
			}
		}
	}
	return dayInMonth(month, s.A)
}

// Months are counted from year 0: 12 * year + month - 1.

func monthOf(d schemas.Day) int {
	t := d.Date()
	return t.Year*12 + int(t.Month) - 1
}

// firstOf is the first day of a month.
func firstOf(month int) civil.Date {
	return civil.Date{Year: month / 12, Month: time.Month(month%12 + 1), Day: 1}
}

// dayInMonth is a day of the month, or the month's last where it is shorter.
func dayInMonth(month, dom int) schemas.Day {
	return min(schemas.DayOf(firstOf(month))+schemas.Day(dom-1), schemas.DayOf(firstOf(month+1))-1)
}

// nearestMonth is the month whose given day lies nearest: a salary of the 1st that came on the 31st belongs to the
// month after.
func nearestMonth(d schemas.Day, dom int) int {
	best, month := 0, monthOf(d)
	for i, m := range []int{month, month - 1, month + 1} {
		if i == 0 || abs(int(dayInMonth(m, dom)-d)) < abs(int(dayInMonth(best, dom)-d)) {
			best = m
		}
	}
	return best
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
