package book

import (
	"cmp"
	"iter"
	"slices"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// Collection is the collecting of one premium of one policy for one period.
type Collection struct {
	Number    string         `json:"n"`
	Period    schemas.Period `json:"p"`
	Execution string         `json:"x,omitempty"`
	Version   int64          `json:"v"`
	Due       schemas.Cents  `json:"d"`
	Collected schemas.Cents  `json:"c,omitempty"`
	Plan      schemas.Day    `json:"g"` // first attempt while no income is known
	First     schemas.Day    `json:"f,omitempty"`
	Last      schemas.Day    `json:"l,omitempty"`
	Attempts  int            `json:"a,omitempty"`
	Failure   string         `json:"e,omitempty"`
	// Cancelled with the policy; Stopped by a code nobody knows; Closed: never decided again; Reopened: money went back
	// after the period.
	Cancelled bool `json:"o,omitempty"`
	Stopped   bool `json:"u,omitempty"`
	Closed    bool `json:"z,omitempty"`
	Reopened  bool `json:"y,omitempty"`
	// Voided: taken back with its execution before any attempt, as if it had not been made.
	Voided bool `json:"j,omitempty"`
	// Decisions counts the decisions emitted; Decided is the latest.
	Decisions int     `json:"i,omitempty"`
	Decided   Decided `json:"w"`
	Debits    []Debit `json:"b,omitempty"`
}

// Decided is what makes a decision the same as the one before.
type Decided struct {
	Reason string        `json:"r,omitempty"`
	Next   schemas.Day   `json:"n,omitempty"`
	Amount schemas.Cents `json:"a,omitempty"`
}

// DebitState is how far a debit has got.
type DebitState int

// The states of a debit.
const (
	DebitInFlight DebitState = iota
	DebitPaid
	DebitUnpaid
	DebitRejected
	DebitDisputed
)

// Debit is one instruction to the bank and what came back.
type Debit struct {
	ID     string        `json:"i"`
	Cents  schemas.Cents `json:"c"`
	Action schemas.Day   `json:"a"`
	Until  schemas.Day   `json:"t,omitempty"` // the last day of credit tracking; 0: presented on the action date only
	Rail   schemas.Rail  `json:"r"`
	State  DebitState    `json:"s,omitempty"`
	// PaidOn is the latest date of a PAID, BackOn that of the answer that says no and stands; both are set where both
	// came.
	PaidOn schemas.Day `json:"p,omitempty"`
	BackOn schemas.Day `json:"b,omitempty"`
	Code   string      `json:"e,omitempty"` // scheme and code of the answer that says no
	// RowBefore is the policy's unpaids in a row before PAID ended the row; an unpaid that comes late takes it up again.
	RowBefore int `json:"u,omitempty"`
	// Counted: an UNPAID of it stands in the row, also where a worse answer stands for the debit.
	Counted bool `json:"n,omitempty"`
	// Heard is the business date of the first answer, where that came so late that the debit would soon be past.
	Heard schemas.Day `json:"h,omitempty"`
	// Shown: the bank feed has shown it as a booking. Proved: what the bookings showed was at least its amount.
	Shown  bool `json:"w,omitempty"`
	Proved bool `json:"v,omitempty"`
	// Uses are the deposits that the debit counts on: number and cents, which are 0 once they were given back. None is
	// left once the debit has shown that the money is gone.
	Uses [][2]int64 `json:"d,omitempty"`
	// Item is what people must see about the debit, where there is or was something. What it points to never changes.
	Item *Item `json:"o,omitempty"`
	// Results are the answers taken in: hashes of their ids and contents.
	Results []uint64 `json:"x,omitempty"`
}

// Last is the last day on which the bank may present the debit: its action date, or the end of its tracking.
func (d *Debit) Last() schemas.Day { return max(d.Action, d.Until) }

// SettledOn is the day on which the account paid the debit, or had not paid it yet when the bank gave up: the action
// date, or of a tracked debit the day that the bank's answer names. It is of a debit that has an answer.
func (d *Debit) SettledOn() schemas.Day {
	on := d.BackOn
	if d.State == DebitPaid {
		on = d.PaidOn
	}
	return max(d.Action, min(d.Until, on))
}

// Outstanding is what is neither collected nor with the bank; never negative.
func (k *Collection) Outstanding() schemas.Cents { return k.Due - k.Collected - k.InFlight() }

// InFlight is what is with the bank. At most one debit is.
func (k *Collection) InFlight() schemas.Cents {
	var sum schemas.Cents
	for i := range k.Debits {
		if k.Debits[i].State == DebitInFlight {
			sum += k.Debits[i].Cents
		}
	}
	return sum
}

// Open tells whether cut-offs still decide about the collection.
func (k *Collection) Open() bool { return !k.Closed && !k.Voided && k.Collected < k.Due }

// CollectsArrears tells whether the shortfall of an ended period may still be collected: on a rail that may present
// again, for some periods. Money that went back after the period is no arrears but an adjustment of the settlement.
func (k *Collection) CollectsArrears(rail rules.RailRule, now schemas.Period, p *rules.Params) bool {
	of, on := k.Period.First(), now.First()
	age := (on.Year-of.Year)*12 + int(on.Month) - int(of.Month)
	return !k.Reopened && age <= p.ArrearsPeriods && rail.RePresent
}

// status is the outcome as reports show it. A collection cancelled with its policy stays so, whatever the bank still
// brings.
func (k *Collection) status() schemas.CollectionStatus {
	switch {
	case k.Voided:
		return schemas.CollectionVoided
	case k.Cancelled:
		return schemas.CollectionCancelled
	case k.Collected >= k.Due:
		return schemas.PaidFull
	case k.Collected > 0:
		return schemas.PaidPartial
	}
	return schemas.Unpaid
}

// Collections are a customer's collections, in the order of deciding: by period, planned day and policy number.
type Collections []Collection

// Find is the collection of that policy and period, or nil.
func (l Collections) Find(number string, p schemas.Period) *Collection {
	i, _ := search(l, func(k *Collection) int { return cmp.Compare(k.Period, p) })
	for i < len(l) && l[i].Period == p { // once for each planned day
		want := Collection{Number: number, Period: p, Plan: l[i].Plan}
		at, found := search(l[i:], func(k *Collection) int { return inOrder(k, &want) })
		if found {
			return &l[i+at]
		}
		next, _ := search(l[i:], func(k *Collection) int {
			return cmp.Or(cmp.Compare(k.Period, p), cmp.Compare(k.Plan, want.Plan+1))
		})
		i += next
	}
	return nil
}

// Of yields the collections of a policy, by period.
func (l Collections) Of(number string) iter.Seq[*Collection] {
	return func(yield func(*Collection) bool) {
		for i := 0; i < len(l); {
			if k := l[i:].Find(number, l[i].Period); k != nil && !yield(k) {
				return
			}
			next, _ := search(l[i:], func(k *Collection) int {
				if k.Period > l[i].Period {
					return 1
				}
				return -1
			})
			i += next
		}
	}
}

// inOrder is the order of deciding.
func inOrder(a, b *Collection) int {
	return cmp.Or(cmp.Compare(a.Period, b.Period), cmp.Compare(a.Plan, b.Plan), cmp.Compare(a.Number, b.Number))
}

// Running tells whether the policy has been executed for the period and not been cancelled since. Without that, no
// arrears of it are collected.
func (l Collections) Running(number string, p schemas.Period) bool {
	k := l.Find(number, p)
	return k != nil && !k.Cancelled && !k.Voided
}

// Execute makes the collection of one policy for one period, with the premium as it is now, if it is missing, and
// answers with an outcome: OK, UNCHANGED, NOT_FOUND or CONFLICT.
func (b *Book) Execute(cmd *schemas.ExecuteCommand) error {
	if err := b.claim(cmd.TenantID, cmd.CustomerID); err != nil {
		return err
	}
	answer := schemas.OutcomeEvent{
		RequestID: cmd.RequestID, TenantID: cmd.TenantID, Row: cmd.Row, PolicyNumber: cmd.PolicyNumber,
		Code:     schemas.OutcomeOK,
		ObjectID: schemas.CollectionID(schemas.PolicyID(cmd.TenantID, cmd.PolicyNumber), cmd.PeriodMonth),
	}
	now := schemas.PeriodOf(b.moment.BusinessDate())
	pol := b.Policies.Find(cmd.PolicyNumber)
	is := b.Collections.Find(cmd.PolicyNumber, cmd.PeriodMonth)
	switch {
	case is != nil && !is.Voided && !b.over(is, now): // one that is over may have been pruned by now or not
		answer.Code = schemas.OutcomeUnchanged
	case pol == nil:
		answer.Code, answer.Message = schemas.OutcomeNotFound, "there is no policy of this number"
	case pol.Status != schemas.PolicyActive:
		answer.Code, answer.Message = schemas.OutcomeConflict, "the policy is "+string(pol.Status)
	case cmd.PeriodMonth < now:
		answer.Code, answer.Message = schemas.OutcomeConflict, "the period has passed"
	default:
		b.collect(pol, cmd.PeriodMonth, cmd.ExecutionID)
	}
	b.outcome(answer)
	return nil
}

// insert puts a collection in its place.
func (c *Customer) insert(k Collection) *Collection {
	i, _ := search(c.Collections, func(o *Collection) int { return inOrder(o, &k) })
	c.Collections = slices.Insert(c.Collections, i, k)
	return &c.Collections[i]
}

// plan is the day of the first attempt while no income is known: the first banking day on or after the policy's or the
// configured day of the period, but never after the period's last banking day.
func (b *Book) plan(p schemas.Period, pol *Policy) schemas.Day {
	dom := pol.Day
	if dom == 0 {
		dom = b.Params.FirstAttemptDay
	}
	cal, last := b.rules.Calendar, p.Last()
	day := min(schemas.DayOf(p.First())+schemas.Day(dom-1), schemas.DayOf(last)) // a short month's last for its 31st
	return min(schemas.DayOf(cal.OnOrAfter(day.Date())), schemas.DayOf(cal.OnOrBefore(last)))
}

// Outstanding is what all collections that may be debited now still lack.
func (b *Book) Outstanding(now schemas.Period) schemas.Cents {
	var sum schemas.Cents
	for i := range b.Collections {
		k := &b.Collections[i]
		if !k.Open() || k.Cancelled || k.Stopped || k.Period > now {
			continue
		}
		pol := b.Policies.Find(k.Number)
		if pol.Status == schemas.PolicyActive && pol.Hold == "" && (k.Period == now || b.Collections.Running(k.Number, now) &&
			k.CollectsArrears(b.rules.Rail(pol.Rail, b.moment.Date), now, b.Params)) {
			sum += k.Outstanding()
		}
	}
	return sum
}

// over tells that no decision can need a collection any more, and hardly an answer.
func (b *Book) over(k *Collection, now schemas.Period) bool {
	kept := func(d *Debit) bool { return !d.settled(b.today, b.rules) }
	return !k.Open() && k.Period < now && find(k.Debits, kept) == nil
}

// Prune puts collections that are over into the past, and drops what nothing can need any more. When it runs makes no
// difference to any output.
func (b *Book) Prune(now schemas.Period) {
	if find(b.Collections, func(k *Collection) bool { return b.over(k, now) }) != nil {
		b.Collections = slices.DeleteFunc(b.Collections, func(k Collection) bool {
			over := b.over(&k, now)
			if over {
				b.bury(&k)
			}
			return over
		})
	}
	b.forgetMoney()
}
