// Package people simulates customers with salaries, grants, wages and gig income, the accounts and feeds that show it,
// and the bank that answers their debits.
//
// It is pure: no Kafka, no HTTP and no clock. All chances come from the seed, so the same seed gives the same people.
// New makes them. Each day they are asked for the Morning, ahead of the day's cut-off, and the Evening after it; in
// between a Bank is told debits and answers. The bank keeps a BankBook of its own, which the product's figures are held
// against.
package people

import (
	"math/rand/v2"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// historyMonths is how long the customers have lived before the month begins.
const historyMonths = 3

// Every 17th policy belongs to the customer before it, who then holds two on one account.
const secondPolicyEvery = 17

// People are all simulated customers and what their feeds say.
type People struct {
	cal    *rules.Calendar
	people []*person
	byID   map[string]*person
	from   civil.Date
	// delivery draws what goes wrong on the way from the bank to Kasi.
	delivery *rand.Rand
	// change draws the small transactions; turn is whose they are next.
	change *rand.Rand
	turn   int
	late   map[civil.Date][]schemas.Transaction // delivered on that day instead of their own
}

// New makes the customers of a seed, with the given number of policies, for a month that begins on from.
func New(tenant string, seed uint64, policies int, from civil.Date, cal *rules.Calendar) *People {
	ps := &People{
		cal: cal, from: from, delivery: rand.New(rand.NewPCG(seed, 0)), change: rand.New(rand.NewPCG(seed, 1<<32)),
		late: map[civil.Date][]schemas.Transaction{}, byID: map[string]*person{},
	}
	firstDay := from.AddMonths(-historyMonths)
	for i := 1; i <= policies; i++ {
		if n := len(ps.people); n > 0 && i%secondPolicyEvery == 0 {
			ps.people[n-1].addPolicy(i)
			continue
		}
		p := newPerson(tenant, seed, i, firstDay, from)
		ps.people = append(ps.people, p)
		ps.byID[p.acc.customer] = p
	}
	return ps
}

// Policy is one policy of a customer, as the insurer's policies.csv has it.
type Policy struct {
	Number, Customer, Ref, Product string
	Premium                        schemas.Cents
	Rail                           schemas.Rail
	Mandate                        string
}

// Policies are all policies, in the order of their numbers.
func (ps *People) Policies() []Policy {
	var all []Policy
	for _, p := range ps.people {
		all = append(all, p.policies...)
	}
	return all
}

// Customers is how many customers there are; some hold two policies.
func (ps *People) Customers() int { return len(ps.people) }

// Kinds are the kinds of income that customers have, the most frequent first but for gigs.
func Kinds() []schemas.IncomeKind {
	var kinds []schemas.IncomeKind
	for _, k := range kindShares {
		kinds = append(kinds, k.kind)
	}
	return kinds
}

// Kind is the kind of income of a customer; "" of somebody who is none of these people.
func (ps *People) Kind(customer string) schemas.IncomeKind {
	if p := ps.byID[customer]; p != nil {
		return p.kind
	}
	return ""
}

// Batch is what the feeds deliver at one time.
type Batch struct {
	Transactions []schemas.Transaction
	Incomes      []schemas.Income
}

// History is the life before the month, as far as the feeds report it.
func (ps *People) History() Batch {
	var all Batch
	for d := ps.from.AddMonths(-historyMonths); d.Before(ps.from); d = d.AddDays(1) {
		for _, p := range ps.people {
			txs := append(p.morning(ps.cal, d), p.evening(d)...)
			if p.reported(d) {
				all.Transactions = append(all.Transactions, txs...)
			}
			if !d.Before(p.feedFrom) {
				all.Incomes = p.announce(ps.cal, d, all.Incomes)
			}
		}
	}
	return all
}

// reported tells whether the bank feed carries the person's transactions of the day.
func (p *person) reported(d civil.Date) bool { return !p.noFeed && !d.Before(p.feedFrom) }

// Morning is what the feeds deliver before the day's cut-off; fromBank are the bank's own movements of the night.
func (ps *People) Morning(d civil.Date, fromBank []schemas.Transaction) Batch {
	var b Batch
	night := byCustomer(fromBank)
	for _, p := range ps.people {
		b.Transactions = append(b.Transactions, ps.deliver(d, p, append(night[p.acc.customer], p.morning(ps.cal, d)...))...)
		b.Incomes = p.announce(ps.cal, d, b.Incomes)
	}
	b.Transactions = append(b.Transactions, ps.late[d]...)
	delete(ps.late, d)
	return b
}

// Evening is what they deliver after it; fromBank are the bank's own movements of the day.
func (ps *People) Evening(d civil.Date, fromBank []schemas.Transaction) Batch {
	var b Batch
	booked := byCustomer(fromBank)
	for _, p := range ps.people {
		b.Transactions = append(b.Transactions, ps.deliver(d, p, append(booked[p.acc.customer], p.evening(d)...))...)
	}
	return b
}

func byCustomer(txs []schemas.Transaction) map[string][]schemas.Transaction {
	of := map[string][]schemas.Transaction{}
	for _, tx := range txs {
		of[tx.CustomerID] = append(of[tx.CustomerID], tx)
	}
	return of
}

// deliver takes a customer's transactions to the feed: most arrive as they are, one in 300 a day or two late, one in
// 400 twice.
func (ps *People) deliver(d civil.Date, p *person, txs []schemas.Transaction) []schemas.Transaction {
	if !p.reported(d) {
		return nil
	}
	var out []schemas.Transaction
	for _, tx := range txs {
		switch roll := ps.delivery.IntN(1200); {
		case roll < 4:
			on := d.AddDays(1 + ps.delivery.IntN(2))
			ps.late[on] = append(ps.late[on], tx)
		case roll < 7:
			out = append(out, tx, tx)
		default:
			out = append(out, tx)
		}
	}
	return out
}

// Small is n small transactions of the day, in turn over all customers whose bank reports them: purchases where the
// money is there, else a friend's help.
func (ps *People) Small(d civil.Date, n int) []schemas.Transaction {
	var txs []schemas.Transaction
	for skipped := 0; len(txs) < n && skipped < len(ps.people); {
		p := ps.people[ps.turn%len(ps.people)]
		ps.turn++
		if !p.reported(d) {
			skipped++
			continue
		}
		skipped = 0
		cents := schemas.Cents(100 + ps.change.IntN(2_900))
		at := clock(d, 9+ps.change.IntN(7), ps.change.IntN(60))
		what := memo{"POS PURCHASE SPAZA", "SPAZA SHOP", "GROCERIES"}
		if p.acc.balance-p.keepCents < cents {
			what = memo{"INSTANT PAYMENT FRIEND", "FRIEND", "TRANSFER"}
		} else {
			cents = -cents
		}
		txs = append(txs, p.move(at, cents, what))
	}
	return txs
}
