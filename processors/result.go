package processors

import (
	"fmt"
	"slices"

	"cloud.google.com/go/civil"
	"github.com/cespare/xxhash/v2"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// effect is what a result does to a debit.
type effect int

const (
	effectNone         effect = iota // said before, in other words
	effectPaid                       // + the amount
	effectUnpaid                     // not collected
	effectRejected                   // not collected
	effectLateUnpaid                 // - the amount: paid before, returned within the rail's days
	effectLatePaid                   // none: the PAID of a debit whose late UNPAID arrived first
	effectDisputed                   // - the amount
	effectDisputeFirst               // none: disputed before it was paid
	effectPaidDisputed               // none: the PAID of a debit disputed before
)

// maxAnswers bounds the ids kept of answers that had no effect.
const maxAnswers = 16

// Result applies the bank's answer to a debit, once, in whatever order answers arrive. A result id again has no effect;
// so has the same answer under another id. Refused are: a debit that is not the customer's or is past disputing
// (UNKNOWN_DEBIT), another amount (AMOUNT_MISMATCH), a dispute after its window (DISPUTE_TOO_LATE), and whatever
// contradicts a final answer (CONTRADICTS_FINAL).
func (e *Engine) Result(c *Customer, res schemas.Result, m schemas.Moment, out *Outputs) error {
	k, b := c.debit(res.DebitID)
	if b == nil || b.forgotten(m.Today(), e.rules) {
		return schemas.Refuse(schemas.RejectUnknownDebit, "debit_id names no debit of ours that can still have a result")
	}
	hash := xxhash.Sum64String(res.ResultID)
	if slices.Contains(b.Results, hash) {
		return nil
	}
	if res.AmountCents != nil && *res.AmountCents != b.Cents {
		return schemas.Refuse(schemas.RejectAmountMismatch, fmt.Sprintf("amount_cents is %d; the debit is of %d", *res.AmountCents, b.Cents))
	}
	date, err := civil.ParseDate(res.EffectiveDate)
	if err != nil {
		return schemas.Refuse(schemas.RejectBadDate, "effective_date is not a date; expected YYYY-MM-DD")
	}
	eff := schemas.DayOf(date)
	ef, reject := e.effect(b, &res, eff)
	if reject != nil {
		return reject
	}

	if ef == effectNone {
		if len(b.Results) < maxAnswers { // a bank that says the same every night under new ids must not fill the state
			b.Results = append(b.Results, hash)
		}
		return nil
	}
	b.Results = append(b.Results, hash)
	c.touch()
	e.apply(c, k, b, ef, eff, &res, m, out)
	return nil
}

// debit is the customer's debit of that id with its collection, or nil.
func (c *Customer) debit(id string) (*collection, *debit) {
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
func (e *Engine) effect(b *debit, res *schemas.Result, eff schemas.Day) (effect, *schemas.Reject) {
	again := b.BackOn == eff && b.Code == codeOf(res)
	lateDays := func(paid, back schemas.Day) bool {
		rail := e.rules.Rail(b.Rail, b.Action.Date())
		return back > paid && e.rules.Calendar.Between(paid.Date(), back.Date()) <= rail.LateUnpaidDays
	}
	disputeDays := e.rules.DisputeDays(b.Rail, eff.Date())
	st := res.Status
	switch {
	case b.State == debitInFlight && st == schemas.ResultPaid:
		return effectPaid, nil
	case b.State == debitInFlight && st == schemas.ResultUnpaid:
		return effectUnpaid, nil
	case b.State == debitInFlight && st == schemas.ResultRejected:
		return effectRejected, nil
	case b.State == debitInFlight && st == schemas.ResultDisputed:
		return effectDisputeFirst, nil

	case st == schemas.ResultPaid && b.PaidOn == eff,
		st == schemas.ResultUnpaid && b.State == debitUnpaid && again,
		st == schemas.ResultRejected && b.State == debitRejected && again,
		st == schemas.ResultDisputed && b.State == debitDisputed && again:
		return effectNone, nil

	case b.State == debitPaid && st == schemas.ResultUnpaid && lateDays(b.PaidOn, eff):
		return effectLateUnpaid, nil
	case b.State == debitUnpaid && st == schemas.ResultPaid && b.PaidOn == 0 && lateDays(eff, b.BackOn):
		return effectLatePaid, nil

	case b.State == debitPaid && st == schemas.ResultDisputed && eff > b.Action+schemas.Day(disputeDays):
		return 0, schemas.Refuse(schemas.RejectDisputeTooLate,
			fmt.Sprintf("effective_date %s lies more than %d days after the action date %s", eff.Text(), disputeDays,
				b.Action.Text()))
	case b.State == debitPaid && st == schemas.ResultDisputed:
		return effectDisputed, nil
	case b.State == debitDisputed && st == schemas.ResultPaid && b.PaidOn == 0:
		return effectPaidDisputed, nil
	}
	return 0, schemas.Refuse(schemas.RejectContradictsFinal, fmt.Sprintf("%s of %s contradicts what the bank said before", st,
		eff.Text()))
}

func codeOf(res *schemas.Result) string { return res.ReasonScheme + ":" + res.ReasonCode }

// apply carries an effect out. Nothing can fail any more.
func (e *Engine) apply(c *Customer, k *collection, b *debit, ef effect, eff schemas.Day, res *schemas.Result, m schemas.Moment,
	out *Outputs,
) {
	ch := schemas.Change{
		DebitID: b.ID, ResultID: res.ResultID, AmountCents: b.Cents,
		ReasonCode: res.ReasonCode, ReasonScheme: res.ReasonScheme, EffectiveDate: res.EffectiveDate,
	}
	pol := c.policy(k.Number)
	switch ef {
	case effectPaid:
		ch.Kind, ch.MovedCents = schemas.ChangePaid, b.Cents
		b.State, b.PaidOn = debitPaid, eff
		b.RowBefore, pol.Unpaids = pol.Unpaids, 0
	case effectUnpaid:
		ch.Kind, b.State = schemas.ChangeUnpaid, debitUnpaid
	case effectRejected:
		ch.Kind, b.State = schemas.ChangeRejected, debitRejected
	case effectLateUnpaid:
		ch.Kind, ch.MovedCents = schemas.ChangeLateUnpaid, -b.Cents
		b.State = debitUnpaid
		pol.Unpaids += b.RowBefore // as if it had never been paid
	case effectDisputed:
		ch.Kind, ch.MovedCents = schemas.ChangeDisputed, -b.Cents
		b.State = debitDisputed
	case effectDisputeFirst:
		ch.Kind, b.State = schemas.ChangeDisputed, debitDisputed
	case effectPaidDisputed:
		ch.Kind, b.PaidOn = schemas.ChangePaidDisputed, eff
	case effectLatePaid:
		b.PaidOn = eff
		return
	}
	k.Collected += ch.MovedCents
	if k.Collected >= k.Due {
		k.Failure = ""
	}
	if ef == effectPaid || ef == effectPaidDisputed {
		c.changed(k, m, ch, out)
		return
	}
	b.BackOn, b.Code = eff, codeOf(res)
	if ch.MovedCents < 0 && schemas.PeriodOf(m.BusinessDate()) > k.Period {
		k.Reopened = true
	}
	reason := e.rules.Reason(res.Status, res.ReasonScheme, res.ReasonCode)
	k.Failure = reason.Name
	hold := e.remedy(c, k, pol, b, reason)
	c.changed(k, m, ch, out)
	if hold != "" && pol.Hold == "" {
		pol.Hold = hold
		c.policyChanged(pol, "", m, out)
	}
}

// holdMandateEnded is the hold of a policy whose mandate ended by unpaids in a row (SPEC 4.8).
const holdMandateEnded = "MANDATE_ENDED"

// remedy does what a failure's reason asks for and returns the reason to hold the policy for, if there is one.
func (e *Engine) remedy(c *Customer, k *collection, pol *policy, b *debit, reason rules.Reason) (hold string) {
	switch {
	case b.State == debitDisputed:
		b.Uses = nil
		hold = reason.Name
	case !reason.Known:
		c.giveBack(b)
		k.Stopped = true
	case reason.Remedy == rules.RemedyFunds:
		c.spend(b)
	default:
		c.giveBack(b)
		hold = reason.Name
	}
	if b.State != debitUnpaid {
		return hold
	}
	pol.Unpaids++
	ends := e.rules.Rail(b.Rail, b.Action.Date()).UnpaidsEndMandate
	if hold == "" && ends > 0 && pol.Unpaids >= ends {
		hold = holdMandateEnded
	}
	return hold
}
