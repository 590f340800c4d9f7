package people

import (
	"fmt"

	"github.com/kasi-collections/kasi/schemas"
)

// DebitState is how the bank's book sees a debit.
type DebitState string

// The states of a debit.
const (
	Paid     DebitState = "PAID"     // the money has left the account, and stays with the insurer
	Unpaid   DebitState = "UNPAID"   // no money moved
	Returned DebitState = "RETURNED" // paid first, returned by the bank days later
	Disputed DebitState = "DISPUTED" // paid first, taken back on the customer's word
)

// The South-African unpaid codes that the bank gives (CONTRACT 4.7), beside those of troubled accounts.
const (
	CodeNoFunds     = "02"
	codeNoAuthority = "30"
	codeNoAccount   = "26"
)

// failures are what the bank does not pay or takes back, in the order in which they are shown.
var failures = []struct {
	state         DebitState
	code, meaning string
}{
	{Unpaid, CodeNoFunds, "not provided for"},
	{Unpaid, "12", "account closed"},
	{Unpaid, "04", "payment stopped"},
	{Unpaid, "05", "account dormant"},
	{Unpaid, "18", "account holder deceased"},
	{Unpaid, codeNoAccount, "no such account"},
	{Returned, CodeNoFunds, "paid, returned days later"},
	{Disputed, codeNoAuthority, "paid, disputed by the customer"},
}

// Debit is one debit in the bank's book.
type Debit struct {
	schemas.DebitInstruction
	State DebitState
	Code  string // South-African unpaid code; empty when paid
}

// BankBook is the bank's own book of what it was told and what it did, in integer cents. The product's figures are held
// against it; it is kept from the bank's acts alone.
type BankBook struct {
	// Debits in the order in which the bank was told them.
	Debits []*Debit
	// Refused counts instructions whose debit id had been seen before. Money moved twice would be the worst that can
	// happen, so one is already a failure.
	Refused int
	byID    map[string]*Debit
}

// NewBankBook is an empty book.
func NewBankBook() *BankBook { return &BankBook{byID: map[string]*Debit{}} }

// Open takes a debit into the book before the bank acts on it. An id seen before is an error and leaves the book as it
// was.
func (b *BankBook) Open(d schemas.DebitInstruction) (*Debit, error) {
	if _, seen := b.byID[d.DebitID]; seen {
		b.Refused++
		return nil, fmt.Errorf("people: the bank was sent debit %s twice and refused the second", d.DebitID)
	}
	e := &Debit{DebitInstruction: d}
	b.byID[d.DebitID] = e
	b.Debits = append(b.Debits, e)
	return e, nil
}

// Collected is the money that left customers' accounts for a period's collections and has not come back; of all periods
// where the period is empty.
func (b *BankBook) Collected(p schemas.Period) (sum schemas.Cents) {
	for _, d := range b.Debits {
		if d.State == Paid && (p == "" || d.PeriodMonth == p) {
			sum += d.AmountCents
		}
	}
	return sum
}

// Failure is how often the bank gave one reason, and for how much money.
type Failure struct {
	Code, Meaning string
	Debits        int
	Cents         schemas.Cents
}

// Failures are the reasons that the bank gave.
func (b *BankBook) Failures() []Failure {
	var out []Failure
	for _, f := range failures {
		sum := Failure{Code: f.code, Meaning: f.meaning}
		for _, d := range b.Debits {
			if d.State == f.state && d.Code == f.code {
				sum.Debits, sum.Cents = sum.Debits+1, sum.Cents+d.AmountCents
			}
		}
		if sum.Debits > 0 {
			out = append(out, sum)
		}
	}
	return out
}
