package settlement

import (
	"fmt"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// This file is the life of a statement after it was made: it is paid, disputed, resolved. Its figures never change.
//
//	pending -> paid             on the payment date, or when the bank says so
//	any     -> disputed -> back within the days of Rules.DisputedUntil; a disputed statement is not paid
//	carried_forward             stays; the next statement has taken it up

// Payouts says when a statement counts as paid.
type Payouts string

// The two ways.
const (
	// Assumed: an instruction that was given is paid on its date.
	Assumed Payouts = "assumed"
	// Confirmed: the bank's answer decides.
	Confirmed Payouts = "confirmed"
)

// Due is what a tick brings.
type Due struct {
	// Payouts are the EFT instructions whose day has come.
	Payouts []schemas.PayoutEvent
	// Statements are the new versions of those that they pay.
	Statements []schemas.SettlementEvent
}

// Tick instructs the payment of the statements whose payment date's cut-off has passed. One that could not be sent on
// its day, because it was disputed or nothing ran, is paid on the next banking day. It forgets the statements that can
// change no more.
func Tick(r *rules.Rules, how Payouts, t *Tenant, m schemas.Moment) Due {
	var due Due
	open := t.Open[:0:0]
	for _, ev := range t.Open {
		if day, now := payNow(r, &ev, m); now {
			ev.Payouts++
			ev.PaymentDate = day.String()
			ev.PayoutID = schemas.PayoutID(ev.TenantID, ev.SettlementID, ev.Payouts)
			due.Payouts = append(due.Payouts, instruction(&ev, m))
			if how == Confirmed {
				ev.PayoutState = schemas.PayoutInstructed
				advance(&ev, schemas.SettlementInstructed, m)
			} else {
				pay(&ev, day.String(), m)
			}
			due.Statements = append(due.Statements, ev)
		}
		if !final(r, &ev, m.Date) {
			open = append(open, ev)
		}
	}
	t.Open = open
	return due
}

// payNow tells whether a statement is to be paid now, and of which day the payment is.
func payNow(r *rules.Rules, ev *schemas.SettlementEvent, m schemas.Moment) (day civil.Date, now bool) {
	day, err := civil.ParseDate(ev.PaymentDate)
	waits := ev.Status == schemas.SettlementPending && ev.PayoutState == "" && ev.PayableCents > 0
	if err != nil || !waits || m.Date.Before(day) || m.Date == day && m.Cutoff < 1 {
		return day, false
	}
	if sent := m.SentOn(); sent.After(day) {
		return sent, r.Calendar.IsBankingDay(sent)
	}
	return day, true
}

// final tells that nothing can happen to a statement any more: it is paid or carried forward, and may not be disputed.
func final(r *rules.Rules, ev *schemas.SettlementEvent, today civil.Date) bool {
	done := ev.Status == schemas.SettlementPaid || ev.Status == schemas.SettlementCarried
	return done && today.After(r.DisputedUntil(made(ev)))
}

// made is the business date on which a statement was made. An earlier build wrote the instant only.
func made(ev *schemas.SettlementEvent) civil.Date {
	if day, err := civil.ParseDate(ev.MadeDate); err == nil {
		return day
	}
	return schemas.DateIn(ev.CreatedAt)
}

func instruction(ev *schemas.SettlementEvent, m schemas.Moment) schemas.PayoutEvent {
	return schemas.PayoutEvent{
		Meta: meta(m, "payout event", ev.PayoutID), PayoutID: ev.PayoutID, TenantID: ev.TenantID,
		SettlementID: ev.SettlementID, SettlementNumber: ev.Number, AmountCents: ev.PayableCents, Currency: "ZAR",
		PaymentDate: ev.PaymentDate, PaymentReference: ev.PaymentReference,
	}
}

// Answer takes in what the bank says of an EFT instruction. The first answer stands: the same one again has no effect
// (ev is nil), another is refused. The error is a *schemas.Reject and leaves t as it was.
func Answer(t *Tenant, res schemas.PayoutResult, m schemas.Moment) (*schemas.SettlementEvent, error) {
	ev := t.paidBy(res.PayoutID)
	said := schemas.PayoutFailed
	if res.Status == schemas.PayoutWasPaid {
		said = schemas.PayoutPaid
	}
	switch {
	case ev == nil:
		return nil, UnknownPayout()
	case ev.PayoutID != res.PayoutID && said == schemas.PayoutFailed: // an earlier instruction, which had failed
		return nil, nil
	case ev.PayoutID != res.PayoutID:
		return nil, schemas.Refuse(schemas.RejectContradictsFinal, "the bank has said before that this instruction failed")
	case ev.PayoutState == said:
		return nil, nil
	case ev.PayoutState != schemas.PayoutInstructed:
		return nil, schemas.Refuse(schemas.RejectContradictsFinal, "the instruction counts as "+string(ev.PayoutState)+
			"; a payment that came back is a matter for people")
	case res.EffectiveDate < ev.PaymentDate:
		return nil, schemas.Refuse(schemas.RejectBadDate, "effective_date lies before the instruction's payment_date")
	case res.EffectiveDate > m.SentOn().String():
		return nil, schemas.Refuse(schemas.RejectBadDate, "effective_date lies after the business date")
	case said == schemas.PayoutPaid:
		pay(ev, res.EffectiveDate, m)
	default:
		ev.PayoutState = said
		advance(ev, schemas.SettlementFailed, m)
	}
	next := *ev
	return &next, nil
}

// UnknownPayout refuses an answer to an instruction that nobody knows.
func UnknownPayout() error {
	return schemas.Refuse(schemas.RejectUnknownPayout, "payout_id names no EFT instruction of ours that is still known")
}

// Pays tells whether an EFT instruction is of one of the open statements.
func (t *Tenant) Pays(payoutID string) bool { return t.paidBy(payoutID) != nil }

// paidBy is the open statement that an EFT instruction is of.
func (t *Tenant) paidBy(payoutID string) *schemas.SettlementEvent {
	for i := range t.Open {
		ev := &t.Open[i]
		for n := range ev.Payouts {
			if schemas.PayoutID(ev.TenantID, ev.SettlementID, n+1) == payoutID {
				return ev
			}
		}
	}
	return nil
}

// pay makes a statement paid on a day.
func pay(ev *schemas.SettlementEvent, day string, m schemas.Moment) {
	ev.PayoutState, ev.PaidDate = schemas.PayoutPaid, day
	if ev.Status != schemas.SettlementDisputed {
		ev.Status = standing(ev)
	}
	advance(ev, schemas.SettlementPaidOut, m)
}

// Conflict is why a statement cannot be changed as asked.
type Conflict string

// Error implements error.
func (c Conflict) Error() string { return string(c) }

// Unknown is the answer about a statement that this tenant's state does not hold, or not any more.
const Unknown = Conflict("the statement is not known, or can no longer change")

// Change disputes a statement, resolves that, or has it paid again. The same dispute again has no effect: ev is nil.
// The error is a Conflict and leaves t as it was.
func Change(r *rules.Rules, t *Tenant, cmd schemas.StatementCommand, m schemas.Moment) (
	*schemas.SettlementEvent, error,
) {
	var ev *schemas.SettlementEvent
	for i := range t.Open {
		if t.Open[i].SettlementID == cmd.SettlementID {
			ev = &t.Open[i]
		}
	}
	if ev == nil {
		return nil, Unknown
	}
	disputed := ev.Status == schemas.SettlementDisputed
	next := *ev
	switch until := r.DisputedUntil(made(ev)); {
	case cmd.Action == schemas.StatementDispute && disputed && ev.Note == cmd.Note:
		return nil, nil
	case cmd.Action == schemas.StatementDispute && disputed:
		return nil, Conflict("the statement is disputed already")
	case cmd.Action == schemas.StatementDispute && m.Date.After(until):
		return nil, Conflict(fmt.Sprintf("the statement could be disputed until %s", until))
	case cmd.Action == schemas.StatementDispute:
		next.Status, next.Note = schemas.SettlementDisputed, cmd.Note
		advance(&next, schemas.SettlementInDispute, m)
	case cmd.Action == schemas.StatementResolve && !disputed:
		return nil, Conflict("the statement is not disputed")
	case cmd.Action == schemas.StatementResolve:
		next.Status, next.Note = standing(&next), cmd.Note
		advance(&next, schemas.SettlementResolved, m)
	case ev.PayoutState != schemas.PayoutFailed:
		return nil, Conflict("no payout of the statement has failed")
	default:
		next.PayoutState = ""
		advance(&next, schemas.SettlementRetried, m)
	}
	*ev = next
	return &next, nil
}

// standing is the status of a statement that is not disputed.
func standing(ev *schemas.SettlementEvent) schemas.SettlementStatus {
	switch {
	case ev.PaidDate != "":
		return schemas.SettlementPaid
	case ev.PayableCents <= 0:
		return schemas.SettlementCarried
	}
	return schemas.SettlementPending
}

// advance makes the next version of a statement.
func advance(ev *schemas.SettlementEvent, change schemas.SettlementChange, m schemas.Moment) {
	ev.Version++
	ev.Change = change
	ev.Meta = meta(m, "settlement event", ev.SettlementID, fmt.Sprint(ev.Version))
}

func meta(m schemas.Moment, facts ...string) schemas.Meta {
	return schemas.Meta{EventID: schemas.FactID(facts...), BusinessDate: m.Date.String(), At: m.At}
}
