package demo

import (
	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/schemas"
)

// morning is what happens to the account on d before the cut-off: income, and the other creditors' debit orders on the
// day after it.
func (p *person) morning(c Calendar, d civil.Date) []schemas.Transaction {
	var txs []schemas.Transaction
	if p.rentDue == d && p.rentCents > 0 && p.acc.balance >= p.rentCents {
		txs = append(txs, p.acc.move(clock(d, 4, 30), -p.rentCents, p.memo("DEBIT ORDER HOME LOANS CO", "HOME LOANS CO",
			"DEBIT_ORDER")))
	}
	if p.income.falls(c, d) {
		cents := p.income.paid(p.rng)
		if p.listed {
			cents = p.income.cents // as the list announced it
		}
		txs = append(txs, p.acc.move(clock(d, 5, p.rng.IntN(60)), cents, p.incomeMemo()))
		p.rentDue = c.Next(d)
	}
	if !p.income.evening {
		if cents := p.income.odd(p.rng, d); cents > 0 {
			txs = append(txs, p.acc.move(clock(d, 11, p.rng.IntN(60)), cents, p.incomeMemo()))
		}
	}
	return txs
}

// evening is what happens after the cut-off: payouts of the day's gigs, and the spending. It never takes the account
// below zero.
func (p *person) evening(d civil.Date) []schemas.Transaction {
	var txs []schemas.Transaction
	if p.income.evening {
		if cents := p.income.odd(p.rng, d); cents > 0 {
			txs = append(txs, p.acc.move(clock(d, 18, p.rng.IntN(60)), cents, p.incomeMemo()))
		}
	}
	if p.rng.IntN(100) >= 55 {
		return txs
	}
	// Spending on about every second day, so twice a day's share of the income each time.
	spend := p.income.monthlyCents() * 2 / 30 * schemas.Cents(p.burnPercent) / 100 * schemas.Cents(30+p.rng.IntN(140)) / 100
	if p.kind == schemas.Grant && p.rng.IntN(3) == 0 {
		spend = p.acc.balance * schemas.Cents(50+p.rng.IntN(45)) / 100 // many draw most of a grant at once
	}
	shop := shops[p.rng.IntN(len(shops))]
	if spend = min(spend, p.acc.balance-p.keepCents); spend < 500 {
		return txs
	}
	return append(txs, p.acc.move(clock(d, 19, p.rng.IntN(60)), -spend, p.memo(shop.text, shop.party, shop.category)))
}

// shops take what customers spend.
var shops = []struct{ text, party, category string }{
	{"POS PURCHASE GROCERIES", "SUPERMARKET", "GROCERIES"},
	{"POS PURCHASE GROCERIES", "SPAZA SHOP", "GROCERIES"},
	{"ATM CASH WITHDRAWAL", "", "CASH"},
	{"PREPAID AIRTIME", "MOBILE OPERATOR", "AIRTIME"},
	{"PREPAID ELECTRICITY", "MUNICIPALITY", "UTILITIES"},
	{"TAXI FARE", "TAXI", "TRANSPORT"},
}

func (p *person) memo(text, party, category string) memo {
	return memo{tenant: p.tenant, text: text, party: party, category: category}
}

func (p *person) incomeMemo() memo { return p.memo(p.income.text, p.income.party, "") }

// announce is what the payroll or grant list says on d: a payment three days ahead, and that it has been paid.
func (p *person) announce(c Calendar, d civil.Date, out []schemas.Income) []schemas.Income {
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
			PayDate: step.pay.String(), State: step.state, AmountCents: &cents, Source: p.income.party,
		})
	}
	return out
}
