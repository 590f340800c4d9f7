package income

import (
	"cmp"
	"slices"
	"time"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// maxStreams bounds the streams of a customer; beyond it the one that has been silent for longest is forgotten.
const maxStreams = 16

// The statuses of a stream.
const (
	Early = "EARLY_DETECTION" // fewer than three deposits, or no pattern explains them
	Alive = "MATURE"
	Ended = "ENDED" // it had a pattern and missed its payments
)

// Stream is one source of income of a customer.
type Stream struct {
	Key     uint32             `json:"k"`
	Kind    schemas.IncomeKind `json:"n"`
	History []Entry            `json:"h"` // by day, one entry a day, the latest StreamHistory days
	Pattern
	Next schemas.Day `json:"x,omitempty"` // first payday after the latest deposit, where there is a pattern
}

// Equal tells whether two streams are the same in all they hold.
func (s Stream) Equal(o Stream) bool {
	return s.Key == o.Key && s.Kind == o.Kind && s.Pattern == o.Pattern && s.Next == o.Next &&
		slices.Equal(s.History, o.History)
}

// Streams are a customer's streams, in the order of their first deposits.
type Streams []Stream

// Find is the stream of that key, or nil.
func (l Streams) Find(key uint32) *Stream {
	for i := range l {
		if l[i].Key == key {
			return &l[i]
		}
	}
	return nil
}

// Record puts a deposit into its stream's history and finds the stream's pattern anew. The stream is made if need be. A
// history keeps the latest days, so many.
func (l *Streams) Record(cal *rules.Calendar, key uint32, kind schemas.IncomeKind, d schemas.Day, cents schemas.Cents,
	keep int,
) *Stream {
	s := l.Find(key)
	if s == nil {
		if len(*l) == maxStreams {
			silent := slices.MinFunc(*l, func(a, b Stream) int { return cmp.Compare(a.Last(), b.Last()) }).Key
			*l = slices.DeleteFunc(*l, func(s Stream) bool { return s.Key == silent })
		}
		*l = append(*l, Stream{Key: key, Kind: kind})
		s = &(*l)[len(*l)-1]
	}
	i := len(s.History)
	for i > 0 && s.History[i-1].day() > d {
		i--
	}
	if i > 0 && s.History[i-1].day() == d {
		s.History[i-1][1] += int64(cents)
	} else {
		s.History = slices.Insert(s.History, i, Entry{int64(d), int64(cents)})
	}
	if over := len(s.History) - keep; over > 0 {
		s.History = slices.Delete(s.History, 0, over)
	}
	s.learn(cal)
	return s
}

// TakeBack takes money out of a stream's history again: its payment was cancelled.
func (l Streams) TakeBack(cal *rules.Calendar, key uint32, d schemas.Day, cents schemas.Cents) {
	s := l.Find(key)
	if s == nil {
		return
	}
	if i := slices.IndexFunc(s.History, func(e Entry) bool { return e.day() == d }); i >= 0 {
		if s.History[i][1] -= int64(cents); s.History[i][1] <= 0 {
			s.History = slices.Delete(s.History, i, i+1)
		}
	}
	s.learn(cal)
}

// Forget drops the streams whose latest money came before a day.
func (l *Streams) Forget(before schemas.Day) {
	*l = slices.DeleteFunc(*l, func(s Stream) bool { return s.Last() < before })
}

func (s *Stream) learn(cal *rules.Calendar) {
	s.Pattern, s.Next = detect(s.History, s.Kind), 0
	if s.Mature() {
		s.Next = s.cycle(cal, 1)
	}
}

// Last is the day of the stream's latest money; 0 where there is none.
func (s *Stream) Last() schemas.Day {
	if len(s.History) == 0 {
		return 0
	}
	return s.History[len(s.History)-1].day()
}

// Status is the stream's status as seen on a day.
func (s *Stream) Status(cal *rules.Calendar, today schemas.Day) string {
	if !s.Mature() {
		return Early
	}
	if _, ok := s.Expects(cal, today); !ok {
		return Ended
	}
	return Alive
}

// GraceDays is how long after its expected day a payment may still come before the next one is waited for.
const GraceDays = 4

// Expectation is when money should come next: on Day most likely, and hardly before From or after To.
type Expectation struct {
	Day, From, To schemas.Day
	Late          bool // the day has passed, but the money may still come
}

// Expects is when the stream should pay next, as seen on a day. A stream without a pattern, or one that has missed its
// payments, expects nothing.
func (s *Stream) Expects(cal *rules.Calendar, today schemas.Day) (Expectation, bool) {
	if !s.Mature() || len(s.History) == 0 {
		return Expectation{}, false
	}
	if today <= s.Next+GraceDays {
		return expect(s.Next, today), true
	}
	next := s.cycle(cal, 2) // two payments missed in a row end a stream
	return expect(next, today), today <= next+GraceDays
}

func expect(day, today schemas.Day) Expectation {
	return Expectation{Day: day, From: day - 1, To: day + GraceDays, Late: today > day}
}

// cycle is the n-th payday after the stream's latest deposit.
func (s *Stream) cycle(cal *rules.Calendar, n int) schemas.Day {
	last := s.Last()
	switch s.Freq {
	case Weekly, Biweekly:
		step := 7
		if s.Freq == Biweekly {
			step = 14
		}
		shift := (s.A-last.Weekday()+10)%7 - 3 // back to the usual weekday, at most three days
		return schemas.DayOf(cal.OnOrBefore((last + schemas.Day(shift+n*step)).Date()))
	case SemiMonthly:
		d := last
		for range n {
			d = afterTwo(d, s.A, s.B)
		}
		return d
	case Monthly:
		return s.payday(cal, nearestMonth(last, s.A)+n)
	}
	return 0
}

// payday is the day on which a monthly stream pays in a month.
func (s *Stream) payday(cal *rules.Calendar, month int) schemas.Day {
	p := schemas.PeriodOf(firstOf(month))
	switch s.Kind {
	case schemas.Salary, schemas.Wage:
		return schemas.DayOf(cal.Payday(p, s.A))
	case schemas.Pension:
		return schemas.DayOf(cal.OnOrBefore(dayInMonth(month, s.A).Date()))
	case schemas.Grant: // the published day that the latest deposit fell on, if it fell on one
		last := s.Last().Date()
		then := cal.GrantDays(schemas.PeriodOf(last))
		for _, grant := range []string{rules.GrantOlderPersons, rules.GrantDisability, rules.GrantChildren} {
			if then[grant] == last {
				return schemas.DayOf(cal.GrantDays(p)[grant])
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
