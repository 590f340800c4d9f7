package feeds

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

// needID takes a name of at most limit bytes that must be there, without control characters.
func (r *record) needID(i int, name string, limit int) string {
	return r.noControls(r.need(i, name, limit), name)
}

// maybeID is needID for a field that may be absent or empty.
func (r *record) maybeID(i int, name string, limit int) string {
	return r.noControls(r.text(i, name, limit), name)
}

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

// needPositive takes an amount above zero that must be there.
func (r *record) needPositive(i int, name string) schemas.Cents {
	c, there := r.positive(i, name)
	if !there {
		r.fail(schemas.RejectMissingField, name+" is missing")
	}
	return c
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
	t, err := schemas.ParseInstant(s)
	if err != nil || !inYears(t.Year()) {
		r.fail(schemas.RejectBadTime, name+" is not an RFC 3339 time with an offset, such as 2025-11-05T10:00:00+02:00")
	}
	return t.UTC()
}

// date takes a required YYYY-MM-DD.
func (r *record) date(i int, name string) string {
	s := r.need(i, name, maxText)
	if r.failed() {
		return ""
	}
	if t, err := schemas.ParseDate(s); err != nil || !inYears(t.Year()) {
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
