package income

import (
	"slices"

	"github.com/kasi-collections/kasi/processors/rules"
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
	// BIWEEKLY), unless the rule says otherwise.
	A    int  `json:"a,omitempty"`
	B    int  `json:"b,omitempty"`
	Rule Rule `json:"r,omitempty"`
	// December is the day of December on which a monthly stream paid last, where that is not known to be as usual.
	December int `json:"d,omitempty"`
	// Early and Late are the window around a payday in days, by the stream's own past: -1 and 1 is from the day before to
	// the day after.
	Early int `json:"u,omitempty"`
	Late  int `json:"w,omitempty"`
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
	month  [window]int
	salary bool
	early  bool // paid on the banking day before where the day is none
}

func (s *sample) add(e Entry) {
	s.days[s.n] = e.day()
	s.month[s.n], s.dom[s.n] = date(e.day())
	s.n++
}

// fit is how well a pattern explains a sample: gaps explained, and how far off the explained ones are, in days.
type fit struct {
	Pattern
	hits, off int
}

// detect finds the pattern that explains most of a history, sorted by day, and the first payday after the latest that
// the pattern explains. Fewer than three deposits have none. Where all deposits together show none, those of the same
// amount may: a wage that is brought in cash, between odd sums.
func detect(cal *rules.Calendar, history []Entry, kind schemas.IncomeKind) (Pattern, schemas.Day) {
	if len(history) < 3 {
		return Pattern{}, 0
	}
	all := sampleOf(history, kind)
	p := all.pattern()
	if p.Mature() {
		next, _ := all.settle(cal, kind, &p)
		return p, next
	}
	if same, ok := all.sameAmount(history); ok && kind != schemas.Gig {
		q := same.pattern()
		if same.n == 2 {
			q = Pattern{Freq: Monthly, A: same.dom[0], Confidence: matureFrom}
		}
		if q.Mature() {
			if next, exact := same.settle(cal, kind, &q); exact*100 >= same.n*matureFrom {
				return q, next
			}
		}
	}
	return p, 0
}

// pattern finds the pattern of a sample by its gaps.
func (s *sample) pattern() Pattern {
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
	if mean >= 11 && mean <= 20 && s.n > 4 {
		best = best.or(s.semiMonthly())
	}
	if mean >= 18 {
		best = best.or(s.monthly()).or(s.every(30)).or(s.every(28))
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
	history = latest(history)
	var sorted [window]int64
	for i, e := range history {
		sorted[i] = e[1]
	}
	slices.Sort(sorted[:len(history)])
	s := sample{salary: kind == schemas.Salary, early: paysBefore(kind)}
	for _, e := range history {
		if e[1] >= sorted[len(history)/2]/4 {
			s.add(e)
		}
	}
	return s
}

func latest(history []Entry) []Entry { return history[max(0, len(history)-window):] }

// sameAmount is the deposits of the amount that comes most often, of two the larger, and those of other amounts on its
// day of the month: a thirteenth wage comes on payday. Two deposits are enough where they are a month apart to the day.
func (s *sample) sameAmount(history []Entry) (same sample, ok bool) {
	history = latest(history)
	best, most := 0, 0
	for i, e := range history {
		n := 0
		for _, o := range history {
			if sameCents(e[1], o[1]) {
				n++
			}
		}
		if n > most || n == most && e[1] >= history[best][1] {
			best, most = i, n
		}
	}
	if most < 2 {
		return sample{}, false
	}
	var doms [window]int
	n := 0
	for _, e := range history {
		if sameCents(e[1], history[best][1]) {
			_, doms[n] = date(e.day())
			n++
		}
	}
	dom := middle(doms[:n], 31)
	same = sample{salary: s.salary, early: s.early}
	for _, e := range history {
		if _, d := date(e.day()); sameCents(e[1], history[best][1]) || e[1] > history[best][1]/2 && d == dom {
			same.add(e)
		}
	}
	if same.n == 2 {
		return same, same.dom[0] == same.dom[1] && same.days[1]-same.days[0] <= 31
	}
	return same, same.n > 2
}

// sameCents tells whether two amounts are the same but for a thousandth, or one is the other and half of it or all of
// it again: with a bonus. Odd sums would often meet within a hundredth.
func sameCents(a, b int64) bool {
	a, b = min(a, b), max(a, b)
	near := func(x int64) bool { return abs64(2*b-x)*1000 <= x }
	return near(2*a) || near(3*a) || near(4*a)
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
	for i := 1; i < s.n; i++ {
		gap := int(s.days[i] - s.days[i-1])
		low, high, off := 24, 38, ring(s.dom[i], anchor, 31)
		if s.salary && s.month[i]%12 == december {
			low, off = 15, min(off, 4)
		}
		if s.salary && s.month[i-1]%12 == december {
			high = 48
		}
		if gap >= low && gap <= high && off <= 4 {
			f.hits++
			f.off += off
		}
	}
	return f
}

// every explains gaps of so many days.
func (s *sample) every(days int) fit {
	f := fit{Pattern: Pattern{Freq: Monthly, A: days, Rule: everyDays}}
	for i := 1; i < s.n; i++ {
		if off := abs(int(s.days[i]-s.days[i-1]) - days); off == 0 {
			f.hits++
			f.off += off
		}
	}
	return f
}

// nominal is the day of the month that was agreed, where weekends and holidays only ever make a payment come earlier:
// the latest of the days near the usual one, which may be the 1st beside the 30th. Where they only make it come later,
// it is the earliest.
func (s *sample) nominal(usual int, later bool) int {
	best, far := usual, 0
	for _, d := range s.dom[:s.n] {
		ahead := (d - usual + 31) % 31
		if later {
			ahead = (usual - d + 31) % 31
		}
		if ahead <= 3 && ahead > far {
			best, far = d, ahead
		}
	}
	return best
}

// latest is the latest deposits of a sample, so many.
func (s *sample) latest(n int) sample {
	of := sample{salary: s.salary, early: s.early, n: n}
	for i := range n {
		at := s.n - n + i
		of.days[i], of.dom[i], of.month[i] = s.days[at], s.dom[at], s.month[at]
	}
	return of
}

// most is the day of the month on which the sample paid most often, of equals the latest paid on.
func (s *sample) most() int {
	var times [32]int
	best := 0
	for _, d := range s.dom[:s.n] {
		if times[d]++; times[d] >= times[best] {
			best = d
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
		best.A, best.B = s.nominal(best.A, false), s.nominal(best.B, false)
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

func abs64(n int64) int64 { return max(n, -n) }
