package book

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cloud.google.com/go/civil"
	"github.com/cespare/xxhash/v2"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// maxAnswers bounds the ids kept of a debit's answers: a bank that says the same every night under new ids must not
// fill the state. An answer whose id was not kept changes nothing when it comes again, for it is in the set already.
const maxAnswers = 16

// Result takes in what the bank answers to a debit. How the debit stands follows from the set of the answers taken in,
// not from the order in which they came (CONTRACT 4.3): PAID counts while no answer says no, and of several answers
// that say no the worst stands. A result id again has no effect.
//
// Refused are: a debit that was never the customer's (UNKNOWN_DEBIT), a result id that comes again with other content
// (DUPLICATE_ID), a date before the action date or after the business date (BAD_DATE), another amount
// (AMOUNT_MISMATCH), and a dispute after its window (DISPUTE_TOO_LATE). A PAID that contradicts what the bank said
// before is noted, so that the set is the same in every order, and a dead letter too (Outputs.Refused). Where an answer
// settles nothing, people must see it: it opens an item (CONTRACT 4.13).
func (b *Book) Result(res *schemas.Result) error {
	k, d, err := b.find(res.DebitID)
	if err != nil {
		return err
	}
	if d == nil {
		return schemas.Refuse(schemas.RejectUnknownDebit, "debit_id names no debit of ours")
	}
	id := answerID(res)
	if i := slices.IndexFunc(d.Results, func(x uint64) bool { return x>>32 == id>>32 }); i >= 0 {
		if d.Results[i] != id {
			return schemas.Refuse(schemas.RejectDuplicateID, "result_id has come before with another content")
		}
		return nil
	}
	date, err := civil.ParseDate(res.EffectiveDate)
	if err != nil {
		return schemas.Refuse(schemas.RejectBadDate, "effective_date is not a date; expected YYYY-MM-DD")
	}
	on := schemas.DayOf(date)
	if reject := b.refusal(d, res, on); reject != nil {
		if reject.Class == schemas.RejectAmountMismatch && d.State == DebitInFlight {
			b.openItem(k, d, schemas.OpenAmount, *res.AmountCents, res.ResultID)
			b.out.Refused = reject
			return nil
		}
		return reject
	}
	if k, d, err = b.recall(k, d.ID); err != nil {
		return err
	}

	if len(d.Results) < maxAnswers {
		d.Results = append(d.Results, id)
	}
	if d.State == DebitInFlight && d.keptUntil(b.rules) < b.today+disputeSlack {
		d.Heard = b.today
	}
	b.lookAgain()
	if res.Status == schemas.ResultPaid {
		b.saysPaid(k, d, on, res)
	} else {
		b.saysNo(k, d, on, res)
	}
	b.reviewItem(k, d, res)
	return nil
}

// answerID is 32 bits of the hash of a result's id, and below them 32 bits of the hash of what it says.
func answerID(res *schemas.Result) uint64 {
	amount := schemas.Cents(0)
	if res.AmountCents != nil {
		amount = *res.AmountCents
	}
	said := fmt.Sprintf("%s\x00%s\x00%s\x00%s\x00%d", res.Status, res.EffectiveDate, res.ReasonScheme, res.ReasonCode,
		amount)
	return xxhash.Sum64String(res.ResultID)>>32<<32 | xxhash.Sum64String(said)>>32
}

// refusal is why an answer is not taken in. It depends on the answer alone, not on the answers before. Under the real
// calendar an answer may overtake the tick of its day, after a stop by days: the day on which it was written counts.
func (b *Book) refusal(d *Debit, res *schemas.Result, on schemas.Day) *schemas.Reject {
	window := schemas.Day(b.rules.DisputeDays(d.Rail, on.Date()))
	switch {
	case on < d.Action:
		return schemas.Refuse(schemas.RejectBadDate,
			fmt.Sprintf("effective_date %s lies before the debit's action date %s", res.EffectiveDate, d.Action.Text()))
	case on > schemas.DayOf(b.moment.SentOn()):
		return schemas.Refuse(schemas.RejectBadDate,
			fmt.Sprintf("effective_date %s lies after the business date %s; send the answer again on its day",
				res.EffectiveDate, b.moment.BusinessDate()))
	case res.AmountCents != nil && *res.AmountCents != d.Cents:
		return schemas.Refuse(schemas.RejectAmountMismatch,
			fmt.Sprintf("amount_cents is %d; the debit is of %d", *res.AmountCents, d.Cents))
	case res.Status == schemas.ResultDisputed && on > d.Last()+window:
		return schemas.Refuse(schemas.RejectDisputeTooLate,
			fmt.Sprintf("effective_date %s lies more than %d days after %s, the last day on which the debit was presented",
				res.EffectiveDate, window, d.Last().Text()))
	}
	return nil
}

