package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/civil"
	"github.com/shopspring/decimal"
	"go.yaml.in/yaml/v3"

	"github.com/kasi-collections/kasi/schemas"
)

// problems collects every mistake of the data, each with its line, so that one load reports them all.
type problems []string

func (p *problems) addf(line int, format string, args ...any) {
	*p = append(*p, fmt.Sprintf("line %d: ", line)+fmt.Sprintf(format, args...))
}

// between checks a number's range.
func (p *problems) between(line int, name string, n, low, high int) {
	if n < low || n > high {
		p.addf(line, "%s: %d is out of range; expected %d to %d", name, n, low, high)
	}
}

// given is a date that an entry must name.
func (p *problems) given(line int, name string, d date) civil.Date {
	if d == (date{}) {
		p.addf(line, "%s is missing; expected a date", name)
	}
	return d.Date
}

// words checks a list of words and writes them in upper case.
func (p *problems) words(line int, name string, list []string) {
	for i := range list {
		if list[i] = strings.ToUpper(strings.TrimSpace(list[i])); list[i] == "" {
			p.addf(line, "%s[%d] is empty", name, i)
		}
	}
}

// oneOf checks that a text is one of the allowed values.
func oneOf[T ~string](p *problems, line int, name string, value T, allowed ...T) {
	if !slices.Contains(allowed, value) {
		p.addf(line, "%s: %q is not one of %v", name, value, allowed)
	}
}

// refuse is the mistake of one value. The decoder collects such errors and reads on.
func refuse(n *yaml.Node, format string, args ...any) error {
	var p problems
	p.addf(n.Line, format, args...)
	return &yaml.TypeError{Errors: p}
}

// list is a list of the data. The entries of a file come after those of the files read before.
type list[T any] []entry[T]

// entry is an entry as it was read alone, and its text, which timeline reads again over the entry before.
type entry[T any] struct {
	value T
	node  yaml.Node
}

// UnmarshalYAML appends a file's entries. It is of the form that knows no node, since only that refuses unknown keys.
func (l *list[T]) UnmarshalYAML(read func(any) error) error {
	var values []T
	var nodes []yaml.Node
	err := read(&values)
	if read(&nodes) != nil || len(nodes) != len(values) {
		return err // an entry is no mapping, and err says so
	}
	for i := range values {
		*l = append(*l, entry[T]{values[i], nodes[i]})
	}
	return err
}

// date is a YYYY-MM-DD within the calendar's years.
type date struct{ civil.Date }

func (d *date) UnmarshalYAML(n *yaml.Node) error {
	day, err := civil.ParseDate(n.Value)
	if d.Date = day; err != nil || day.Year < FirstYear || day.Year > LastYear {
		d.Date = firstDay
		return refuse(n, "%q is not a date; expected YYYY-MM-DD between %d and %d", n.Value, FirstYear, LastYear)
	}
	return nil
}

// rate is a percentage of 0 to 100, kept as a fraction. It is not valid where an entry does not name it.
type rate struct{ decimal.NullDecimal }

func (r *rate) UnmarshalYAML(n *yaml.Node) error {
	d, err := decimal.NewFromString(n.Value)
	r.NullDecimal = decimal.NewNullDecimal(d.Shift(-2))
	if err != nil || len(n.Value) > 12 || d.IsNegative() || d.GreaterThan(decimal.NewFromInt(100)) {
		return refuse(n, "%q is not a percentage; expected 0 to 100 such as 3.5", n.Value)
	}
	return nil
}

// rands is an amount of money above zero.
type rands schemas.Cents

func (r *rands) UnmarshalYAML(n *yaml.Node) error {
	c, err := schemas.ParseRands(n.Value)
	if *r = rands(max(c, 1)); err != nil {
		return refuse(n, "min_debit: %q %v", n.Value, err)
	} else if c == 0 {
		return refuse(n, "min_debit: %q is zero; expected an amount such as 10.00", n.Value)
	}
	return nil
}

// weekday is MONDAY to FRIDAY.
type weekday time.Weekday

func (w *weekday) UnmarshalYAML(n *yaml.Node) error {
	for day := time.Monday; day <= time.Friday; day++ {
		if n.Value == strings.ToUpper(day.String()) {
			*w = weekday(day)
			return nil
		}
	}
	return refuse(n, "%q is not a weekday; expected MONDAY to FRIDAY", n.Value)
}

// firstDay is the date of entries without one: in force from the beginning.
var firstDay = civil.Date{Year: FirstYear, Month: time.January, Day: 1}

// dated is a value in force from a day until the next entry's day.
type dated[T any] struct {
	From  date `yaml:"from"`
	Value T    `yaml:",inline"`
}

// timeline makes the values in force out of entries: in the order of their dates, at the same date in the order given.
// Where entries change, what one does not name stays as it was before; else it is empty. A value that check finds fault
// with does not come into force.
func timeline[T any](p *problems, l list[dated[T]], change bool, check func(line int, v *T)) []dated[T] {
	l = slices.Clone(l)
	for i := range l {
		if l[i].value.From == (date{}) {
			l[i].value.From = date{firstDay}
		}
	}
	slices.SortStableFunc(l, func(a, b entry[dated[T]]) int { return a.value.From.Compare(b.value.From.Date) })
	var all []dated[T]
	var before T
	for _, e := range l {
		now, found := e.value, len(*p)
		if change {
			now.Value = before
			_ = e.node.Decode(&now) // its mistakes are listed already
			now.From = e.value.From
		}
		if check(e.node.Line, &now.Value); len(*p) > found {
			continue
		}
		before = now.Value
		if n := len(all); n > 0 && all[n-1].From == now.From {
			all[n-1] = now
		} else {
			all = append(all, now)
		}
	}
	return all
}

// inForce is the value in force on a day: before the first entry's day the first one, and of no entries the zero value.
// It is shared and must not be changed.
func inForce[T any](list []dated[T], on civil.Date) *T {
	for i := len(list) - 1; i > 0; i-- {
		if !list[i].From.After(on) {
			return &list[i].Value
		}
	}
	if len(list) == 0 {
		return new(T)
	}
	return &list[0].Value
}
