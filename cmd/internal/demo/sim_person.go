package demo

import (
	"fmt"
	"math/rand/v2"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/schemas"
)

// Calendar is what the simulation needs to know of South Africa's banking days; *rules.Calendar is one.
type Calendar interface {
	IsBankingDay(d civil.Date) bool
	OnOrBefore(d civil.Date) civil.Date
	Next(d civil.Date) civil.Date
	GrantDays(p schemas.Period) map[string]civil.Date
	Payday(p schemas.Period, day int) civil.Date
}

// policy is one row of policies.csv.
type policy struct {
	number, customer, ref, product string
	premium                        schemas.Cents
	rail                           schemas.Rail
	mandate                        string
}

// trouble is what is wrong with an account from a day on: the South-African unpaid code the bank answers every debit
// with (SPEC 4.7).
type trouble struct {
	from civil.Date
	code string
}

// person is one simulated customer. All its chances come from its own source, so what happens to one customer never
// depends on another or on the order of calls between them.
type person struct {
	rng    *rand.Rand
	tenant string
	acc    account
	kind   schemas.IncomeKind
	income incomePlan
	// keepCents is what the customer tries to leave in the account; hand-to-mouth customers leave next to nothing.
	keepCents schemas.Cents
	// burnPercent scales daily spending: 100 spends a day's share of the income a day, 300 has spent it all after ten
	// days.
	burnPercent int
	// rentCents leaves by another creditor's debit order on the day after payday.
	rentCents schemas.Cents
	rentDue   civil.Date
	// feedFrom is the first day the bank feed reports; a customer whose consent came late has no history.
	feedFrom civil.Date
	// noFeed customers bank elsewhere: Kasi knows them from the grant or payroll list only.
	noFeed bool
	// listed customers stand on a payroll or grant list of the incomes feed.
	listed   bool
	trouble  trouble
	policies []policy
}

// kindShares is the mix of customers, in percent.
var kindShares = []struct {
	kind  schemas.IncomeKind
	share int
}{{schemas.Salary, 45}, {schemas.Grant, 22}, {schemas.Wage, 15}, {schemas.Gig, 18}}

// newPerson makes the i-th customer of a seed (i counts from 1), living from the first simulated day on.
func newPerson(tenant string, seed uint64, i int, firstDay, from civil.Date) *person {
	p := &person{rng: rand.New(rand.NewPCG(seed, uint64(i))), tenant: tenant}
	roll := p.rng.IntN(100)
	for _, k := range kindShares {
		if p.kind = k.kind; roll < k.share {
			break
		}
		roll -= k.share
	}
	p.income = newIncomePlan(p.rng, p.kind, from)
	monthly := p.income.monthlyCents()
	switch roll := p.rng.IntN(100); {
	case roll < 60: // hand to mouth
		p.keepCents, p.burnPercent = schemas.Cents(p.rng.IntN(2_000)), 220+p.rng.IntN(250)
	case roll < 87: // careful
		p.keepCents, p.burnPercent = monthly*schemas.Cents(3+p.rng.IntN(8))/100, 90+p.rng.IntN(90)
	default: // saves
		p.keepCents, p.burnPercent = monthly*schemas.Cents(15+p.rng.IntN(30))/100, 50+p.rng.IntN(40)
	}
	if p.kind != schemas.Gig {
		p.rentCents = monthly * schemas.Cents(10+p.rng.IntN(25)) / 100
	}
	p.acc = account{customer: customerID(i), id: fmt.Sprintf("ACC%06d", 100_000+i)}
	p.acc.opening = p.keepCents + monthly*schemas.Cents(p.rng.IntN(20))/100
	p.acc.balance = p.acc.opening
	p.feedFrom = feedStart(p.rng, firstDay, from)
	p.listed = (p.kind == schemas.Salary && p.rng.IntN(5) == 0) || (p.kind == schemas.Grant && p.rng.IntN(2) == 0)
	p.noFeed = p.listed && p.rng.IntN(10) == 0
	p.trouble = newTrouble(p.rng, from)
	p.addPolicy(i)
	return p
}

// feedStart spreads the history the detector gets: three months for most, two for some, none for one in eight.
func feedStart(rng *rand.Rand, firstDay, from civil.Date) civil.Date {
	switch roll := rng.IntN(100); {
	case roll < 12:
		return from
	case roll < 35:
		return firstDay.AddDays(30)
	default:
		return firstDay
	}
}

// troubles are the accounts that no waiting for money helps, in one of a thousand customers each.
var troubles = []struct {
	code     string
	permille int
}{{"12", 8}, {"04", 6}, {"05", 5}, {"18", 4}}

func newTrouble(rng *rand.Rand, from civil.Date) trouble {
	roll := rng.IntN(1000)
	for _, t := range troubles {
		if roll < t.permille {
			return trouble{from: from.AddDays(rng.IntN(20)), code: t.code}
		}
		roll -= t.permille
	}
	return trouble{}
}

// addPolicy gives the person the n-th policy of the file.
func (p *person) addPolicy(n int) {
	low, high := 8_000, 18_000 // R 80 to R 180
	switch p.kind {
	case schemas.Wage:
		low, high = 9_000, 28_000
	case schemas.Salary:
		low, high = 12_000, 45_000
	}
	premium := schemas.Cents(low+p.rng.IntN(high-low+1)) / 500 * 500
	if p.rng.IntN(8) == 0 {
		premium -= 1 // R 149.99: not every premium is round
	}
	rail := schemas.RailDebiCheck
	switch roll := p.rng.IntN(100); {
	case roll < 6:
		rail = schemas.RailEFT
	case roll < 15:
		rail = schemas.RailRM
	}
	p.policies = append(p.policies, policy{
		number: fmt.Sprintf("POL%04d", n), customer: p.acc.customer, ref: fmt.Sprintf("EXT%04d", n),
		product: fmt.Sprintf("FUNERAL_%02d", 1+p.rng.IntN(3)), premium: premium, rail: rail, mandate: fmt.Sprintf("MND%06d",
			500_000+n),
	})
}