// saysPaid takes in a PAID. It counts while no answer says no.
func (b *Book) saysPaid(k *Collection, d *Debit, on schemas.Day, res *schemas.Result) {
	before := d.PaidOn
	contradicts := before != 0 && before != on || d.saysNo() && on > d.BackOn && before != on
	d.PaidOn = max(before, on)
	switch {
	case d.State == DebitInFlight:
		d.State = DebitPaid
		row := b.row(k, d)
		d.RowBefore, *row = *row, 0
		b.answered(k, d, schemas.ChangePaid, res)
	case d.State == DebitDisputed && before == 0:
		b.answered(k, d, schemas.ChangePaidDisputed, res)
	default:
		b.follow(k)
	}
	if contradicts {
		b.out.Refused = schemas.Refuse(schemas.RejectContradictsFinal,
			fmt.Sprintf("PAID of %s contradicts what the bank said before", on.Text()))
	}
}

// saysNo takes in an UNPAID, REJECTED or DISPUTED: the worst of those taken in stands, but what each of them means for
// deposits, row of unpaids and hold is done, also where a worse one stands. Each of those steps can be done once only,
// or twice with the same end, and the hold is the worst: so the order makes no difference.
func (b *Book) saysNo(k *Collection, d *Debit, on schemas.Day, res *schemas.Result) {
	was := *d
	now := was
	now.State, now.BackOn, now.Code = stateOf[res.Status], on, res.ReasonScheme+":"+res.ReasonCode
	reason := now.reason(b.rules)
	stands := !was.saysNo() || now.worse(&was, b.rules)
	if stands {
		*d = now
	}
	pol, hold := b.Policies.Find(k.Number), ""
	if was.State == DebitPaid { // as if it had never been paid
		*b.row(k, d) += d.RowBefore
		d.RowBefore = 0
	}
	switch {
	case now.State == DebitDisputed:
		hold = reason.Name
	case reason.Known && reason.Remedy == rules.RemedyFunds:
		b.bounce(d, on)
	default:
		b.giveBack(d)
		if reason.Known {
			hold = reason.Name
		}
	}
	ended := false
	if now.State == DebitUnpaid && !d.Counted {
		d.Counted = true
		row := b.row(k, d)
		*row++
		ends := b.rules.Rail(d.Rail, d.Action.Date()).UnpaidsEndMandate
		ended = ends > 0 && row == &pol.Unpaids && *row >= ends
	}

	if stands {
		kind := changeOf[res.Status]
		if was.State == DebitPaid && now.State == DebitUnpaid {
			kind = schemas.ChangeLateUnpaid
		}
		b.answered(k, d, kind, res)
	}
	if ended {
		b.holdFor(pol, holdMandateEnded)
	}
	b.holdFor(pol, hold)
}

var (
	stateOf = map[schemas.ResultStatus]DebitState{
		schemas.ResultUnpaid: DebitUnpaid, schemas.ResultRejected: DebitRejected, schemas.ResultDisputed: DebitDisputed,
	}
	statusOf = map[DebitState]schemas.ResultStatus{
		DebitUnpaid: schemas.ResultUnpaid, DebitRejected: schemas.ResultRejected, DebitDisputed: schemas.ResultDisputed,
	}
	changeOf = map[schemas.ResultStatus]schemas.ChangeKind{
		schemas.ResultUnpaid: schemas.ChangeUnpaid, schemas.ResultRejected: schemas.ChangeRejected,
		schemas.ResultDisputed: schemas.ChangeDisputed,
	}
)

// saysNo tells whether an answer that says no stands.
func (d *Debit) saysNo() bool { return d.State > DebitPaid }

// WantsMoney tells whether the debit failed for want of money.
func (d *Debit) WantsMoney(r *rules.Rules) bool {
	if d.State != DebitUnpaid && d.State != DebitRejected {
		return false
	}
	reason := d.reason(r)
	return reason.Known && reason.Remedy == rules.RemedyFunds
}

// reason is what the answer that says no means.
func (d *Debit) reason(r *rules.Rules) rules.Reason {
	scheme, code, _ := strings.Cut(d.Code, ":")
	return r.Reason(statusOf[d.State], scheme, code)
}

