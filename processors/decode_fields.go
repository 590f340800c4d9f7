package processors

import (
	"time"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// The bounds of texts, in bytes.
const (
	maxID   = 128
	maxText = 4096
	maxCode = 35
)

// record is a decoded object whose fields are taken one by one. The first mistake stays; what follows it returns zero
// values, so a decoder reads as a flat list of checks in order of precedence.
type record struct {
	fields []value
	// a variable of the decoder: one within the record would make the compiler put the fields on the heap with it
	err *error
}

func (r *record) failed() bool { return *r.err != nil }

func (r *record) fail(class, message string) {
	if !r.failed() {
		*r.err = schemas.Refuse(class, message)
	}
}

// text takes a string of at most limit bytes. null and absence are the same.
func (r *record) text(i int, name string, limit int) string {
	v := r.fields[i]
	if r.failed() || v.kind == absent || v.kind == isNull {
		return ""
	}
	if v.kind != isString {
		r.fail(schemas.RejectBadField, name+" is not a string")
		return ""
	}
	var s string
	if v.escaped {
		var err error
		if s, err = unescape(v.raw); err != nil {
			*r.err = err
			return ""
		}
	} else {
		s = string(v.raw)
	}
	if len(s) > limit {
		class := schemas.RejectTooLong
		if limit == maxID {
			class = schemas.RejectBadID
		}
		r.fail(class, name+" is too long")
		return ""
	}
	return s
}

// need takes a string that must be there and not empty.
func (r *record) need(i int, name string, limit int) string {
	s := r.text(i, name, limit)
	if s == "" {
		r.fail(schemas.RejectMissingField, name+" is missing or empty")
	}
	return s
}

// id takes a required id: no control characters, at most 128 bytes.
func (r *record) id(i int, name string) string { return r.noControls(r.need(i, name, maxID), name) }

// noControls refuses characters below 0x20: they separate the parts of Kafka keys.
func (r *record) noControls(s, name string) string {
	for i := range len(s) {
		if s[i] < 0x20 {
			r.fail(schemas.RejectBadID, name+" holds a control character")
			return ""
		}
	}
	return s
}

// cents takes an integer amount; there is false where the field is absent. Only digits are an integer: not 150.0, 1e3
// or "150".
func (r *record) cents(i int, name string, negative bool) (c schemas.Cents, there bool) {
	v := r.fields[i]
	if r.failed() || v.kind == absent || v.kind == isNull {
		return 0, false
	}
	digits := v.raw
	if negative && len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	if v.kind != isNumber || len(digits) > 15 {
		r.fail(schemas.RejectBadAmount, name+" is not an integer number of cents in range")
		return 0, false
	}
	for _, d := range digits {
		if d < '0' || d > '9' {
			r.fail(schemas.RejectBadAmount, name+" is not an integer number of cents in range")
			return 0, false
		}
		c = c*10 + schemas.Cents(d-'0')
	}
	if c > schemas.MaxCents {
		r.fail(schemas.RejectBadAmount, name+" is above the maximum of "+schemas.MaxCents.String())
	}
	if len(digits) < len(v.raw) {
		c = -c
	}
	return c, true
}

// positive takes an amount above zero.
func (r *record) positive(i int, name string) (c schemas.Cents, there bool) {
	c, there = r.cents(i, name, false)
	if there && c == 0 {
		r.fail(schemas.RejectBadAmount, name+" is not above zero")
	}
	return c, there
}

// optional is nil where the field is absent.
func optional(c schemas.Cents, there bool) *schemas.Cents {
	if !there {
		return nil
	}
	return &c
}

// instant takes a required RFC 3339 time with an offset, with at most nine decimals (Go keeps no more), and returns it
// in UTC.
func (r *record) instant(i int, name string) time.Time {
	s := r.need(i, name, maxText)
	if r.failed() {
		return time.Time{}
	}
	t, ok := parseInstant(s)
	if !ok || !inYears(number(s[:4])) {
		r.fail(schemas.RejectBadTime, name+" is not an RFC 3339 time with an offset, such as 2025-11-05T10:00:00+02:00")
	}
	return t
}

// parseInstant is written by hand because the standard library takes what is not RFC 3339 (go.dev/issue/54580:
// one-digit hours, commas, offsets of 24 hours), and makes a time zone for each value.
func parseInstant(s string) (time.Time, bool) {
	const seconds = len("2025-11-05T10:00:00")
	if len(s) <= seconds || !shaped(s[:seconds], "0000-00-00T00:00:00") {
		return time.Time{}, false
	}
	nanos, zone := 0, s[seconds:]
	if zone[0] == '.' {
		n := 1
		for ; n < len(zone) && zone[n] >= '0' && zone[n] <= '9'; n++ {
			nanos = nanos*10 + int(zone[n]-'0')
			if n > 9 {
				return time.Time{}, false
			}
		}
		if n == 1 {
			return time.Time{}, false
		}
		for d := n; d <= 9; d++ {
			nanos *= 10
		}
		zone = zone[n:]
	}
	var offset time.Duration
	if zone != "Z" {
		if !shaped(zone, "+00:00") && !shaped(zone, "-00:00") || zone[1:3] > "23" || zone[4:6] > "59" {
			return time.Time{}, false
		}
		offset = time.Duration(number(zone[1:3]))*time.Hour + time.Duration(number(zone[4:6]))*time.Minute
		if zone[0] == '-' {
			offset = -offset
		}
	}
	if s[11:13] > "23" || s[14:16] > "59" || s[17:19] > "59" {
		return time.Time{}, false
	}
	day := number(s[8:10])
	t := time.Date(number(s[:4]), time.Month(number(s[5:7])), day, number(s[11:13]), number(s[14:16]), number(s[17:19]),
		nanos, time.UTC)
	// time.Date moves the 30th of February to March, and month 13 to January: what it moved was no date.
	return t.Add(-offset), t.Day() == day && int(t.Month()) == number(s[5:7])
}

// number is the value of digits.
func number(digits string) (n int) {
	for i := range len(digits) {
		n = n*10 + int(digits[i]-'0')
	}
	return n
}

// shaped compares a text with a pattern in which 0 stands for any digit.
func shaped(s, pattern string) bool {
	if len(s) != len(pattern) {
		return false
	}
	for i := range len(s) {
		digit := pattern[i] == '0' && s[i] >= '0' && s[i] <= '9'
		if !digit && s[i] != pattern[i] {
			return false
		}
	}
	return true
}

// date takes a required YYYY-MM-DD.
func (r *record) date(i int, name string) string {
	s := r.need(i, name, maxText)
	if r.failed() {
		return ""
	}
	if t, err := time.Parse(time.DateOnly, s); err != nil || !shaped(s, "0000-00-00") || !inYears(t.Year()) {
		r.fail(schemas.RejectBadDate, name+" is not a date; expected YYYY-MM-DD such as 2025-11-05")
	}
	return s
}

// inYears keeps dates within the years whose holidays are known.
func inYears(year int) bool { return year >= rules.FirstYear && year <= rules.LastYear }

// choice checks that a required text is one of the allowed values.
func choice[T ~string](r *record, i int, name string, allowed ...T) T {
	c := choiceOrNone(r, i, name, allowed...)
	if c == "" {
		r.fail(schemas.RejectMissingField, name+" is missing or empty")
	}
	return c
}

// choiceOrNone is choice for a field that may be absent or empty. It returns the allowed value itself, so that no text
// is copied.
func choiceOrNone[T ~string](r *record, i int, name string, allowed ...T) T {
	v := r.fields[i]
	if v.kind == isString && !v.escaped {
		for _, a := range allowed {
			if string(v.raw) == string(a) {
				return a
			}
		}
	}
	s := r.text(i, name, maxText)
	for _, a := range allowed {
		if s == string(a) {
			return a
		}
	}
	if s != "" {
		r.fail(schemas.RejectBadEnum, name+" is not one of the allowed values")
	}
	return ""
}
