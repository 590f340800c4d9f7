package rules

import (
	"slices"
	"time"

	"cloud.google.com/go/civil"
	"github.com/rickar/cal/v2/za"

	"github.com/kasi-collections/kasi/schemas"
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
	december []dated[dayOfMonth]
	// grantDays are older persons', disability and children's days of each month from January of FirstYear.
	grantDays [][3]schemas.Day
}

// IsBankingDay tells whether banks process debits on d.
func (c *Calendar) IsBankingDay(d civil.Date) bool {
	switch d.Weekday() {
	case time.Saturday, time.Sunday:
		return false
	}
	return !c.isHoliday(d)
}

// IsOpen tells the same of a day by its number, at little cost.
func (c *Calendar) IsOpen(d schemas.Day) bool {
	day := int(d - firstNumber)
	return d.Weekday() < 5 && (day < 0 || day >= len(c.holidays)*64 || c.holidays[day/64]&(1<<(day%64)) == 0)
}

// firstNumber is the number of the day from which holidays are counted.
var firstNumber = schemas.DayOf(firstDay)

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
	day := d.DaysSince(firstDay)
	return day >= 0 && day < len(c.holidays)*64 && c.holidays[day/64]&(1<<(day%64)) != 0
}

func (c *Calendar) mark(d civil.Date) {
	if day := d.DaysSince(firstDay); day >= 0 && day < len(c.holidays)*64 {
		c.holidays[day/64] |= 1 << (day % 64)
	}
}

// GrantOlderPersons, GrantDisability and GrantChildren are the social grants that GrantDays knows.
const (
	GrantOlderPersons = "OLDER_PERSONS"
	GrantDisability   = "DISABILITY"
	GrantChildren     = "CHILDREN"
)

// grantRule places the older persons' grant: the nth banking day of the month, moved on while it falls on one of the
// weekdays.
type grantRule struct {
	BankingDay int       `yaml:"banking_day"`
	NeverOn    []weekday `yaml:"never_on"`
}

// GrantDays are the days on which social grants of the period are paid, by grant: older persons' on the second banking
// day but never on a Monday, disability on the next banking day, children's on the one after (CONTRACT 4.10; data).
func (c *Calendar) GrantDays(p schemas.Period) map[string]civil.Date {
	of := func(grant int) civil.Date { return c.GrantDay(p.First().Year, p.First().Month, grant).Date() }
	return map[string]civil.Date{GrantOlderPersons: of(0), GrantDisability: of(1), GrantChildren: of(2)}
}

// GrantDay is the day of one grant of a month: 0 is older persons', 1 disability, 2 children's. It is 0 outside of the
// calendar's years.
func (c *Calendar) GrantDay(year int, month time.Month, grant int) schemas.Day {
	i := (year-FirstYear)*12 + int(month) - 1
	if i < 0 || i >= len(c.grantDays) {
		return 0
	}
	return c.grantDays[i][grant]
}

// findGrantDays finds the grants' days of all the calendar's months: by rule, or as they were published.
func (c *Calendar) findGrantDays(rules []dated[grantRule], published map[schemas.Period][3]civil.Date) {
	next := func(d schemas.Day) schemas.Day {
		for d++; !c.IsOpen(d); d++ {
		}
		return d
	}
	for first := firstDay; first.Year <= LastYear; first = first.AddMonths(1) {
		rule, older := inForce(rules, first), schemas.DayOf(first)-1
		for range rule.BankingDay {
			older = next(older)
		}
		for slices.Contains(rule.NeverOn, weekday(older.Weekday()+1)) {
			older = next(older)
		}
		days := [3]schemas.Day{older, next(older), next(next(older))}
		for i, d := range published[schemas.PeriodOf(first)] {
			if d != (civil.Date{}) {
				days[i] = schemas.DayOf(d)
			}
		}
		c.grantDays = append(c.grantDays, days)
	}
}

// DecemberDay is the day of December by which a year's salaries are paid; 31 where the data name none.
func (c *Calendar) DecemberDay(year int) int {
	if day := inForce(c.december, civil.Date{Year: year, Month: time.December, Day: 1}).Day; day > 0 {
		return day
	}
	return 31
}

// Payday is the day on which a salary due on the given day of the month (31: the last) is paid in the period: that day
// or the banking day before it; in December not later than the data's December payday.
func (c *Calendar) Payday(p schemas.Period, day int) civil.Date {
	date := p.First()
	if date.Month == time.December {
		day = min(day, c.DecemberDay(date.Year))
	}
	date.Day = max(1, min(day, p.Last().Day))
	return c.OnOrBefore(date)
}

type namedDay struct {
	Date date   `yaml:"date"`
	Name string `yaml:"name"`
}

type grantMonth struct {
	Period       schemas.Period `yaml:"period"`
	OlderPersons date           `yaml:"older_persons"`
	Disability   date           `yaml:"disability"`
	Children     date           `yaml:"children"`
}

// buildCalendar takes the public holidays of all years from the library (the day itself and the Monday it moves to),
// less those not observed, plus those proclaimed.
func buildCalendar(p *problems, f *dataFile) *Calendar {
	days := civil.Date{Year: LastYear + 1, Month: time.January, Day: 1}.DaysSince(firstDay)
	c, published := &Calendar{holidays: make([]uint64, days/64+1)}, map[schemas.Period][3]civil.Date{}
	notObserved := map[civil.Date]bool{}
	for _, e := range f.NotObserved {
		notObserved[p.given(e.node.Line, "date", e.value.Date)] = true
	}
	for year := FirstYear; year <= LastYear; year++ {
		for _, holiday := range za.Holidays {
			actual, observed := holiday.Calc(year)
			for _, d := range []civil.Date{civil.DateOf(actual), civil.DateOf(observed)} {
				if !notObserved[d] {
					c.mark(d)
				}
			}
		}
	}
	for _, e := range f.Proclaimed {
		c.mark(p.given(e.node.Line, "date", e.value.Date))
	}
	c.december = timeline(p, f.DecemberPayday, false,
		func(line int, v *dayOfMonth) { p.between(line, "december_payday", v.Day, 1, 31) })
	grants := timeline(p, f.Grants, false, func(line int, v *grantRule) {
		p.between(line, "banking_day", v.BankingDay, 1, 15)
		p.between(line, "never_on", len(v.NeverOn), 0, 4) // some weekday must be left
	})
	for _, e := range f.GrantExceptions {
		m, line := e.value, e.node.Line
		if _, err := schemas.ParsePeriod(string(m.Period)); err != nil {
			p.addf(line, "period: %s", err)
		}
		published[m.Period] = [3]civil.Date{
			p.given(line, "older_persons", m.OlderPersons), p.given(line, "disability", m.Disability),
			p.given(line, "children", m.Children),
		}
	}
	c.findGrantDays(grants, published)
	return c
}
