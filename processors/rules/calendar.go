package rules

import (
	"time"

	"cloud.google.com/go/civil"
	"github.com/rickar/cal/v2/za"
)

// FirstYear and LastYear are the years for which public holidays are known; decoders and data refuse dates outside.
const (
	FirstYear = 1900
	LastYear  = 2199
)

// Calendar knows South Africa's banking days: Monday to Friday less public holidays, which come from rickar/cal plus
// the proclaimed days of the data. It never changes once built, so it is safe for concurrent use.
type Calendar struct {
	// holidays has one bit a day, counted from 1 January of FirstYear.
	holidays []uint64
	december []dated[int]
	grants   []dated[grantRule]
	// grantMonths are the months whose published grant days differ from the rule.
	grantMonths map[string]map[string]civil.Date
}

// IsBankingDay tells whether banks process debits on d.
func (c *Calendar) IsBankingDay(d civil.Date) bool {
	switch d.Weekday() {
	case time.Saturday, time.Sunday:
		return false
	default:
		return !c.isHoliday(d)
	}
}

// OnOrAfter is d if it is a banking day, else the next one.
func (c *Calendar) OnOrAfter(d civil.Date) civil.Date {
	for !c.IsBankingDay(d) {
		d = d.AddDays(1)
	}
	return d
}

// OnOrBefore is d if it is a banking day, else the one before.
func (c *Calendar) OnOrBefore(d civil.Date) civil.Date {
	for !c.IsBankingDay(d) {
		d = d.AddDays(-1)
	}
	return d
}

// Next is the first banking day strictly after d.
func (c *Calendar) Next(d civil.Date) civil.Date { return c.OnOrAfter(d.AddDays(1)) }

// Add is n banking days (n >= 0) after OnOrAfter(d).
func (c *Calendar) Add(d civil.Date, n int) civil.Date {
	d = c.OnOrAfter(d)
	for ; n > 0; n-- {
		d = c.Next(d)
	}
	return d
}

// Between counts the banking days after a up to and including b; 0 where b is not after a.
func (c *Calendar) Between(a, b civil.Date) int {
	n := 0
	for d := a.AddDays(1); !d.After(b); d = d.AddDays(1) {
		if c.IsBankingDay(d) {
			n++
		}
	}
	return n
}

func (c *Calendar) isHoliday(d civil.Date) bool {
	day := dayNumber(d)
	return day >= 0 && day < len(c.holidays)*64 && c.holidays[day/64]&(1<<(day%64)) != 0
}

func (c *Calendar) mark(d civil.Date, holiday bool) {
	day := dayNumber(d)
	if day < 0 || day >= len(c.holidays)*64 {
		return
	}
	if holiday {
		c.holidays[day/64] |= 1 << (day % 64)
	} else {
		c.holidays[day/64] &^= 1 << (day % 64)
	}
}

func dayNumber(d civil.Date) int { return d.DaysSince(firstDay) }

// markHolidays takes the public holidays of all years from the library: the day itself and the Monday it moves to.
func (c *Calendar) markHolidays() {
	c.holidays = make([]uint64, dayNumber(civil.Date{Year: LastYear + 1, Month: time.January, Day: 1})/64+1)
	for year := FirstYear; year <= LastYear; year++ {
		for _, holiday := range za.Holidays {
			actual, observed := holiday.Calc(year)
			c.mark(civil.DateOf(actual), true)
			c.mark(civil.DateOf(observed), true)
		}
	}
}
