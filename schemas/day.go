package schemas

import (
	"time"

	"cloud.google.com/go/civil"
)

// Day counts days from 1970-01-01. State keeps days as numbers: they are small in JSON and cheap to compare. 0 means no
// day.
type Day int32

// DayOf is the number of a date, counted in eras of 400 years that begin in March, for dates of year 0 and later. An
// invalid date is 0.
func DayOf(d civil.Date) Day {
	if d.Month < 1 || d.Day < 1 {
		return 0
	}
	y, m := d.Year, int(d.Month)
	if m <= 2 {
		y--
		m += 12
	}
	era := y / 400
	yoe := y - era*400
	doy := (153*(m-3)+2)/5 + d.Day - 1
	return Day(era*146097 + yoe*365 + yoe/4 - yoe/100 + doy - 719468)
}

// Date is the day as a date: DayOf backwards, for days of year 0 and later.
func (d Day) Date() civil.Date {
	z := int(d) + 719468
	era := z / 146097
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	c := civil.Date{Year: yoe + era*400, Month: time.Month(mp + 3), Day: doy - (153*mp+2)/5 + 1}
	if mp >= 10 {
		c.Year, c.Month = c.Year+1, time.Month(mp-9)
	}
	return c
}

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
