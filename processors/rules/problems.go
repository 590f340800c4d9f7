package rules

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/civil"
	"github.com/shopspring/decimal"

	"github.com/kasi-collections/kasi/schemas"
)

// firstDay is the date of entries without one: in force from the beginning.
var firstDay = civil.Date{Year: FirstYear, Month: time.January, Day: 1}

// problems collects every mistake of the data, each with its place, so that one load reports them all.
type problems struct{ list []error }

func (p *problems) addf(place, format string, args ...any) {
	p.list = append(p.list, fmt.Errorf("%s: %s", place, fmt.Sprintf(format, args...)))
}

func (p *problems) err() error { return errors.Join(p.list...) }

// date reads a YYYY-MM-DD within the calendar's years.
func (p *problems) date(place, s string) civil.Date {
	d, err := civil.ParseDate(s)
	if err != nil || d.Year < FirstYear || d.Year > LastYear {
		p.addf(place, "%q is not a date; expected YYYY-MM-DD between %d and %d", s, FirstYear, LastYear)
		return firstDay
	}
	return d
}

// from reads the date an entry holds from; without one it holds from the beginning.
func (p *problems) from(place, s string) civil.Date {
	if s == "" {
		return firstDay
	}
	return p.date(place+".from", s)
}

// between checks a number's range.
func (p *problems) between(place string, n, low, high int) int {
	if n < low || n > high {
		p.addf(place, "%d is out of range; expected %d to %d", n, low, high)
	}
	return n
}

// count checks a small number that an entry may leave out.
func (p *problems) count(place string, n *int) {
	if n != nil {
		p.between(place, *n, 0, 100)
	}
}

// fraction reads a percentage of 0 to 100 and returns it as a fraction.
func (p *problems) fraction(place, s string) decimal.Decimal {
	d, err := decimal.NewFromString(s)
	if err != nil || len(s) > 12 || d.IsNegative() || d.GreaterThan(decimal.NewFromInt(100)) {
		p.addf(place, "%q is not a percentage; expected 0 to 100 such as 3.5", s)
		return decimal.Zero
	}
	return d.Shift(-2)
}

// rands reads an amount of money above zero.
func (p *problems) rands(place, s string) schemas.Cents {
	c, err := schemas.ParseRands(s)
	if err != nil {
		p.addf(place, "%s", err)
		return 1
	}
	if c == 0 {
		p.addf(place, "is zero; expected an amount such as 10.00")
	}
	return c
}

// words checks a list of words and writes them in upper case.
func (p *problems) words(place string, list []string) []string {
	upper := make([]string, 0, len(list))
	for i, w := range list {
		w = strings.ToUpper(strings.TrimSpace(w))
		if w == "" {
			p.addf(fmt.Sprintf("%s[%d]", place, i), "is empty")
		}
		upper = append(upper, w)
	}
	return upper
}

// oneOf checks that a text is one of the allowed values.
func oneOf[T ~string](p *problems, place, s string, allowed ...T) T {
	for _, a := range allowed {
		if s == string(a) {
			return a
		}
	}
	p.addf(place, "%q is not one of %v", s, allowed)
	return T(s)
}
