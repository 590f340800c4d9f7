package book

import (
	"fmt"
	"strconv"

	"github.com/kasi-collections/kasi/schemas"
)

// Ruling is what a strategy rules for one open collection at a cut-off.
type Ruling struct {
	Reason string        // a key of the table of reasons
	Amount schemas.Cents // of a debit with today's action date; 0: no debit
	// TrackingDay is the last day on which the bank may present the debit until it is paid: a banking day, at the latest
	// Rules.TrackingUntil. 0: it presents it today only.
	TrackingDay schemas.Day
	Next        schemas.Day // when to look again; 0: no day is known
	Blind       bool        // a debit that does not count on money seen
	Proved      bool        // the bookings of the account prove that it holds the amount
	Close       bool        // the collection is not decided again; a policy made active again opens it again
	Uses        []Use       // the deposits that the debit counts on, oldest first
	// FromBalance is what the debit takes beyond deposits of the latest balance of account BalanceOf, which is so much
	// lower from now on.
	FromBalance schemas.Cents
	BalanceOf   string

	// What the ruling was made from, for the decision's event.
	Budget       schemas.Cents // of all deposits not yet used
	LastDeposit  schemas.Day
	NextExpected schemas.Day
	Basis        *Basis // nil where the strategy does not price
	Group        string // of customers that are ruled otherwise than all, such as a share on a fixed schedule
}

// Use is what a debit counts on of one deposit.
type Use struct {
	Deposit int // its number
	Cents   schemas.Cents
	// LowersBalance: the latest balance of the deposit's account holds the money too, and is so much lower from now on.
	LowersBalance bool
}

// Meaning is what a reason means: the action it leads to, a sentence for an analyst, and what else could have been
// done.
type Meaning struct {
	Action       schemas.DecisionAction
	Sentence     string
	Alternatives []schemas.Alternative
	// SaysHold: the event's sentence ends with what the policy is held for.
	SaysHold bool
}

// CarryOut does what a strategy has ruled: one ruling for each open collection, in their order. A ruling is emitted if
// it is news. Until wake no cut-off brings anything new, if no record comes before; 0: the next one may. An error is a
// mistake of the strategy, and nothing has been carried out then.
func (b *Book) CarryOut(rulings []Ruling, wake schemas.Day, meaning func(reason string) Meaning) error {
	if err := b.check(rulings); err != nil {
		return err
	}
	for i, n := 0, 0; i < len(b.Collections); i++ {
		if k := &b.Collections[i]; k.Open() {
			b.carryOut(k, &rulings[n], meaning)
			n++
		}
	}
	if b.Wake = wake; len(b.Waiting) > 0 {
		b.Wake = min(wake, b.Waiting[0].Day)
	}
	for i := range b.Collections {
		for j := range b.Collections[i].Debits {
			if d := &b.Collections[i].Debits[j]; d.State == DebitInFlight && d.Item == nil {
				b.Wake = min(b.Wake, b.overdue(d))
			}
		}
	}
	return nil
}

// check finds rulings that cannot be carried out.
func (b *Book) check(rulings []Ruling) error {
	open := 0
	for i := range b.Collections {
		if k := &b.Collections[i]; k.Open() {
			if open < len(rulings) {
				if err := b.checkTracking(k, &rulings[open]); err != nil {
					return err
				}
			}
			open++
		}
	}
	if len(rulings) != open {
		return fmt.Errorf("book: %d rulings for %d open collections; a strategy rules each once", len(rulings), open)
	}
	used := map[int]schemas.Cents{} // of a deposit, by all rulings together
	for i := range rulings {
		for _, u := range rulings[i].Uses {
			used[u.Deposit] += u.Cents
		}
	}
	for i := range rulings {
		for _, u := range rulings[i].Uses {
			if d := b.deposit(int64(u.Deposit)); d == nil || u.Cents <= 0 || used[u.Deposit] > d.Remaining {
				return fmt.Errorf("book: a ruling %s uses %d cents of deposit %d, which does not have them",
					rulings[i].Reason, u.Cents, u.Deposit)
			}
		}
	}
	return nil
}

// checkTracking finds a debit that the bank would have to present for longer than its rail allows (CONTRACT 4.8).
func (b *Book) checkTracking(k *Collection, r *Ruling) error {
	if r.TrackingDay == 0 {
		return nil
	}
	rail, on := b.Policies.Find(k.Number).Rail, r.TrackingDay.Date()
	last := b.rules.TrackingUntil(rail, b.moment.Date)
	if r.Amount == 0 || on.After(last) || !b.rules.Calendar.IsBankingDay(on) {
		return fmt.Errorf("book: a ruling %s of %d cents is tracked until %s; %s allows it until %s, on banking days",
			r.Reason, r.Amount, on, rail, last)
	}
	return nil
}

func (b *Book) carryOut(k *Collection, r *Ruling, meaning func(reason string) Meaning) {
	k.Closed = k.Closed || r.Close
	now := Decided{r.Reason, r.Next, r.Amount}
	if r.Amount == 0 && now == k.Decided {
		return
	}
	pol := b.Policies.Find(k.Number)
	ev := b.decision(k, pol, r, meaning(r.Reason))
	if r.Amount > 0 {
		ev.DebitID = b.instruct(k, pol, r)
	}
	k.Decided = now
	b.out.Decisions = append(b.out.Decisions, ev)
}

