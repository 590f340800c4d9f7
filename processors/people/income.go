package people

import (
	"fmt"
	"math/rand/v2"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// incomePlan says when and how much a simulated customer earns.
type incomePlan struct {
	kind schemas.IncomeKind
	// day is a salary's day of the month (31: the last), moved to the banking day before (CONTRACT 4.10).
	day int
	// grant names the social grant, as rules.Calendar.GrantDays does.
	grant string
	// cents is one payment; gig payments spread around it.
	cents schemas.Cents
	// everyPercent is a gig worker's chance of a payment on any one day.
	everyPercent int
	// evening gig workers are paid out after the day's cut-off.
	evening bool
	memo    memo
	// lostFrom, where set, is the day from which the income stays away.
	lostFrom civil.Date
}

// gigSources pay small sums at odd times.
var gigSources = []memo{
	{"UBER TRIP EARNINGS", "UBER SA", ""},
	{"BOLT DRIVER PAYOUT", "BOLT", ""},
	{"MR D COURIER PAYOUT", "MR D", ""},
	{"SWEEPSOUTH GIG PAYOUT", "SWEEPSOUTH", ""},
	{"CASH DEPOSIT ATM", "", ""},
}

// newIncomePlan draws a plan. Amounts are rand a South African of that kind may earn in 2025: grants as paid (old age
// and disability about R 2,320, child support R 560 a child), wages and salaries of people who buy funeral cover.
func newIncomePlan(rng *rand.Rand, kind schemas.IncomeKind, from civil.Date) incomePlan {
	p := incomePlan{kind: kind}
	switch kind {
	case schemas.Salary:
		p.day = []int{25, 25, 25, 25, 25, 25, 15, 31, 31, 1}[rng.IntN(10)]
		p.cents = schemas.Cents(450_000 + rng.IntN(1_350_000))
		p.memo.party = fmt.Sprintf("EMPLOYER %02d (PTY) LTD", 1+rng.IntN(60))
		p.memo.text = "SALARY " + p.memo.party
	case schemas.Grant:
		switch roll := rng.IntN(10); {
		case roll < 5:
			p.grant, p.cents = "OLDER_PERSONS", 232_000
		case roll < 7:
			p.grant, p.cents = "DISABILITY", 232_000
		default:
			p.grant, p.cents = "CHILDREN", 56_000*schemas.Cents(1+rng.IntN(4))
		}
		p.memo = memo{"SASSA SOCIAL GRANT " + p.grant, "SASSA", ""}
	case schemas.Wage:
		p.cents = schemas.Cents(90_000 + rng.IntN(130_000))
		p.memo.party = fmt.Sprintf("SITE %02d CONTRACTORS", 1+rng.IntN(40))
		p.memo.text = "WAGES " + p.memo.party
	default:
		p.cents = schemas.Cents(6_000 + rng.IntN(24_000))
		p.everyPercent = 15 + rng.IntN(25)
		p.evening = rng.IntN(2) == 0
		p.memo = gigSources[rng.IntN(len(gigSources))]
	}
	if rng.IntN(100) < 3 {
		p.lostFrom = from.AddDays(rng.IntN(15))
	}
	return p
}

// monthlyCents is about what the plan brings in a month.
func (p incomePlan) monthlyCents() schemas.Cents {
	switch p.kind {
	case schemas.Wage:
		return p.cents * 13 / 3
	case schemas.Gig:
		return p.cents * 30 * schemas.Cents(p.everyPercent) / 100
	default:
		return p.cents
	}
}

// falls tells whether a payment is planned for the day. It draws no chances for regular income, so it may be asked
// about days to come.
func (p incomePlan) falls(c *rules.Calendar, d civil.Date) bool {
	if p.lostFrom.IsValid() && !d.Before(p.lostFrom) {
		return false
	}
	switch p.kind {
	case schemas.Salary:
		// A payday early in a month may move back into the month before.
		this := schemas.PeriodOf(d)
		return c.Payday(this, p.day) == d || c.Payday(this.Next(), p.day) == d
	case schemas.Grant:
		return c.GrantDays(schemas.PeriodOf(d))[p.grant] == d
	case schemas.Wage:
		friday := d.AddDays((5 - int(d.Weekday()) + 7) % 7)
		return c.OnOrBefore(friday) == d
	default:
		return false
	}
}

// paid is the amount of a payment planned for the day: wages and a third of the salaries vary a little.
func (p incomePlan) paid(rng *rand.Rand) schemas.Cents {
	switch p.kind {
	case schemas.Wage:
		return p.cents * schemas.Cents(80+rng.IntN(31)) / 100
	case schemas.Salary:
		if rng.IntN(3) == 0 {
			return p.cents * schemas.Cents(97+rng.IntN(9)) / 100
		}
	}
	return p.cents
}

// odd draws a gig worker's payment of the day; 0 means none. Each is whole rand or has odd cents, as tips do.
func (p incomePlan) odd(rng *rand.Rand, d civil.Date) schemas.Cents {
	if p.kind != schemas.Gig || rng.IntN(100) >= p.everyPercent || p.lostFrom.IsValid() && !d.Before(p.lostFrom) {
		return 0
	}
	cents := p.cents * schemas.Cents(40+rng.IntN(150)) / 100
	if rng.IntN(2) == 0 {
		cents = cents / 1000 * 1000
	}
	return max(cents, 2_000)
}
