package demo

import (
	"fmt"

	"github.com/kasi-collections/kasi/schemas"
)

// state is how the bank's ledger sees a debit.
type state string

const (
	statePaid     state = "PAID"     // the money has left the account, and stays with the insurer
	stateUnpaid   state = "UNPAID"   // no money moved
	stateReturned state = "RETURNED" // paid first, returned by the bank days later
	stateDisputed state = "DISPUTED" // paid first, taken back on the customer's word
)

// entry is one debit in the bank's ledger.
type entry struct {
	schemas.DebitInstruction
	state state
	code  string // South-African unpaid code; empty when paid
}

// ledger is the bank's own book of what it was told and what it did, in integer cents. It is what the product's figures
// are held against, and it is kept from the bank's acts alone.
type ledger struct {
	debits map[string]*entry
	order  []*entry
	// refused counts instructions whose debit id had been seen before. Money moved twice would be the worst that can
	// happen, so one is already a failure.
	refused int
}

func newLedger() *ledger { return &ledger{debits: map[string]*entry{}} }

// open takes a debit into the book before the bank acts on it. An id seen before is an error and leaves the book as it
// was.
func (l *ledger) open(d schemas.DebitInstruction) (*entry, error) {
	if _, seen := l.debits[d.DebitID]; seen {
		l.refused++
		return nil, fmt.Errorf("demo: the bank was sent debit %s twice and refused the second", d.DebitID)
	}
	e := &entry{DebitInstruction: d}
	l.debits[d.DebitID] = e
	l.order = append(l.order, e)
	return e, nil
}

// collected is the money that left customers' accounts for a period's collections and has not come back.
func (l *ledger) collected(p schemas.Period) schemas.Cents {
	var sum schemas.Cents
	for _, e := range l.order {
		if e.PeriodMonth == p && e.state == statePaid {
			sum += e.AmountCents
		}
	}
	return sum
}

// total is the money of all periods together.
func (l *ledger) total() schemas.Cents {
	var sum schemas.Cents
	for _, e := range l.order {
		if e.state == statePaid {
			sum += e.AmountCents
		}
	}
	return sum
}

// tally counts the debits and their cents in one state (and, where not empty, with one code).
func (l *ledger) tally(s state, code string) (n int, cents schemas.Cents) {
	for _, e := range l.order {
		if e.state == s && (code == "" || e.code == code) {
			n, cents = n+1, cents+e.AmountCents
		}
	}
	return n, cents
}
