package clickhouse

import "time"

// johannesburg is the zone that the library's reader would make anew for each +02:00.
var johannesburg = time.FixedZone("", 2*60*60)

// number reads an unsigned number of a fixed width; false where another character than a digit stands.
func number(s string) (int, bool) {
	n := 0
	for i := range len(s) {
		d := s[i] - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + int(d)
	}
	return n, true
}

// dateParts reads YYYY-MM-DD, and only days that exist.
func dateParts(s string) (year int, month time.Month, day int, ok bool) {
	if len(s) != len(time.DateOnly) || s[4] != '-' || s[7] != '-' {
		return 0, 0, 0, false
	}
	y, ok1 := number(s[:4])
	m, ok2 := number(s[5:7])
	d, ok3 := number(s[8:])
	if !ok1 || !ok2 || !ok3 || m < 1 || m > 12 || d < 1 || d > daysIn(y, time.Month(m)) {
		return 0, 0, 0, false
	}
	return y, time.Month(m), d, true
}

func daysIn(year int, month time.Month) int {
	switch month {
	case time.April, time.June, time.September, time.November:
		return 30
	case time.February:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// parseInstant reads the instants that stages write: RFC 3339 with or without a fraction, in UTC or at +02:00. False is
// no judgement.
func parseInstant(s string) (time.Time, bool) {
	const shape = "2006-01-02T15:04:05"
	if len(s) <= len(shape) || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return time.Time{}, false
	}
	year, month, day, ok := dateParts(s[:10])
	hour, ok1 := number(s[11:13])
	minute, ok2 := number(s[14:16])
	second, ok3 := number(s[17:19])
	if !ok || !ok1 || !ok2 || !ok3 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	nanos, rest, ok := fraction(s[len(shape):])
	switch {
	case ok && rest == "Z":
		return time.Date(year, month, day, hour, minute, second, nanos, time.UTC), true
	case ok && rest == "+02:00":
		return time.Date(year, month, day, hour, minute, second, nanos, johannesburg), true
	}
	return time.Time{}, false
}

// fraction reads what may stand behind the seconds: a point and one to nine digits.
func fraction(s string) (nanos int, rest string, ok bool) {
	if s[0] != '.' {
		return 0, s, true
	}
	n, scale := 1, 1_000_000_000
	for n < len(s) && s[n]-'0' <= 9 && n <= 9 {
		nanos = nanos*10 + int(s[n]-'0')
		scale /= 10
		n++
	}
	return nanos * scale, s[n:], n > 1
}

// parseDay is time.Parse of YYYY-MM-DD, which every row has several of.
func parseDay(s string) (time.Time, error) {
	if year, month, day, ok := dateParts(s); ok {
		return time.Date(year, month, day, 0, 0, 0, 0, time.UTC), nil
	}
	return time.Parse(time.DateOnly, s)
}
