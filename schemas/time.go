package schemas

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/civil"
)

// Johannesburg is UTC+2 all year: South Africa has no daylight saving, so no zone database is needed.
var Johannesburg = time.FixedZone("SAST", 2*60*60)

// DateIn is the Johannesburg date of an instant.
func DateIn(t time.Time) civil.Date { return civil.DateOf(t.In(Johannesburg)) }

// Period is a calendar month written YYYY-MM.
type Period string

// ParsePeriod reads YYYY-MM and nothing else.
func ParsePeriod(s string) (Period, error) {
	if t, err := time.Parse("2006-01", s); err != nil || t.Format("2006-01") != s || t.Year() < 1900 {
		return "", fmt.Errorf("%q is not a period; expected YYYY-MM such as 2025-11", s)
	}
	return Period(s), nil
}

// DateText is d.String(), YYYY-MM-DD, without its way through package fmt: every event carries one.
func DateText(d civil.Date) string {
	y, m := d.Year, int(d.Month)
	if y < 0 || y > 9999 || m < 0 || m > 99 || d.Day < 0 || d.Day > 99 {
		return d.String()
	}
	return string([]byte{
		byte('0' + y/1000), byte('0' + y/100%10), byte('0' + y/10%10), byte('0' + y%10), '-', byte('0' + m/10),
		byte('0' + m%10), '-', byte('0' + d.Day/10), byte('0' + d.Day%10),
	})
}

// PeriodOf is the month that holds the date.
func PeriodOf(d civil.Date) Period { return Period(DateText(d)[:len("2006-01")]) }

// First is the first day of the period. It panics on a Period that did not come from ParsePeriod or PeriodOf.
func (p Period) First() civil.Date {
	year, month, _ := strings.Cut(string(p), "-")
	y, wrongYear := strconv.Atoi(year)
	m, wrongMonth := strconv.Atoi(month)
	if wrongYear != nil || wrongMonth != nil || m < 1 || m > 12 {
		panic("schemas: period " + string(p) + " was not validated")
	}
	return civil.Date{Year: y, Month: time.Month(m), Day: 1}
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// Last is the last day of the period.
func (p Period) Last() civil.Date { return p.Next().First().AddDays(-1) }

// Next is the following month.
func (p Period) Next() Period { return PeriodOf(p.First().AddMonths(1)) }

// ParseDate reads YYYY-MM-DD and nothing else: the first instant of the day in UTC.
func ParseDate(s string) (time.Time, error) { return time.Parse(time.DateOnly, s) }

// ParseInstant reads an RFC 3339 time with an offset and at most nine decimals. The checks after the library's are what
// it forgives (go.dev/issue/54580); further decimals it would drop, which makes two instants one.
func ParseInstant(s string) (t time.Time, err error) {
	if err = t.UnmarshalText([]byte(s)); err != nil {
		return t, err
	}
	const hour, seconds = len("2006-01-02T15"), len("2006-01-02T15:04:05")
	switch {
	case s[hour] != ':':
		return t, fmt.Errorf("%q has an hour of one digit", s)
	case s[seconds] == ',':
		return t, fmt.Errorf("%q has a comma before its decimals", s)
	case len(s) > seconds+len(".123456789Z") && digits(s[seconds+1:seconds+len(".1234567890")]):
		return t, fmt.Errorf("%q has more than nine decimals", s)
	case s[len(s)-1] != 'Z' && (s[len(s)-len("07:00"):len(s)-len(":00")] > "23" || s[len(s)-len("00"):] > "59"):
		return t, fmt.Errorf("%q has an offset of a day or more", s)
	}
	return t, nil
}
