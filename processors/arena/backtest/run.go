package backtest

import (
	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/arena"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// bankOf opens the customer's bank in a world.
func (r *runner) bankOf(a scene) *bank {
	return &bank{ledger: a.ledger(), days: r.days, fee: a.Fee}
}

// live lets a contender collect from an account.
func (r *runner) live(c *Contender, ar *arena.Arena, a scene, premium schemas.Cents) (life, error) {
	switch {
	case c.Strategy != nil:
		b := r.bankOf(a)
		guesses, err := engineTries(ar, a.Account, b, premium, r.Balances)
		return life{b.tries, guesses}, err
	case c.rule != nil:
		b := r.bankOf(a)
		ruleTries(c.rule, a.Account, b, premium)
		return life{tries: b.tries}, nil
	}
	return life{tries: oracleTries(a, r.days, premium)}, nil
}

// Debit is one debit, and what became of it.
type Debit struct {
	Customer     string
	First, Last  schemas.Day // of its presentments
	Cents        schemas.Cents
	Paid, Failed bool // neither: it had not come back
}

// Debits are the debits that an engine makes for an account in a world of transactions, in their order. A whole product
// that runs the same engine on the same transactions makes the same ones.
func Debits(law *rules.Rules, e *processors.Engine, a *Account, w World, b Balances, percent int) ([]Debit, error) {
	r, err := newRunner(law, []*Account{a}, Options{World: w, Balances: b})
	if err != nil {
		return nil, err
	}
	bank := r.bankOf(a.in(w))
	if _, err := engineTries(arena.New(e, law), a, bank, a.Premium(percent), b); err != nil {
		return nil, err
	}
	var all []Debit
	for _, t := range bank.tries {
		all = append(all, Debit{a.Customer, t.first, t.last, t.cents, t.state == tryPaid, t.state == tryFailed})
	}
	return all, nil
}

// ruleTries lets a schedule live with an account.
func ruleTries(decide rule, a *Account, b *bank, premium schemas.Cents) {
	day := a.first
	for i, m := range a.months {
		for ; day < m.first; day++ {
			b.open(day, nil)
		}
		s := sight{days: b.days, first: m.first, last: m.last, outstanding: premium, payday: m.payday}
		for ; day <= m.last; day++ {
			b.open(day, nil)
			s.today = day
			if s.outstanding > 0 && b.openTries == len(b.tries) {
				if cents, until := decide(&s); cents > 0 {
					b.submit(try{month: i, cents: cents, first: day, last: max(day, until)})
					s.tried++
				}
			}
			b.evening(day, func(t *try) {
				if t.state == tryPaid && t.month == i {
					s.outstanding -= t.cents
				}
			})
		}
	}
}
