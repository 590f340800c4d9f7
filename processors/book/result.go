package book

import (
	"fmt"
	"slices"

	"cloud.google.com/go/civil"
	"github.com/cespare/xxhash/v2"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// effect is what a result does to a debit: the change that is emitted, how often the amount moves, the state after it.
type effect struct {
	kind  schemas.ChangeKind
	moves schemas.Cents
	state DebitState
}

var (
	effectNone         = effect{} // said before, in other words
	effectPaid         = effect{schemas.ChangePaid, 1, DebitPaid}
	effectUnpaid       = effect{schemas.ChangeUnpaid, 0, DebitUnpaid}
	effectRejected     = effect{schemas.ChangeRejected, 0, DebitRejected}
	effectLateUnpaid   = effect{schemas.ChangeLateUnpaid, -1, DebitUnpaid} // paid before, returned within the rail's days
	effectLatePaid     = effect{"", 0, DebitUnpaid}                        // the PAID after the late UNPAID
	effectDisputed     = effect{schemas.ChangeDisputed, -1, DebitDisputed}
	effectDisputeFirst = effect{schemas.ChangeDisputed, 0, DebitDisputed}     // disputed before it was paid
	effectPaidDisputed = effect{schemas.ChangePaidDisputed, 0, DebitDisputed} // the PAID of a debit disputed before
)

// maxAnswers bounds the ids kept of answers that had no effect: a bank that says the same every night under new ids
// must not fill the state.
const maxAnswers = 16

// Result applies the bank's answer to a debit, once, in whatever order answers arrive. A result id again has no effect;
// so has the same answer under another id. Refused are: a debit that is not the customer's or is past disputing
// (UNKNOWN_DEBIT), another amount (AMOUNT_MISMATCH), a dispute after its window (DISPUTE_TOO_LATE), and whatever
// contradicts a final answer (CONTRADICTS_FINAL).
func (b *Book) Result(res *schemas.Result) error {
	k, d := b.debit(res.DebitID)
	if d == nil || d.forgotten(b.today, b.rules) {
		return schemas.Refuse(schemas.RejectUnknownDebit, "debit_id names no debit of ours that can still have a result")
	}
	hash := xxhash.Sum64String(res.ResultID)
	if slices.Contains(d.Results, hash) {
		return nil
	}
	if res.AmountCents != nil && *res.AmountCents != d.Cents {
		return schemas.Refuse(schemas.RejectAmountMismatch,
			fmt.Sprintf("amount_cents is %d; the debit is of %d", *res.AmountCents, d.Cents))
	}
	date, err := civil.ParseDate(res.EffectiveDate)
	if err != nil {
		return schemas.Refuse(schemas.RejectBadDate, "effective_date is not a date; expected YYYY-MM-DD")
	}
	eff := schemas.DayOf(date)
	ef, reject := b.effect(d, res, eff)
	if reject != nil {
		return reject
	}

	if ef != effectNone || len(d.Results) < maxAnswers {
		d.Results = append(d.Results, hash)
	}
	if ef != effectNone {
		b.lookAgain()
		b.apply(k, d, ef, eff, res)
	}
	return nil
}

// debit is the customer's debit of that id with its collection, or nil.
func (c *Customer) debit(id string) (*Collection, *Debit) {
	for i := range c.Collections {
		k := &c.Collections[i]
		for j := range k.Debits {
			if k.Debits[j].ID == id {
				return k, &k.Debits[j]
			}
		}
	}
	return nil, nil
}

// effect is the table of what each answer does to a debit in each state.
func (b *Book) effect(d *Debit, res *schemas.Result, eff schemas.Day) (effect, *schemas.Reject) {
	again := d.BackOn == eff && d.Code == codeOf(res)
	lateDays := func(paid, back schemas.Day) bool {
		rail := b.rules.Rail(d.Rail, d.Action.Date())
		return back > paid && b.rules.Calendar.Between(paid.Date(), back.Date()) <= rail.LateUnpaidDays
	}
	disputeDays := b.rules.DisputeDays(d.Rail, eff.Date())
	st := res.Status
	switch {
	case d.State == DebitInFlight && st == schemas.ResultPaid:
		return effectPaid, nil
	case d.State == DebitInFlight && st == schemas.ResultUnpaid:
		return effectUnpaid, nil
	case d.State == DebitInFlight && st == schemas.ResultRejected:
		return effectRejected, nil
	case d.State == DebitInFlight && st == schemas.ResultDisputed:
		return effectDisputeFirst, nil

	case st == schemas.ResultPaid && d.PaidOn == eff,
		st == schemas.ResultUnpaid && d.State == DebitUnpaid && again,
		st == schemas.ResultRejected && d.State == DebitRejected && again,
		st == schemas.ResultDisputed && d.State == DebitDisputed && again:
		return effectNone, nil

	case d.State == DebitPaid && st == schemas.ResultUnpaid && lateDays(d.PaidOn, eff):
		return effectLateUnpaid, nil
	case d.State == DebitUnpaid && st == schemas.ResultPaid && d.PaidOn == 0 && lateDays(eff, d.BackOn):
		return effectLatePaid, nil

	case d.State == DebitPaid && st == schemas.ResultDisputed && eff > d.Action+schemas.Day(disputeDays):
		return effectNone, schemas.Refuse(schemas.RejectDisputeTooLate,
			fmt.Sprintf("effective_date %s lies more than %d days after the action date %s", eff.Text(), disputeDays,
				d.Action.Text()))
	case d.State == DebitPaid && st == schemas.ResultDisputed:
		return effectDisputed, nil
	case d.State == DebitDisputed && st == schemas.ResultPaid && d.PaidOn == 0:
		return effectPaidDisputed, nil
	}
	return effectNone, schemas.Refuse(schemas.RejectContradictsFinal,
		fmt.Sprintf("%s of %s contradicts what the bank said before", st, eff.Text()))
}

func codeOf(res *schemas.Result) string { return res.ReasonScheme + ":" + res.ReasonCode }

// apply carries an effect out. Nothing can fail any more.
func (b *Book) apply(k *Collection, d *Debit, ef effect, eff schemas.Day, res *schemas.Result) {
	ch := schemas.Change{
		Kind: ef.kind, DebitID: d.ID, ResultID: res.ResultID, AmountCents: d.Cents, MovedCents: ef.moves * d.Cents,
		ReasonCode: res.ReasonCode, ReasonScheme: res.ReasonScheme, EffectiveDate: res.EffectiveDate,
	}
	pol := b.Policies.Find(k.Number)
	d.State = ef.state
	switch ef {
	case effectPaid:
		d.RowBefore, pol.Unpaids = pol.Unpaids, 0
	case effectLateUnpaid:
		pol.Unpaids += d.RowBefore // as if it had never been paid
	case effectLatePaid:
		d.PaidOn = eff
		return
	}
	k.Collected += ch.MovedCents
	if k.Collected >= k.Due {
		k.Failure = ""
	}
	if ef == effectPaid || ef == effectPaidDisputed {
		d.PaidOn = eff
		b.collectionChanged(k, ch)
		return
	}
	d.BackOn, d.Code = eff, codeOf(res)
	if ch.MovedCents < 0 && schemas.PeriodOf(b.moment.BusinessDate()) > k.Period {
		k.Reopened = true
	}
	reason := b.rules.Reason(res.Status, res.ReasonScheme, res.ReasonCode)
	k.Failure = reason.Name
	hold := b.remedy(k, pol, d, reason)
	b.collectionChanged(k, ch)
	if hold != "" && pol.Hold == "" {
		pol.Hold = hold
		b.policyChanged(pol, "")
	}
}

// holdMandateEnded is the hold of a policy whose mandate ended by unpaids in a row (CONTRACT 4.8).
const holdMandateEnded = "MANDATE_ENDED"

// remedy does what a failure's reason asks for and returns the reason to hold the policy for, if there is one.
func (b *Book) remedy(k *Collection, pol *Policy, d *Debit, reason rules.Reason) (hold string) {
	switch {
	case d.State == DebitDisputed:
		d.Uses = nil
		hold = reason.Name
	case !reason.Known:
		b.giveBack(d)
		k.Stopped = true
	case reason.Remedy == rules.RemedyFunds:
		b.bounce(d)
	default:
		b.giveBack(d)
		hold = reason.Name
	}
	if d.State != DebitUnpaid {
		return hold
	}
	pol.Unpaids++
	ends := b.rules.Rail(d.Rail, d.Action.Date()).UnpaidsEndMandate
	if hold == "" && ends > 0 && pol.Unpaids >= ends {
		hold = holdMandateEnded
	}
	return hold
}

// disputeSlack is how many days after the end of its dispute window a debit is still known, so that a dispute of the
// last day may come late.
const disputeSlack = 7

// forgotten tells whether a debit has a result and can no longer be disputed: what the bank says of it then is said of
// an unknown debit, whether it has been pruned yet or not. A window that grew while the debit could still be disputed
// counts; one that grew later does not bring it back.
func (d *Debit) forgotten(today schemas.Day, r *rules.Rules) bool {
	if d.State == DebitInFlight {
		return false
	}
	until, on := schemas.Day(0), d.Action
	for {
		next := d.Action + schemas.Day(r.DisputeDays(d.Rail, on.Date())) + disputeSlack
		if next <= until {
			return today > until
		}
		until, on = next, next+1
	}
}
