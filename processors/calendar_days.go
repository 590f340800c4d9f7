package processors

import (
	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/schemas"
)

// Calendar knows South Africa's banking days: Monday to Friday less public holidays, which come from rickar/cal plus the proclaimed days
// of the data. It is safe for concurrent use.
type Calendar struct{}

// The social grants that GrantDays knows.
const (
	GrantOlderPersons = "OLDER_PERSONS"
	GrantDisability   = "DISABILITY"
	GrantChildren     = "CHILDREN"
)

// IsBankingDay tells whether banks process debits on d.
func (c *Calendar) IsBankingDay(d civil.Date) bool { return false }

// OnOrAfter is d if it is a banking day, else the next one.
func (c *Calendar) OnOrAfter(d civil.Date) civil.Date { return d }

// OnOrBefore is d if it is a banking day, else the one before.
func (c *Calendar) OnOrBefore(d civil.Date) civil.Date { return d }

// Next is the first banking day strictly after d.
func (c *Calendar) Next(d civil.Date) civil.Date { return d }

// Add is n banking days (n >= 0) after OnOrAfter(d).
func (c *Calendar) Add(d civil.Date, n int) civil.Date { return d }

// Between counts the banking days after a up to and including b; 0 where b is not after a.
func (c *Calendar) Between(a, b civil.Date) int { return 0 }

// GrantDays are the days on which social grants of the period are paid, by grant (SPEC 4.10).
func (c *Calendar) GrantDays(p schemas.Period) map[string]civil.Date { return nil }

// Payday is the day on which a salary due on the given day of the month (31: the last) is paid in the period: that day or the banking
// day before it; in December not later than the data's December payday.
func (c *Calendar) Payday(p schemas.Period, day int) civil.Date { return p.First() }
