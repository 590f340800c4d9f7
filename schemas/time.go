package schemas

import (
	"fmt"
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

// PeriodOf is the month that holds the date.
func PeriodOf(d civil.Date) Period { return Period(fmt.Sprintf("%04d-%02d", d.Year, int(d.Month))) }

// First is the first day of the period. It panics on a Period that did not come from ParsePeriod or PeriodOf.
func (p Period) First() civil.Date {
	d, err := civil.ParseDate(string(p) + "-01")
	if err != nil {
		panic("schemas: period " + string(p) + " was not validated")
	}
	return d
}

// Last is the last day of the period.
func (p Period) Last() civil.Date { return p.Next().First().AddDays(-1) }

// Next is the following month.
func (p Period) Next() Period { return PeriodOf(p.First().AddMonths(1)) }
