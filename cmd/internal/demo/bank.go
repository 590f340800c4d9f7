package demo

import (
	"fmt"
	"math/rand/v2"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/schemas"
)

// Chances of what happens to money already paid, in permille of paid debits, and the codes of SPEC 4.7 the bank gives.
const (
	disputePermille    = 5
	lateReturnPermille = 30 // of EFT debits, whose unpaids may come days late
	codeNoFunds        = "02"
	codeNoAuthority    = "30"
)

// pretendBank is the bank's side of every rail: it holds the customers' accounts, is told debits, answers with results,
// and keeps its own ledger.
type pretendBank struct {
	people map[string]*person
	cal    Calendar
	book   *ledger
	// comebacks are the disputes and late returns that wait for their day.
	comebacks map[civil.Date][]comeback
	// lastComeback is the last day on which money may come back, so that the month's figures stand when the statement is
	// made.
	lastComeback civil.Date
	early        []schemas.DebitInstruction // told before their action date
}

// comeback is money that returns to a customer after a debit was paid.
type comeback struct {
	e  *entry
	to state
}

func newBank(people []*person, cal Calendar, lastComeback civil.Date) *pretendBank {
	b := &pretendBank{
		people: map[string]*person{}, cal: cal, book: newLedger(), comebacks: map[civil.Date][]comeback{},
		lastComeback: lastComeback,
	}
	for _, p := range people {
		b.people[p.acc.customer] = p
	}
	return b
}

// answers is what one day at the bank sends out: results to the rail, transactions to the bank feed.
type answers struct {
	results []schemas.Result
	txs     []schemas.Transaction
}

// present processes the debits whose action date has come, after the day's cut-off, in the order given.
func (b *pretendBank) present(today civil.Date, debits []schemas.DebitInstruction, out *answers) error {
	debits = append(b.early, debits...)
	b.early = nil
	for _, d := range debits {
		on, err := civil.ParseDate(d.ActionDate)
		if err != nil {
			return fmt.Errorf("demo: debit %s: action_date %q is not a date", d.DebitID, d.ActionDate)
		}
		if on.After(today) {
			b.early = append(b.early, d)
			continue
		}
		if !b.cal.IsBankingDay(on) {
			return fmt.Errorf("demo: debit %s: action date %s is no banking day", d.DebitID, on)
		}
		if err := b.debit(today, d, out); err != nil {
			return err
		}
	}
	return nil
}

// debit pays one debit if it can, and books what it did.
func (b *pretendBank) debit(today civil.Date, d schemas.DebitInstruction, out *answers) error {
	e, err := b.book.open(d)
	if err != nil {
		return err
	}
	p := b.people[d.CustomerID]
	switch {
	case p == nil:
		e.state, e.code = stateUnpaid, "26" // no such account
	case p.trouble.code != "" && !today.Before(p.trouble.from):
		e.state, e.code = stateUnpaid, p.trouble.code
	case p.acc.balance < d.AmountCents:
		e.state, e.code = stateUnpaid, codeNoFunds
	default:
		e.state = statePaid
		out.txs = append(out.txs, p.acc.move(clock(today, 16, 0), -d.AmountCents,
			p.memo("DEBIT ORDER INSURANCE "+d.PolicyNumber, "INSURER", "DEBIT_ORDER")))
		b.mayComeBack(p.rng, today, e)
	}
	out.results = append(out.results, e.result(today))
	return nil
}

// mayComeBack draws whether a paid debit will be disputed or returned late, and when.
func (b *pretendBank) mayComeBack(rng *rand.Rand, today civil.Date, e *entry) {
	disputed, late := rng.IntN(1000) < disputePermille, rng.IntN(1000) < lateReturnPermille
	day, to := today.AddDays(3+rng.IntN(4)), stateDisputed
	if !disputed {
		if !late || e.Rail != schemas.RailEFT {
			return
		}
		day, to = b.cal.Next(b.cal.Next(today)), stateReturned
	}
	if !day.After(b.lastComeback) {
		b.comebacks[day] = append(b.comebacks[day], comeback{e, to})
	}
}

// comeBack gives back what is due on the day.
func (b *pretendBank) comeBack(today civil.Date, out *answers) {
	for _, c := range b.comebacks[today] {
		p := b.people[c.e.CustomerID]
		text := "REVERSAL UNPAID DEBIT ORDER"
		c.e.state, c.e.code = c.to, codeNoFunds
		if c.to == stateDisputed {
			text, c.e.code = "REVERSAL DISPUTED DEBIT ORDER", codeNoAuthority
		}
		out.txs = append(out.txs, p.acc.move(clock(today, 3, 0), c.e.AmountCents, p.memo(text, "INSURER", "REVERSAL")))
		out.results = append(out.results, c.e.result(today))
	}
	delete(b.comebacks, today)
}

// result tells the rail how the debit stands.
func (e *entry) result(on civil.Date) schemas.Result {
	amount := e.AmountCents
	r := schemas.Result{
		ResultID: e.DebitID + "-" + string(e.state), DebitID: e.DebitID, EffectiveDate: on.String(),
		AmountCents: &amount,
	}
	switch e.state {
	case statePaid:
		r.Status = schemas.ResultPaid
	case stateDisputed:
		r.Status = schemas.ResultDisputed
	default:
		r.Status = schemas.ResultUnpaid
	}
	if e.code != "" {
		r.ReasonCode, r.ReasonScheme = e.code, "ZA"
	}
	return r
}
