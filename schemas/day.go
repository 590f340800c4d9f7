package schemas

import (
	"time"

	"cloud.google.com/go/civil"
)

// Day counts days from 1970-01-01. State keeps days as numbers: they are small in JSON and cheap to compare. 0 means no
// day.
type Day int32

// DayOf is the number of a date. An invalid date is 0.
func DayOf(d civil.Date) Day {
	if d.Month < 1 || d.Day < 1 {
		return 0
	}
	return Day(d.In(time.UTC).Unix() / 86400)
}

// Date is the day as a date.
func (d Day) Date() civil.Date { return civil.DateOf(time.Unix(int64(d)*86400, 0).UTC()) }

// Text is YYYY-MM-DD, or nothing for no day: the form of optional dates in events.
func (d Day) Text() string {
	if d == 0 {
		return ""
	}
	return DateText(d.Date())
}

// Weekday is 0 for Monday to 6 for Sunday.
func (d Day) Weekday() int { return int((d+3)%7+7) % 7 }

// DayOfUnix is the Johannesburg day of an instant in Unix seconds (UTC+2 all year).
func DayOfUnix(s int64) Day {
	s += 2 * 60 * 60
	if s < 0 {
		s -= 86399
	}
	return Day(s / 86400)
}

// Opening is the instant, in Unix seconds, at which a day begins in Johannesburg.
func (d Day) Opening() int64 { return int64(d)*86400 - 2*60*60 }
