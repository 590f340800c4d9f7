package income

import "github.com/kasi-collections/kasi/schemas"

// Months are counted from year 0: 12 * year + month - 1. They are reckoned in whole numbers, without the library's
// dates: each deposit asks for some hundred of them.

// december is the last month of a year.
const december = 11

// The calendar repeats itself every 400 years. A year begins in March, so that a leap day is its last.
const (
	eraDays     = 146097
	epochInEras = 719468 // days from 1 March of year 0 to 1 January 1970
)

// date is the month of a day, and which day of it.
func date(d schemas.Day) (month, dom int) {
	days := int(d) + epochInEras
	era := days / eraDays
	days -= era * eraDays
	year := (days - days/1460 + days/36524 - days/(eraDays-1)) / 365
	days -= 365*year + year/4 - year/100
	fromMarch := (5*days + 2) / 153
	return 12*(400*era+year) + fromMarch + 2, days - (153*fromMarch+2)/5 + 1
}

func monthOf(d schemas.Day) int {
	month, _ := date(d)
	return month
}

// firstOf is the first day of a month.
func firstOf(month int) schemas.Day {
	month -= 2 // from March on
	year, fromMarch := month/12, month%12
	era := year / 400
	year -= era * 400
	return schemas.Day(era*eraDays + 365*year + year/4 - year/100 + (153*fromMarch+2)/5 - epochInEras)
}

// dayInMonth is a day of the month, or the month's last where it is shorter.
func dayInMonth(month, dom int) schemas.Day {
	d := firstOf(month) + schemas.Day(dom-1)
	if dom > 28 {
		return min(d, firstOf(month+1)-1)
	}
	return d
}
