package income

import (
	"cmp"
	"slices"

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
	Next schemas.Day `json:"x,omitempty"` // first payday after the latest that was paid, where there is a pattern
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

func (s *Stream) learn(cal *rules.Calendar) { s.Pattern, s.Next = detect(cal, s.History, s.Kind) }

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

// Expectation is when money should come next: on Day most likely, and hardly before From or after To. It is waited for
// until To, and GraceDays after Day at least.
type Expectation struct {
	Day, From, To schemas.Day
	Late          bool // the day has passed, but the money may still come
}

// Until is the last day on which the money is waited for.
func (x Expectation) Until() schemas.Day { return max(x.Day+GraceDays, x.To) }

// Expects is when the stream should pay next, as seen on a day. A stream without a pattern, or one that has missed its
// payments, expects nothing.
func (s *Stream) Expects(cal *rules.Calendar, today schemas.Day) (Expectation, bool) {
	if !s.Mature() || len(s.History) == 0 {
		return Expectation{}, false
	}
	p := paydays{s.Pattern, cal, s.Kind}
	x := s.expect(&p, s.Next, today)
	if today > x.Until() { // two payments missed in a row end a stream
		x = s.expect(&p, p.after(s.Next), today)
	}
	return x, today <= x.Until()
}

// expect puts the window around a payday.
func (s *Stream) expect(p *paydays, day, today schemas.Day) Expectation {
	x := Expectation{Day: day, From: day - 1, To: day + GraceDays, Late: today > day}
	if s.Rule != byKind {
		x.From, x.To = day+schemas.Day(s.Early), day+schemas.Day(s.Late)
	}
	if month, dom := date(day); p.isDecember(month, dom) && p.December == 0 {
		x.From = min(x.From, dayInMonth(month, decemberFrom))
		x.To = max(x.To, p.place(dayInMonth(month, p.usual())))
	}
	if s.Rule == onTheDay && !p.cal.IsOpen(day) && !s.paysOnClosedDays(p.cal) {
		x.From, x.To = min(x.From, bankingDay(p.cal, day, -1)), max(x.To, bankingDay(p.cal, day, 1))
	}
	return x
}

// paysOnClosedDays tells whether the stream has ever paid while banks were closed.
func (s *Stream) paysOnClosedDays(cal *rules.Calendar) bool {
	return slices.ContainsFunc(s.History, func(e Entry) bool { return !cal.IsOpen(e.day()) })
}
