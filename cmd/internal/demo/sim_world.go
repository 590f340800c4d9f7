package demo

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/schemas"
)

// historyMonths is how long the customers have lived before the month begins.
const historyMonths = 3

// Every 17th policy belongs to the customer before it, who then holds two on one account.
const secondPolicyEvery = 17

// world is all simulated customers and what their feeds say.
type world struct {
	cal    Calendar
	people []*person
	from   civil.Date
	// mail draws what goes wrong on the way from the bank to Kasi.
	mail *rand.Rand
	// change draws the small transactions; turn is whose they are next.
	change *rand.Rand
	turn   int
	late   map[civil.Date][]schemas.Transaction // delivered on that day instead of their own
}

// newWorld makes the customers of a seed, with the given number of policies, for a month that begins on from.
func newWorld(tenant string, seed uint64, policies int, from civil.Date, cal Calendar) *world {
	w := &world{
		cal: cal, from: from, mail: rand.New(rand.NewPCG(seed, 0)), change: rand.New(rand.NewPCG(seed, 1<<32)),
		late: map[civil.Date][]schemas.Transaction{},
	}
	firstDay := from.AddMonths(-historyMonths)
	for i := 1; i <= policies; i++ {
		if n := len(w.people); n > 0 && i%secondPolicyEvery == 0 {
			w.people[n-1].addPolicy(i)
			continue
		}
		w.people = append(w.people, newPerson(tenant, seed, i, firstDay, from))
	}
	return w
}

// csv is the insurer's policies.csv.
func (w *world) csv() []byte {
	var b strings.Builder
	b.WriteString("customer_id,external_customer_ref,policy_number,product_code,collection_amount,rail,mandate_reference\n")
	for _, p := range w.people {
		for _, pol := range p.policies {
			fmt.Fprintf(&b, "%s,%s,%s,%s,%s,%s,%s\n", pol.customer, pol.ref, pol.number, pol.product, pol.premium, pol.rail,
				pol.mandate)
		}
	}
	return []byte(b.String())
}

// batch is what the feeds deliver at one time.
type batch struct {
	txs     []schemas.Transaction
	incomes []schemas.Income
}

// history is the life before the month, as far as the feeds report it.
func (w *world) history() batch {
	var all batch
	for d := w.from.AddMonths(-historyMonths); d.Before(w.from); d = d.AddDays(1) {
		for _, p := range w.people {
			txs := append(p.morning(w.cal, d), p.evening(d)...)
			if p.reported(d) {
				all.txs = append(all.txs, txs...)
			}
			if !d.Before(p.feedFrom) {
				all.incomes = p.announce(w.cal, d, all.incomes)
			}
		}
	}
	return all
}

// reported tells whether the bank feed carries the person's transactions of the day.
func (p *person) reported(d civil.Date) bool { return !p.noFeed && !d.Before(p.feedFrom) }

// morning is what the feeds deliver before the day's cut-off; fromBank are the bank's own movements of the night.
func (w *world) morning(d civil.Date, fromBank []schemas.Transaction) batch {
	var b batch
	night := byCustomer(fromBank)
	for _, p := range w.people {
		b.txs = append(b.txs, w.deliver(d, p, append(night[p.acc.customer], p.morning(w.cal, d)...))...)
		b.incomes = p.announce(w.cal, d, b.incomes)
	}
	b.txs = append(b.txs, w.late[d]...)
	delete(w.late, d)
	return b
}

// evening is what they deliver after it; fromBank are the bank's own movements of the day.
func (w *world) evening(d civil.Date, fromBank []schemas.Transaction) batch {
	var b batch
	booked := byCustomer(fromBank)
	for _, p := range w.people {
		b.txs = append(b.txs, w.deliver(d, p, append(booked[p.acc.customer], p.evening(d)...))...)
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
func (w *world) deliver(d civil.Date, p *person, txs []schemas.Transaction) []schemas.Transaction {
	if !p.reported(d) {
		return nil
	}
	var out []schemas.Transaction
	for _, tx := range txs {
		switch roll := w.mail.IntN(1200); {
		case roll < 4:
			on := d.AddDays(1 + w.mail.IntN(2))
			w.late[on] = append(w.late[on], tx)
		case roll < 7:
			out = append(out, tx, tx)
		default:
			out = append(out, tx)
		}
	}
	return out
}

// broken is what a faulty feed sends on three days of the month: each must end as a dead letter and stop nothing.
func (w *world) broken(d civil.Date) (topic, key string, value []byte) {
	p := w.people[0]
	switch d.Day {
	case 7:
		return schemas.TopicFeedTransactions, p.acc.customer, []byte(`{"transaction_id": "cut off in the mid`)
	case 14:
		return schemas.TopicFeedTransactions, p.acc.customer, []byte(`{"transaction_id":"FLOAT-1","tenant_id":` +
			strconv.Quote(p.tenant) + `,"customer_id":"` + p.acc.customer +
			`","booked_at":"` + clock(d, 9, 0).Format("2006-01-02T15:04:05Z07:00") +
			`","amount_cents":150.00,"direction":"CREDIT"}`)
	case 21:
		return schemas.TopicRailResults, "unknown", []byte(`{"result_id":"STRAY-1","debit_id":"` + schemas.DebitID(p.tenant,
			p.acc.customer, "no such collection", 1) +
			`","status":"PAID","effective_date":"` + d.String() + `"}`)
	default:
		return "", "", nil
	}
}

// brokenRecords is how many records broken sends in a month.
const brokenRecords = 3