// worse tells whether the answer that says no is worse than another of the same debit: by what it means, and of those
// that mean the same the later one. It is a total order on what the answers say.
func (d *Debit) worse(than *Debit, r *rules.Rules) bool {
	return cmp.Or(cmp.Compare(d.severity(r), than.severity(r)), cmp.Compare(d.BackOn, than.BackOn),
		cmp.Compare(than.State, d.State), cmp.Compare(d.Code, than.Code)) > 0
}

// severity orders what answers that say no mean.
func (d *Debit) severity(r *rules.Rules) int {
	reason := d.reason(r)
	switch {
	case d.State == DebitDisputed:
		return 10
	case !reason.Known:
		return 1 // above a want of funds: nobody knows whether the next debit would be legal
	}
	return 2 * reason.Remedy.Severity()
}

// row is the count of unpaids in a row that a debit's unpaid belongs to: the one that the policy's next paid debit has
// ended, or the policy's own.
func (b *Book) row(k *Collection, d *Debit) *int {
	var next *Debit
	for of := range b.Collections.Of(k.Number) {
		for j := range of.Debits {
			x := &of.Debits[j]
			if x.State == DebitPaid && x.Action > d.Action && (next == nil || x.Action < next.Action) {
				next = x
			}
		}
	}
	if next != nil {
		return &next.RowBefore
	}
	return &b.Policies.Find(k.Number).Unpaids
}

// answered lets the collection follow how its debit stands now, and emits the change. Nothing can fail any more.
func (b *Book) answered(k *Collection, d *Debit, kind schemas.ChangeKind, res *schemas.Result) {
	before := k.Collected
	b.follow(k)
	b.collectionChanged(k, schemas.Change{
		Kind: kind, DebitID: d.ID, ResultID: res.ResultID, AmountCents: d.Cents, MovedCents: k.Collected - before,
		ReasonCode: res.ReasonCode, ReasonScheme: res.ReasonScheme, EffectiveDate: res.EffectiveDate,
	})
}

// follow makes what a collection is follow from how its debits stand. The failure shown is the one of the latest date.
// Money that came and went back after the period reopens it (CONTRACT 4.9).
func (b *Book) follow(k *Collection) {
	k.Collected, k.Failure, k.Stopped, k.Reopened = 0, "", false, false
	latest := schemas.Day(0)
	for i := range k.Debits {
		d := &k.Debits[i]
		if d.State == DebitPaid {
			k.Collected += d.Cents
		}
		if !d.saysNo() {
			continue
		}
		reason := d.reason(b.rules)
		k.Stopped = k.Stopped || d.State != DebitDisputed && !reason.Known
		k.Reopened = k.Reopened ||
			d.PaidOn != 0 && d.PaidOn <= d.BackOn && schemas.PeriodOf(d.BackOn.Date()) > k.Period
		if d.BackOn >= latest {
			latest, k.Failure = d.BackOn, reason.Name
		}
	}
	if k.Collected >= k.Due {
		k.Failure = ""
	}
}

// holdMandateEnded is the hold of a policy whose mandate ended by unpaids in a row (CONTRACT 4.8).
const holdMandateEnded = "MANDATE_ENDED"

// holdFor holds a policy for a reason, unless it is held for a worse one.
func (b *Book) holdFor(pol *Policy, reason string) {
	rank := func(name string) int {
		switch name {
		case "":
			return -2
		case holdMandateEnded:
			return -1
		}
		return b.rules.RemedyOf(name).Severity()
	}
	if reason != "" && cmp.Or(cmp.Compare(rank(reason), rank(pol.Hold)), cmp.Compare(reason, pol.Hold)) > 0 {
		pol.Hold = reason
		b.policyChanged(pol, nil)
	}
}

// disputeSlack is how many days after the end of its dispute window a debit is kept whole, so that a dispute of the
// last day may come late; and after its first answer, if that came late, so that the second gives deposits back.
const disputeSlack = 7

// settled tells whether a debit has a result, can hardly be disputed any more, and has had its days (Params.DebitDays)
// for an unpaid that comes late: what the bank says of it after that is looked up in the past.
func (d *Debit) settled(today schemas.Day, r *rules.Rules) bool {
	return d.State != DebitInFlight && today > d.keptUntil(r) && (d.Heard == 0 || today > d.Heard+disputeSlack)
}

// keptUntil is the last day on which a debit that was answered in time is kept whole.
func (d *Debit) keptUntil(r *rules.Rules) schemas.Day {
	until, on := schemas.Day(0), d.Action
	for {
		date := on.Date()
		next := d.Last() + schemas.Day(max(r.DisputeDays(d.Rail, date)+disputeSlack, r.Params(date).DebitDays))
		if next <= until {
			return until
		}
		until, on = next, next+1
	}
}
