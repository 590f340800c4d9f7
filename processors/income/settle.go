package income

import (
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// farOff is how many days a deposit may lie from a payday and still be its payment.
const farOff = 4

// recent is how many of the latest payments weigh three times: an employer may have moved the payday.
const recent = 4

// settle chooses how a pattern places its paydays: by the rule whose paydays lay nearest to the sample's, of equals the
// one that its kind is known for. It sets the window, and returns the payday after the latest that the sample paid on,
// and how many deposits came within a day of theirs.
func (s *sample) settle(cal *rules.Calendar, kind schemas.IncomeKind, pattern *Pattern) (next schemas.Day, exact int) {
	var room [12]Pattern
	best, least := paydays{*pattern, cal, kind}, 1<<30
	for _, c := range s.candidates(room[:0], kind, *pattern) {
		p, off := paydays{c, cal, kind}, 0
		for i, d := range s.days[:s.n] {
			weight := 1
			if i >= s.n-recent {
				weight = 3
			}
			if !p.isDecember(s.month[i], s.dom[i]) {
				off += weight * min(abs(int(d-p.near(d, s.month[i], s.dom[i]))), farOff+1)
			}
		}
		if off < least {
			best, least = p, off
		}
	}
	if best.Freq == Monthly && best.Rule < grantOlder {
		best.December = s.december(&best)
	}

	var errs [window]int
	n, paid := 0, -1
	for i, d := range s.days[:s.n] {
		e := int(d - best.near(d, s.month[i], s.dom[i]))
		if best.Rule == everyDays && i > 0 {
			e = int(d-s.days[i-1]) - best.A
		}
		switch {
		case best.isDecember(s.month[i], s.dom[i]):
			paid = i
			exact++
		case abs(e) <= farOff:
			paid = i
			errs[n] = e
			n++
			if abs(e) <= 1 {
				exact++
			}
		}
	}
	best.Early, best.Late = spread(errs[:n])
	*pattern = best.Pattern
	if paid < s.n-2 { // it comes, though never on its days
		paid = s.n - 1
	}
	return best.after(s.days[paid]), exact
}

// candidates appends the ways to place the paydays of a pattern, the one that its kind is known for first.
func (s *sample) candidates(to []Pattern, kind schemas.IncomeKind, p Pattern) []Pattern {
	if p.Rule == everyDays {
		return append(to, p)
	}
	as := func(r Rule, a, b int) Pattern {
		q := p
		q.Rule, q.A, q.B = r, a, b
		return q
	}
	if kind == schemas.Grant && p.Freq == Monthly {
		for r := grantOlder; r <= grantChildren; r++ {
			to = append(to, as(r, 0, 0))
		}
	}
	order := [...]Rule{onTheDay, bankingBefore, bankingAfter}
	if paysBefore(kind) {
		order = [...]Rule{bankingBefore, onTheDay, bankingAfter}
	}
	if p.Freq != Monthly {
		for _, r := range order {
			to = append(to, as(r, p.A, p.B))
		}
		return to
	}
	usual, of := p.A, *s
	for {
		for _, r := range order {
			a := of.most()
			if r != onTheDay {
				a = of.nominal(usual, r == bankingAfter)
			}
			to = append(to, as(r, a, p.B))
		}
		if s.n <= recent || of.n == recent {
			break
		}
		of = s.latest(recent)
		if usual = middle(of.dom[:recent], 31); ring(usual, p.A, 31) <= farOff {
			break
		}
	}
	if s.n > 3 {
		d := s.days[s.n-1]
		last := dayInMonth(s.month[s.n-1], 31)-d < 7
		if b := (s.dom[s.n-1] + 6) / 7; b <= 4 {
			to = append(to, as(weekdayOfMonth, d.Weekday(), b))
		}
		if last {
			to = append(to, as(weekdayOfMonth, d.Weekday(), 5))
		}
	}
	return to
}

// december is the day of December by which the sample was paid last: the usual day, the one that is known of early
// salaries, or else the day itself. It is 0 where no December was seen, and where a kind that is not known to be early
// was not.
func (s *sample) december(p *paydays) int {
	for i := s.n - 1; i >= 0 && p.A > 15; i-- {
		if s.month[i]%12 != december || s.dom[i] < decemberFrom {
			continue
		}
		off := func(dom int) int { return abs(int(p.place(dayInMonth(s.month[i], dom)) - s.days[i])) }
		early := min(p.cal.DecemberDay(s.month[i]/12), p.A)
		switch {
		case off(p.A) <= farOff && !paysEarly(p.kind):
			return 0
		case off(p.A) <= farOff:
			return p.A
		case off(early) <= 2:
			return early
		}
		return s.dom[i]
	}
	return 0
}

// spread is the window around a payday, by how many days the payments so far came before (below 0) or after it: from
// the earliest to the latest of the last ones, and a margin. The margin grows by nine tenths of a day with each
// payment that came outside the window as it was then, and else shrinks by a tenth: so nine of ten lie inside.
func spread(errs []int) (early, late int) {
	const last, mostTenths = 8, 40
	margin := 10
	for i := range errs {
		if i > 0 {
			low, high := bounds(errs[max(0, i-last):i])
			wide := (margin + 9) / 10
			if errs[i] < low-wide || errs[i] > high+wide {
				margin = min(margin+9, mostTenths)
			} else {
				margin = max(margin-1, 0)
			}
		}
	}
	low, high := bounds(errs[max(0, len(errs)-last):])
	wide := (margin + 9) / 10
	return min(low-wide, 0), max(high+wide, 0)
}

func bounds(errs []int) (low, high int) {
	if len(errs) == 0 {
		return 0, 0
	}
	low, high = errs[0], errs[0]
	for _, e := range errs {
		low, high = min(low, e), max(high, e)
	}
	return low, high
}
