package people

import (
	"fmt"
	"math/rand/v2"

	"cloud.google.com/go/civil"
	"github.com/cespare/xxhash/v2"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// Chances of what happens to money already paid, in permille of paid debits.
const (
	disputePermille    = 5
	lateReturnPermille = 30 // of EFT debits, whose unpaids may come days late
)

// Bank is the bank's side of every rail. It holds the customers' accounts, is told debits, answers with results, and
// keeps its own book.
type Bank struct {
	// Book is what the bank was told and what it did.
	Book   *BankBook
	people *People
	// comebacks are the disputes and late returns that wait for their day.
	comebacks map[civil.Date][]comeback
	// lastComeback is the last day on which money may come back, so that the month's figures stand when the statement is
	// made.
	lastComeback civil.Date
	early        []schemas.DebitInstruction // told before their action date
	tracked      []*Debit                   // presented again on the next banking day
}

// comeback is money that returns to a customer after a debit was paid.
type comeback struct {
	debit *Debit
	to    DebitState
}

// NewBank opens the bank of these people. After the day lastComeback no money comes back any more.
func NewBank(people *People, lastComeback civil.Date) *Bank {
	return &Bank{Book: NewBankBook(), people: people, comebacks: map[civil.Date][]comeback{}, lastComeback: lastComeback}
}

// Answers are what the bank sends out at one time: results to the rail, transactions to the bank feed.
type Answers struct {
	Results      []schemas.Result
	Transactions []schemas.Transaction
}

// Present processes the debits whose action date has come, after the day's cut-off, in the order given. Debits of a
// later date wait for it. On a banking day those that are tracked come first; one that still finds no money is answered
// on its last banking day. An action date that is no banking day and a debit id seen before are errors.
func (b *Bank) Present(today civil.Date, debits []schemas.DebitInstruction) (out Answers, err error) {
	if b.people.cal.IsBankingDay(today) {
		again := b.tracked
		b.tracked = nil
		for _, e := range again {
			b.present(today, e, &out)
		}
	}
	debits = append(b.early, debits...)
	b.early = nil
	for _, d := range debits {
		on, err := civil.ParseDate(d.ActionDate)
		if err != nil {
			return out, fmt.Errorf("people: debit %s: action_date %q is not a date", d.DebitID, d.ActionDate)
		}
		if on.After(today) {
			b.early = append(b.early, d)
			continue
		}
		if !b.people.cal.IsBankingDay(on) {
			return out, fmt.Errorf("people: debit %s: action date %s is no banking day", d.DebitID, on)
		}
		e, err := b.Book.Open(d)
		if err != nil {
			return out, err
		}
		b.present(today, e, &out)
	}
	return out, nil
}

// present pays one debit if it can, and books what it did.
func (b *Bank) present(today civil.Date, d *Debit, out *Answers) {
	p := b.people.byID[d.CustomerID]
	switch {
	case p == nil:
		d.State, d.Code = Unpaid, codeNoAccount
	case p.trouble.code != "" && !today.Before(p.trouble.from):
		d.State, d.Code = Unpaid, p.trouble.code
	case p.acc.balance < d.AmountCents:
		if d.TracksAfter(today, b.people.cal) {
			d.State = Tracking
			b.tracked = append(b.tracked, d)
			return
		}
		d.State, d.Code = Unpaid, CodeNoFunds
	default:
		d.State = Paid
		out.Transactions = append(out.Transactions, p.move(clock(today, 16, 0), -d.AmountCents,
			memo{"DEBIT ORDER INSURANCE " + d.PolicyNumber, "INSURER", "DEBIT_ORDER"}))
		b.mayComeBack(today, d)
	}
	out.Results = append(out.Results, d.Result(today))
}

// TracksAfter tells whether the bank presents the debit on a banking day after today (CONTRACT 8, tracking_until).
func (d *Debit) TracksAfter(today civil.Date, cal *rules.Calendar) bool {
	return d.TrackingUntil >= cal.Next(today).String()
}

// mayComeBack draws whether a paid debit will be disputed or returned late, and when. The chances are the debit's own.
func (b *Bank) mayComeBack(today civil.Date, e *Debit) {
	rng := rand.New(rand.NewPCG(xxhash.Sum64String(e.DebitID), 1))
	disputed, late := rng.IntN(1000) < disputePermille, rng.IntN(1000) < lateReturnPermille
	day, to := today.AddDays(3+rng.IntN(4)), Disputed
	if !disputed {
		if !late || e.Rail != schemas.RailEFT {
			return
		}
		day, to = b.people.cal.Next(b.people.cal.Next(today)), Returned
	}
	if !day.After(b.lastComeback) {
		b.comebacks[day] = append(b.comebacks[day], comeback{e, to})
	}
}

// Return gives back the money that is due on the day: disputes, and unpaids that come late.
func (b *Bank) Return(today civil.Date) (out Answers) {
	for _, c := range b.comebacks[today] {
		p, d := b.people.byID[c.debit.CustomerID], c.debit
		text := "REVERSAL UNPAID DEBIT ORDER"
		d.State, d.Code = c.to, CodeNoFunds
		if c.to == Disputed {
			text, d.Code = "REVERSAL DISPUTED DEBIT ORDER", codeNoAuthority
		}
		out.Transactions = append(out.Transactions,
			p.move(clock(today, 3, 0), d.AmountCents, memo{text, "INSURER", "REVERSAL"}))
		out.Results = append(out.Results, d.Result(today))
	}
	delete(b.comebacks, today)
	return out
}

// Result tells the rail how the debit stands.
func (d *Debit) Result(on civil.Date) schemas.Result {
	amount, status := d.AmountCents, schemas.ResultUnpaid
	switch d.State {
	case Paid:
		status = schemas.ResultPaid
	case Disputed:
		status = schemas.ResultDisputed
	}
	r := schemas.Result{
		ResultID: d.DebitID + "-" + string(d.State), DebitID: d.DebitID, EffectiveDate: on.String(),
		AmountCents: &amount, Status: status,
	}
	if d.Code != "" {
		r.ReasonCode, r.ReasonScheme = d.Code, "ZA"
	}
	return r
}

// LateAnswers are those of a bank whose answers take their time: out of order, one in twelve a day or two late, one in
// ten again days later. All are there on the last day.
type LateAnswers struct {
	rng   *rand.Rand
	later map[civil.Date][]schemas.Result
	last  civil.Date
}

// NewLateAnswers holds back answers by the chances of a seed; the last go out before the day last.
func NewLateAnswers(seed uint64, last civil.Date) *LateAnswers {
	return &LateAnswers{rng: rand.New(rand.NewPCG(seed, 1<<33)), later: map[civil.Date][]schemas.Result{}, last: last}
}

// Send takes the answers given on the day and returns what leaves the bank that evening.
func (l *LateAnswers) Send(d civil.Date, given []schemas.Result) []schemas.Result {
	out := l.later[d]
	delete(l.later, d)
	for _, r := range given {
		switch on := d.AddDays(1 + l.rng.IntN(2)); {
		case l.rng.IntN(12) == 0 && on.Before(l.last):
			l.later[on] = append(l.later[on], r)
		default:
			out = append(out, r)
		}
		if on := d.AddDays(l.rng.IntN(6)); l.rng.IntN(10) == 0 && on.Before(l.last) {
			if on == d {
				out = append(out, r)
			} else {
				l.later[on] = append(l.later[on], r)
			}
		}
	}
	l.rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// DebitState is how the bank's book sees a debit.
type DebitState string

// The states of a debit.
const (
	Paid     DebitState = "PAID"     // the money has left the account, and stays with the insurer
	Unpaid   DebitState = "UNPAID"   // no money moved
	Returned DebitState = "RETURNED" // paid first, returned by the bank days later
	Disputed DebitState = "DISPUTED" // paid first, taken back on the customer's word
	Tracking DebitState = "TRACKING" // not paid yet, and presented again
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
