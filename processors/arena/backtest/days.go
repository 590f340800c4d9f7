package backtest

import (
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// days knows which days of a stretch are banking days. It is shared by all goroutines.
type days struct {
	first   schemas.Day
	banking []bool
}

// newDays knows the days from first to last.
func newDays(c *rules.Calendar, first, last schemas.Day) *days {
	d := &days{first: first, banking: make([]bool, last-first+1)}
	for i := range d.banking {
		d.banking[i] = c.IsBankingDay((first + schemas.Day(i)).Date())
	}
	return d
}

// are tells whether banks process debits on a day. Days outside the stretch are none.
func (d *days) are(day schemas.Day) bool {
	i := int(day - d.first)
	return i >= 0 && i < len(d.banking) && d.banking[i]
}

// onOrAfter is the first banking day from a day on.
func (d *days) onOrAfter(day schemas.Day) schemas.Day {
	for !d.are(day) && int(day-d.first) < len(d.banking) {
		day++
	}
	return day
}

// onOrBefore is the last banking day up to a day.
func (d *days) onOrBefore(day schemas.Day) schemas.Day {
	for !d.are(day) && day > d.first {
		day--
	}
	return day
}
