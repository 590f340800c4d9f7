package feeds

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/kasi-collections/kasi/schemas"
)

// The bounds of texts, in bytes.
const (
	maxID   = schemas.MaxName
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

// need says whether a field must be there and not empty; null and absence are the same.
type need bool

const (
	optional need = false
	required need = true
)

// text takes a string of at most limit bytes.
func (r *record) text(i int, name string, limit int, n need) (s string) {
	v := r.fields[i]
	switch {
	case r.failed() || v.kind == absent || v.kind == isNull:
	case v.kind != isString && v.kind != isCell:
		r.fail(schemas.RejectBadField, name+" is not a string")
	default:
		raw, err := v.unescaped()
		if err != nil {
			*r.err = err
		}
		s = string(raw)
	}
	switch {
	case len(s) > limit && limit == maxID:
		r.fail(schemas.RejectBadID, name+" is too long")
	case len(s) > limit:
		r.fail(schemas.RejectTooLong, name+" is too long")
	case s == "" && n == required:
		r.fail(schemas.RejectMissingField, name+" is missing or empty")
	default:
		return s
	}
	return ""
}

// id takes a name (schemas.Name).
func (r *record) id(i int, name string, limit int, n need) string {
	s, err := schemas.Name(r.text(i, name, limit, n))
	if err != nil {
		r.fail(schemas.RejectBadID, name+" "+err.Error())
	}
	return s
}

// cents takes an integer amount, above zero unless it is signed; there is false where the field is absent. Only digits
// are an integer: not 150.0, 1e3 or "150".
func (r *record) cents(i int, name string, signed bool) (c schemas.Cents, there bool) {
	v := r.fields[i]
	if r.failed() || v.kind == absent || v.kind == isNull {
		return 0, false
	}
	digits := v.raw
	if signed {
		digits = bytes.TrimPrefix(digits, []byte("-"))
	}
	integer := (v.kind == isNumber || v.kind == isCell) && len(digits) > 0 && len(digits) <= 15
	for _, d := range digits {
		integer = integer && d >= '0' && d <= '9'
		c = c*10 + schemas.Cents(d-'0')
	}
	switch {
	case !integer:
		r.fail(schemas.RejectBadAmount, name+" is not an integer number of cents in range")
	case c > schemas.MaxCents:
		r.fail(schemas.RejectBadAmount, name+" is above the maximum of "+schemas.MaxCents.String())
	case c == 0 && !signed:
		r.fail(schemas.RejectBadAmount, name+" is not above zero")
	}
	if len(digits) < len(v.raw) {
		c = -c
	}
	return c, true
}

// needCents takes an amount above zero that must be there.
func (r *record) needCents(i int, name string) schemas.Cents {
	c, there := r.cents(i, name, false)
	if !there {
		r.fail(schemas.RejectMissingField, name+" is missing")
	}
	return c
}

// maybeCents is nil where the field is absent.
func (r *record) maybeCents(i int, name string, signed bool) *schemas.Cents {
	c, there := r.cents(i, name, signed)
	if !there {
		return nil
	}
	return &c
}

// instant takes a required RFC 3339 time with an offset, with at most nine decimals (Go keeps no more), and returns it
// in UTC.
func (r *record) instant(i int, name string) time.Time {
	s := r.text(i, name, maxText, required)
	if r.failed() {
		return time.Time{}
	}
	t, err := schemas.ParseInstant(s)
	switch {
	case err != nil:
		r.fail(schemas.RejectBadTime, name+" is not an RFC 3339 time with an offset, such as 2025-11-05T10:00:00+02:00")
	case !inYears(t.Year()):
		r.fail(schemas.RejectBadTime, name+years)
	}
	return t.UTC()
}

// date takes a required YYYY-MM-DD.
func (r *record) date(i int, name string) string {
	s := r.text(i, name, maxText, required)
	if r.failed() {
		return ""
	}
	switch t, err := schemas.ParseDate(s); {
	case err != nil:
		r.fail(schemas.RejectBadDate, name+" is not a date; expected YYYY-MM-DD such as 2025-11-05")
	case !inYears(t.Year()):
		r.fail(schemas.RejectBadDate, name+years)
	}
	return s
}

// inYears keeps a year within what columns hold, less one at both ends: a date that follows from a field, such as the
// next payday, has a column too, and the first day of 1970 stands for no day.
func inYears(year int) bool { return year > schemas.FirstYear && year < schemas.LastYear }

var years = fmt.Sprintf(" lies outside the years %d to %d", schemas.FirstYear+1, schemas.LastYear-1)

// choice takes one of the allowed values. It returns the allowed value itself, so that no text is copied.
func choice[T ~string](r *record, i int, name string, n need, allowed ...T) T {
	if v := r.fields[i]; (v.kind == isString || v.kind == isCell) && !v.escaped {
		for _, a := range allowed {
			if string(v.raw) == string(a) {
				return a
			}
		}
	}
	s := T(r.text(i, name, maxText, n))
	if s != "" && !slices.Contains(allowed, s) {
		r.fail(schemas.RejectBadEnum, name+" is not one of the allowed values")
	}
	return s
}
