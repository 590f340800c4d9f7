package income

import (
	"slices"

	"github.com/kasi-collections/kasi/schemas"
)

// The frequencies of a pattern, as states and events hold them.
const (
	Unknown     = ""
	Weekly      = "WEEKLY"
	Biweekly    = "BIWEEKLY"
	SemiMonthly = "SEMI_MONTHLY"
	Monthly     = "MONTHLY"
	Irregular   = "IRREGULAR"
)

// matureFrom is the percentage of gaps that a pattern must explain before a stream counts as mature.
const matureFrom = 60

// window is how many of the latest deposits a pattern is sought in: a year of months, and short enough to follow a
// change of job.
const window = 13

// Pattern is when a stream pays.
type Pattern struct {
	Freq       string `json:"f,omitempty"`
	Confidence int    `json:"p,omitempty"` // percent of the gaps that the pattern explains
	// A and B are the days of the month (MONTHLY: A; SEMI_MONTHLY: both) or A the weekday from Monday = 0 (WEEKLY,
	// BIWEEKLY).
	A int `json:"a,omitempty"`
	B int `json:"b,omitempty"`
}

// Mature tells whether there is a pattern.
func (p *Pattern) Mature() bool { return p.Freq != Unknown && p.Freq != Irregular }

// Entry is the money that one day brought to a stream: day and cents.
type Entry [2]int64

func (e Entry) day() schemas.Day { return schemas.Day(e[0]) }

// sample is the part of a history that patterns are sought in.
type sample struct {
	n      int
	days   [window]schemas.Day
	dom    [window]int // day of the month
	month  [window]int // 1-12
	salary bool
	early  bool // paid on the banking day before where the day is none
}

// fit is how well a pattern explains a sample: gaps explained, and how far off the explained ones are, in days.
type fit struct {
	Pattern
	hits, off int
}

// detect finds the pattern that explains most of a history, sorted by day. Fewer than three deposits have none.
func detect(history []Entry, kind schemas.IncomeKind) Pattern {
	s := sampleOf(history, kind)
	if s.n < 3 {
		return Pattern{}
	}
	gaps := s.n - 1
	mean := int(s.days[s.n-1]-s.days[0]) / gaps
	var best fit
	if mean <= 20 {
		best = s.byWeek(Weekly, 7, 2)
	}
	if mean >= 9 && mean <= 30 {
		best = best.or(s.byWeek(Biweekly, 14, 3))
	}
	if mean >= 11 && mean <= 20 {
		best = best.or(s.semiMonthly())
	}
	if mean >= 18 {
		best = best.or(s.monthly())
	}
	best.Confidence = best.hits * 100 / gaps
	if best.Confidence < matureFrom {
		return Pattern{Freq: Irregular, Confidence: best.Confidence}
	}
	return best.Pattern
}

// or is the better of two fits; of equals the one that is less off, then the first.
func (f fit) or(g fit) fit {
	if g.hits > f.hits || g.hits == f.hits && g.off < f.off {
		return g
	}
	return f
}

// sampleOf takes the latest deposits, without those below a quarter of the usual amount: an expense paid back by the
// employer is no payday.
func sampleOf(history []Entry, kind schemas.IncomeKind) sample {
	if len(history) > window {
		history = history[len(history)-window:]
	}
	var sorted [window]int64
	for i, e := range history {
		sorted[i] = e[1]
	}
	slices.Sort(sorted[:len(history)])
	s := sample{salary: kind == schemas.Salary, early: kind == schemas.Salary || kind == schemas.Wage}
	for _, e := range history {
		if e[1] >= sorted[len(history)/2]/4 {
			d := e.day().Date()
			s.days[s.n], s.dom[s.n], s.month[s.n] = e.day(), d.Day, int(d.Month)
			s.n++
		}
	}
	return s
}

// byWeek explains gaps of one or two weeks, on about the same weekday.
func (s *sample) byWeek(freq string, days, slack int) fit {
	var of [window]int
	for i := range s.n {
		of[i] = s.days[i].Weekday()
	}
	anchor := middle(of[:s.n], 7)
	f := fit{Pattern: Pattern{Freq: freq, A: anchor}}
	for i := 1; i < s.n; i++ {
		gap := int(s.days[i] - s.days[i-1])
		if gap >= days-slack && gap <= days+slack && ring(of[i], anchor, 7) <= 2 {
			f.hits++
			f.off += abs(gap - days)
		}
	}
	return f
}

// monthly explains gaps of about a month that end near the same day of the month. A salary may come weeks early in
// December.
func (s *sample) monthly() fit {
	anchor := middle(s.dom[:s.n], 31)
	f := fit{Pattern: Pattern{Freq: Monthly, A: anchor}}
	if s.early {
		f.A = s.nominal(anchor)
	}
	for i := 1; i < s.n; i++ {
		gap := int(s.days[i] - s.days[i-1])
		low, high, off := 24, 38, ring(s.dom[i], anchor, 31)
		if s.salary && s.month[i] == 12 {
			low, off = 15, min(off, 4)
		}
		if s.salary && s.month[i-1] == 12 {
			high = 48
		}
		if gap >= low && gap <= high && off <= 4 {
			f.hits++
			f.off += off
		}
	}
	return f
}

// nominal is the day of the month that was agreed, where weekends and holidays only ever make a payment come earlier:
// the latest of the days near the usual one.
func (s *sample) nominal(usual int) int {
	best := usual
	for _, d := range s.dom[:s.n] {
		if d-usual <= 3 {
			best = max(best, d)
		}
	}
	return best
}

// semiMonthly explains gaps of half a month between two days of the month in turn.
func (s *sample) semiMonthly() fit {
	var best fit
	for i := range s.n {
		for j := range i {
			if a, b := min(s.dom[i], s.dom[j]), max(s.dom[i], s.dom[j]); ring(a, b, 31) >= 10 {
				best = best.or(s.twoDays(a, b))
			}
		}
	}
	if s.early && best.hits > 0 {
		best.A, best.B = s.nominal(best.A), s.nominal(best.B)
	}
	return best
}

func (s *sample) twoDays(a, b int) fit {
	f := fit{Pattern: Pattern{Freq: SemiMonthly, A: a, B: b}}
	lastIsA := ring(s.dom[0], a, 31) <= ring(s.dom[0], b, 31)
	for i := 1; i < s.n; i++ {
		toA, toB := ring(s.dom[i], a, 31), ring(s.dom[i], b, 31)
		isA := toA <= toB
		gap := int(s.days[i] - s.days[i-1])
		if isA != lastIsA && gap >= 10 && gap <= 20 && min(toA, toB) <= 3 {
			f.hits++
			f.off += min(toA, toB)
		}
		lastIsA = isA
	}
	return f
}

// middle is the value with the least total distance to the others on a ring; of equals the latest.
func middle(of []int, size int) int {
	best, least := 0, 1<<30
	for i := len(of) - 1; i >= 0; i-- {
		sum := 0
		for _, o := range of {
			sum += ring(of[i], o, size)
		}
		if sum < least {
			best, least = of[i], sum
		}
	}
	return best
}

// ring is the distance of two values on a ring.
func ring(a, b, size int) int {
	d := abs(a-b) % size
	return min(d, size-d)
}

func abs(n int) int { return max(n, -n) }
