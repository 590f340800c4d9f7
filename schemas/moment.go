package schemas

import (
	"time"

	"cloud.google.com/go/civil"
)

// Moment is when something happens, in business time. It comes from the records, never from a clock.
type Moment struct {
	// Date is the business date. Cutoff is the last tick of the partition on that date (0: the day is open).
	Date   civil.Date
	Cutoff int
	// Sent is the day on which the record was written, under the real calendar; zero elsewhere. It is later than Date
	// where the calendar catches up on days that it missed, and where a record overtakes the tick of its day.
	Sent civil.Date
	// At is the timestamp of the record being processed.
	At time.Time
}

// epoch is the business date before the first tick.
var epoch = civil.Date{Year: 1970, Month: 1, Day: 1}

// Today is the business date. Before the partition's first tick it is day 0: whatever is booked lies ahead.
func (m Moment) Today() Day { return DayOf(m.Date) }

// SentOn is the day on which what is decided now goes out, and up to which an answer of the bank may be dated: the
// business date, or a later one.
func (m Moment) SentOn() civil.Date {
	if m.Sent.After(m.Date) {
		return m.Sent
	}
	return m.Date
}

// BusinessDate is the business date as events and dated rules take it: 1970-01-01 before the first tick.
func (m Moment) BusinessDate() civil.Date {
	if m.Today() == 0 {
		return epoch
	}
	return m.Date
}

// Shown is the instant as users see it: the record's. Under a manual calendar it is the same time of the business date.
func (m Moment) Shown() time.Time {
	if m.Sent.IsValid() || m.Today() == 0 {
		return m.At
	}
	local := m.At.In(Johannesburg)
	day := local.Sub(time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, Johannesburg))
	return m.Date.In(Johannesburg).Add(day).UTC()
}

// Shown is when an event happened as users see it: the timestamp of what caused it, on the business date. The two
// differ under a manual calendar.
func (m Meta) Shown() time.Time {
	date, err := civil.ParseDate(m.BusinessDate)
	at := m.At.UTC().Truncate(time.Millisecond)
	if err != nil || date == epoch || DateIn(at) == date {
		return at
	}
	clock := civil.DateTimeOf(at.In(Johannesburg)).Time
	return civil.DateTime{Date: date, Time: clock}.In(Johannesburg).UTC()
}

// Meta is the head of an event. The facts must name the event among all events.
func (m Moment) Meta(facts ...string) Meta {
	return Meta{EventID: FactID(facts...), BusinessDate: DateText(m.BusinessDate()), At: m.At}
}
