package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/schemas"
)

// The social grants that GrantDays knows.
const (
	GrantOlderPersons = "OLDER_PERSONS"
	GrantDisability   = "DISABILITY"
	GrantChildren     = "CHILDREN"
)

// grantRule places the older persons' grant: the nth banking day of the month, moved on while it falls on one of the
// weekdays.
type grantRule struct {
	bankingDay int
	neverOn    []time.Weekday
}

// GrantDays are the days on which social grants of the period are paid, by grant: older persons' on the second banking
// day but never on a Monday, disability on the next banking day, children's on the one after (CONTRACT 4.10; data).
func (c *Calendar) GrantDays(p schemas.Period) map[string]civil.Date {
	if published, ok := c.grantMonths[string(p)]; ok {
		return map[string]civil.Date{
			GrantOlderPersons: published[GrantOlderPersons],
			GrantDisability:   published[GrantDisability],
			GrantChildren:     published[GrantChildren],
		}
	}
	rule := at(c.grants, p.First())
	older := c.Add(p.First(), rule.bankingDay-1)
	for slices.Contains(rule.neverOn, older.Weekday()) {
		older = c.Next(older)
	}
	disability := c.Next(older)
	return map[string]civil.Date{GrantOlderPersons: older, GrantDisability: disability, GrantChildren: c.Next(disability)}
}

// Payday is the day on which a salary due on the given day of the month (31: the last) is paid in the period: that day
// or the banking day before it; in December not later than the data's December payday.
func (c *Calendar) Payday(p schemas.Period, day int) civil.Date {
	date := p.First()
	if date.Month == time.December {
		if latest := at(c.december, date); latest > 0 {
			day = min(day, latest)
		}
	}
	date.Day = max(1, min(day, p.Last().Day))
	return c.OnOrBefore(date)
}

func buildCalendar(p *problems, f dataFile) *Calendar {
	c := &Calendar{grantMonths: map[string]map[string]civil.Date{}}
	c.markHolidays()
	for i, e := range f.NotObserved {
		c.mark(p.date(fmt.Sprintf("not_observed[%d]", i), e.Date), false)
	}
	for i, e := range f.Proclaimed {
		c.mark(p.date(fmt.Sprintf("proclaimed[%d]", i), e.Date), true)
	}
	c.december = buildDays(p, "december_payday", f.DecemberPayday, 31)
	c.grants = buildGrants(p, f.Grants)
	for i, e := range f.GrantExceptions {
		place := fmt.Sprintf("grant_exceptions[%d]", i)
		if _, err := schemas.ParsePeriod(e.Period); err != nil {
			p.addf(place+".period", "%s", err)
		}
		c.grantMonths[e.Period] = map[string]civil.Date{
			GrantOlderPersons: p.date(place+".older_persons", e.OlderPersons),
			GrantDisability:   p.date(place+".disability", e.Disability),
			GrantChildren:     p.date(place+".children", e.Children),
		}
	}
	return c
}

func buildGrants(p *problems, entries []grantEntry) []dated[grantRule] {
	froms := map[string]civil.Date{}
	for i, e := range entries {
		place := fmt.Sprintf("grants[%d]", i)
		froms[e.From] = p.from(place, e.From)
		p.between(place+".banking_day", e.BankingDay, 1, 15)
		p.between(place+".never_on", len(e.NeverOn), 0, 4) // some weekday must be left
	}
	return timeline(entries, func(e grantEntry) civil.Date { return froms[e.From] }, func(rule *grantRule, e grantEntry) {
		*rule = grantRule{bankingDay: e.BankingDay}
		for _, name := range e.NeverOn {
			rule.neverOn = append(rule.neverOn, weekday(p, "grants.never_on", name))
		}
	})
}

// weekday reads MONDAY to FRIDAY.
func weekday(p *problems, place, name string) time.Weekday {
	for day := time.Monday; day <= time.Friday; day++ {
		if name == strings.ToUpper(day.String()) {
			return day
		}
	}
	p.addf(place, "%q is not a weekday; expected MONDAY to FRIDAY", name)
	return time.Sunday
}
