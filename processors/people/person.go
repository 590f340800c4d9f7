package people

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// trouble is what is wrong with an account from a day on: the South-African unpaid code the bank answers every debit
// with (CONTRACT 4.7).
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
	policies []Policy
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
	opening := p.keepCents + monthly*schemas.Cents(p.rng.IntN(20))/100
	p.acc = account{
		customer: fmt.Sprintf("CUST%04d", i), id: fmt.Sprintf("ACC%06d", 100_000+i), opening: opening, balance: opening,
	}
	switch roll := p.rng.IntN(100); { // the history that the detector gets
	case roll < 12:
		p.feedFrom = from
	case roll < 35:
		p.feedFrom = firstDay.AddDays(30)
	default:
		p.feedFrom = firstDay
	}
	p.listed = (p.kind == schemas.Salary && p.rng.IntN(5) == 0) || (p.kind == schemas.Grant && p.rng.IntN(2) == 0)
	p.noFeed = p.listed && p.rng.IntN(10) == 0
	p.trouble = newTrouble(p.rng, from)
	p.addPolicy(i)
	return p
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
	p.policies = append(p.policies, Policy{
		Number: fmt.Sprintf("POL%04d", n), Customer: p.acc.customer, Ref: fmt.Sprintf("EXT%04d", n),
		Product: fmt.Sprintf("FUNERAL_%02d", 1+p.rng.IntN(3)), Premium: premium, Rail: rail,
		Mandate: fmt.Sprintf("MND%06d", 500_000+n),
	})
}

// morning is what happens to the account on d before the cut-off: income, and the other creditors' debit orders on the
// day after it.
func (p *person) morning(c *rules.Calendar, d civil.Date) []schemas.Transaction {
	var txs []schemas.Transaction
	if p.rentDue == d && p.rentCents > 0 && p.acc.balance >= p.rentCents {
		txs = append(txs, p.move(clock(d, 4, 30), -p.rentCents, rent))
	}
	if p.income.falls(c, d) {
		cents := p.income.paid(p.rng)
		if p.listed {
			cents = p.income.cents // as the list announced it
		}
		txs = append(txs, p.move(clock(d, 5, p.rng.IntN(60)), cents, p.income.memo))
		p.rentDue = c.Next(d)
	}
	if p.income.evening {
		return txs
	}
	return p.odd(txs, d, 11)
}

// odd appends a gig worker's payment of the day, if there is one.
func (p *person) odd(txs []schemas.Transaction, d civil.Date, hour int) []schemas.Transaction {
	if cents := p.income.odd(p.rng, d); cents > 0 {
		txs = append(txs, p.move(clock(d, hour, p.rng.IntN(60)), cents, p.income.memo))
	}
	return txs
}

// evening is what happens after the cut-off: payouts of the day's gigs, and the spending. It never takes the account
// below zero.
func (p *person) evening(d civil.Date) []schemas.Transaction {
	var txs []schemas.Transaction
	if p.income.evening {
		txs = p.odd(txs, d, 18)
	}
	if p.rng.IntN(100) >= 55 {
		return txs
	}
	// Spending on about every second day, so twice a day's share of the income each time.
	spend := p.income.monthlyCents() * 2 / 30 * schemas.Cents(p.burnPercent) / 100
	spend = spend * schemas.Cents(30+p.rng.IntN(140)) / 100
	if p.kind == schemas.Grant && p.rng.IntN(3) == 0 {
		spend = p.acc.balance * schemas.Cents(50+p.rng.IntN(45)) / 100 // many draw most of a grant at once
	}
	shop, minute := shops[p.rng.IntN(len(shops))], p.rng.IntN(60) // drawn in any case: what a debit took moves no chance
	if spend = min(spend, p.acc.balance-p.keepCents); spend < 500 {
		return txs
	}
	return append(txs, p.move(clock(d, 19, minute), -spend, shop))
}

// memo is what a statement says about a transaction.
type memo struct{ text, party, category string }

// rent stands for all other creditors.
var rent = memo{"DEBIT ORDER HOME LOANS CO", "HOME LOANS CO", "DEBIT_ORDER"}

// shops take what customers spend.
var shops = []memo{
	{"POS PURCHASE GROCERIES", "SUPERMARKET", "GROCERIES"},
	{"POS PURCHASE GROCERIES", "SPAZA SHOP", "GROCERIES"},
	{"ATM CASH WITHDRAWAL", "", "CASH"},
	{"PREPAID AIRTIME", "MOBILE OPERATOR", "AIRTIME"},
	{"PREPAID ELECTRICITY", "MUNICIPALITY", "UTILITIES"},
	{"TAXI FARE", "TAXI", "TRANSPORT"},
}

// announce is what the payroll or grant list says on d: a payment three days ahead, and that it has been paid.
func (p *person) announce(c *rules.Calendar, d civil.Date, out []schemas.Income) []schemas.Income {
	if !p.listed {
		return out
	}
	for _, step := range []struct {
		pay   civil.Date
		state schemas.IncomeState
	}{{d.AddDays(3), schemas.Announced}, {d, schemas.IncomePaid}} {
		if !p.income.falls(c, step.pay) {
			continue
		}
		cents := p.income.cents
		out = append(out, schemas.Income{
			IncomeID: p.acc.id + "-" + step.pay.String(), TenantID: p.tenant, CustomerID: p.acc.customer, Kind: p.kind,
			PayDate: step.pay.String(), State: step.state, AmountCents: &cents, Source: p.income.memo.party,
		})
	}
	return out
}

// account is a simulated customer's bank account. Its balance changes through move and nothing else, so that the
// opening balance and the sum of the movements always make the balance.
type account struct {
	customer, id     string
	opening, balance schemas.Cents
	moves            int
}

// move books signed cents (positive: money comes in) and returns the transaction that the bank feed reports.
func (p *person) move(at time.Time, cents schemas.Cents, m memo) schemas.Transaction {
	p.acc.balance += cents
	p.acc.moves++
	after, direction := p.acc.balance, schemas.Credit
	if cents < 0 {
		cents, direction = -cents, schemas.Debit
	}
	return schemas.Transaction{
		TransactionID: p.acc.id + "-" + strconv.Itoa(p.acc.moves), TenantID: p.tenant, CustomerID: p.acc.customer,
		BookedAt: at, AmountCents: cents, Direction: direction, AccountID: p.acc.id, BalanceAfterCents: &after,
		Currency: "ZAR", Description: m.text, Counterparty: m.party, Category: m.category,
	}
}

// clock is an instant of a business day in Johannesburg.
func clock(d civil.Date, hour, minute int) time.Time {
	return time.Date(d.Year, d.Month, d.Day, hour, minute, 0, 0, schemas.Johannesburg)
}

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