// decision is the event of a ruling, with what it was made from.
func (b *Book) decision(k *Collection, pol *Policy, r *Ruling, m Meaning) schemas.DecisionEvent {
	id := schemas.CollectionID(schemas.PolicyID(b.Tenant, k.Number), k.Period)
	k.Decisions++
	ev := schemas.DecisionEvent{
		Meta:     b.moment.Meta("decision", id, strconv.Itoa(k.Decisions)),
		TenantID: b.Tenant, CustomerID: b.ID, PolicyNumber: k.Number, CollectionID: id, PeriodMonth: k.Period,
		Action: m.Action, Reason: r.Reason, Explanation: m.Sentence, AmountCents: r.Amount, NextDate: r.Next.Text(),
		Alternatives: m.Alternatives,
		Inputs: schemas.DecisionInputs{
			DueCents: k.Due, CollectedCents: k.Collected, InFlightCents: k.InFlight(), BudgetCents: r.Budget,
			Attempts: k.Attempts, Rail: pol.Rail, LastDepositDate: r.LastDeposit.Text(),
			NextExpectedDate: r.NextExpected.Text(), LastReason: k.Failure, Group: r.Group,
		},
	}
	if r.Amount > 0 {
		ev.TrackingUntil = b.trackedUntil(r).Text()
	}
	r.Basis.explain(&ev)
	if m.SaysHold {
		ev.Explanation += " It answered " + pol.Hold + "."
	}
	if n := len(b.Balances); n > 0 {
		ev.Inputs.BalanceCents = cloneCents(&b.Balances[n-1].Cents)
	}
	return ev
}

// maxTransactionIDs bounds the ids of transactions that a debit names: an instruction must fit a record.
const maxTransactionIDs = 100

// actionDay is the day on which the bank acts on what is sent now. Where the calendar catches up on days that it
// missed, the business date is past, and the bank acts on the first banking day that is left.
func (b *Book) actionDay() schemas.Day {
	if on := b.moment.SentOn(); on.After(b.moment.Date) {
		return schemas.DayOf(b.rules.Calendar.OnOrAfter(on))
	}
	return b.today
}

// trackedUntil is the last day of tracking of a debit that is sent now, or 0. Where the calendar catches up on days
// that it missed, less is left of it, or nothing.
func (b *Book) trackedUntil(r *Ruling) schemas.Day {
	if r.TrackingDay <= b.actionDay() {
		return 0
	}
	return r.TrackingDay
}

// instruct sends a debit to the bank.
func (b *Book) instruct(k *Collection, pol *Policy, r *Ruling) string {
	k.Attempts++
	day := b.actionDay()
	k.Last = day
	if k.First == 0 {
		k.First = day
	}
	id := schemas.CollectionID(schemas.PolicyID(b.Tenant, k.Number), k.Period)
	d := Debit{
		ID: schemas.DebitID(b.Tenant, b.ID, id, k.Attempts), Cents: r.Amount, Action: day, Until: b.trackedUntil(r),
		Rail: pol.Rail, Proved: r.Proved,
	}
	var ids []string
	for _, u := range r.Uses {
		if id := b.use(u); len(ids) < maxTransactionIDs {
			ids = append(ids, id)
		}
		d.Uses = append(d.Uses, [2]int64{int64(u.Deposit), int64(u.Cents)})
	}
	b.lowerBalance(r.BalanceOf, r.FromBalance)
	k.Debits = append(k.Debits, d)
	b.note(k, &d)
	b.out.Debits = append(b.out.Debits, schemas.DebitInstruction{
		Meta:    b.moment.Meta("instruction", d.ID),
		DebitID: d.ID, TenantID: b.Tenant, CustomerID: b.ID, PolicyNumber: k.Number, CollectionID: id,
		PeriodMonth: k.Period, Attempt: k.Attempts, AmountCents: d.Cents, Currency: "ZAR", ActionDate: d.Action.Text(),
		TrackingUntil: d.Until.Text(), Rail: d.Rail, MandateReference: pol.Mandate, Bank: pol.Bank,
		AccountToken: pol.Token, TransactionIDs: ids,
	})
	b.collectionChanged(k, schemas.Change{Kind: schemas.ChangeInstructed, DebitID: d.ID, AmountCents: d.Cents})
	return d.ID
}

// use takes money out of a deposit and returns the id of the record that it is known by.
func (b *Book) use(u Use) string {
	d := b.deposit(int64(u.Deposit))
	d.Remaining -= u.Cents
	if u.LowersBalance {
		b.lowerBalance(d.Account, u.Cents)
	}
	return d.source()
}

// lowerBalance takes what a debit takes off the latest balance of an account. A later balance from the feed replaces
// it.
func (b *Book) lowerBalance(account string, cents schemas.Cents) {
	if cents == 0 {
		return
	}
	if l := find(b.Balances, func(x *Balance) bool { return x.Account == account }); l != nil {
		l.Cents -= cents
	}
}
