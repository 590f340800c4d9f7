package processors

import (
	"strconv"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// ruling is what a cut-off chooses for one collection.
type ruling struct {
	reason string
	amount schemas.Cents // of a debit
	next   schemas.Day   // when to look again
	blind  bool          // a debit that does not count on money seen
}

// decide chooses for a collection, carries the choice out, and emits it if it is news.
func (d *desk) decide(k *collection) {
	pol := d.c.policy(k.Number)
	f := d.funds()
	ch := d.choose(k, pol, f)
	if ch.amount > 0 && !d.banking {
		ch = ruling{reason: WhyNotBankingDay, next: d.nextBanking}
	}
	switch ch.reason {
	case WhyPolicyCancelled, WhyPolicyLapsed, WhyPeriodEnded:
		k.Closed = true // a policy made active again opens its collection again
	}
	now := decided{ch.reason, ch.next, ch.amount}
	if ch.amount == 0 && now == k.Decided {
		return
	}
	ev := d.decision(k, pol, ch, f)
	if ch.amount > 0 {
		ev.DebitID = d.instruct(k, pol, ch)
	}
	k.Decided = now
	d.out.Decisions = append(d.out.Decisions, ev)
}

// choose is the list of what stands against a debit, in order of precedence, and then of what speaks for one.
func (d *desk) choose(k *collection, pol *policy, f funds) ruling {
	rail := d.e.rules.Rail(pol.Rail, d.m.Date)
	parts := rail.PartialAllowed && !pol.Fixed
	outstanding := k.outstanding()
	arrears := k.Period < d.period
	switch {
	case k.inFlight() > 0:
		return ruling{reason: WhyAwaitResult}
	case k.Period > d.period:
		return ruling{reason: WhyPeriodNotStarted, next: schemas.DayOf(k.Period.First())}
	case k.Cancelled && pol.Status == schemas.PolicyLapsed:
		return ruling{reason: WhyPolicyLapsed}
	case k.Cancelled || pol.Status == schemas.PolicyCancelled:
		return ruling{reason: WhyPolicyCancelled}
	case pol.Status == schemas.PolicyLapsed:
		return ruling{reason: WhyPolicyLapsed}
	case arrears && d.arrears(k, pol) != "":
		return ruling{reason: d.arrears(k, pol)}
	case pol.Hold != "":
		return ruling{reason: WhyPolicyOnHold}
	case k.Stopped:
		return ruling{reason: WhyUnknownCode}
	case rail.AttemptsPerCycle > 0 && k.Attempts >= rail.AttemptsPerCycle, !rail.RePresent && k.Attempts > 0:
		return ruling{reason: WhyAttemptsUsedUp}
	case pol.Fixed && outstanding < k.Due:
		return ruling{reason: WhyPartNotAllowed}
	case pol.Max > 0 && outstanding > pol.Max && !parts:
		return ruling{reason: WhyAboveMaximum}
	}
	most := outstanding
	if pol.Max > 0 {
		most = min(most, pol.Max)
	}
	if ch := d.fromMoney(f, most, outstanding, parts); ch.reason != "" {
		return ch
	}
	if !arrears {
		if ch := d.blind(k, most); ch.reason != "" {
			return ch
		}
	}
	return d.waiting(k, f)
}

// fromMoney debits money that is usable now, as far as it goes and the rules allow.
func (d *desk) fromMoney(f funds, most, outstanding schemas.Cents, parts bool) ruling {
	amount := min(most, f.usable)
	switch {
	case amount == outstanding && f.announced:
		return ruling{reason: WhyAnnouncedIncome, amount: amount}
	case amount == outstanding:
		return ruling{reason: WhyMoneySeen, amount: amount}
	case parts && amount > 0 && amount >= d.params.MinDebitCents:
		return ruling{reason: WhyPartOfMoney, amount: amount}
	}
	return ruling{}
}

// blind debits without money seen: once, where no income is known, and once at the end of the period.
func (d *desk) blind(k *collection, most schemas.Cents) ruling {
	switch {
	case k.Attempts > 0:
		return ruling{}
	case d.today == d.lastBanking:
		return ruling{reason: WhyMonthEnd, amount: most, blind: true}
	case !d.known && d.today >= k.Plan:
		return ruling{reason: WhyFirstAttempt, amount: most, blind: true}
	}
	return ruling{}
}

// waiting says what a collection waits for, nearest first.
func (d *desk) waiting(k *collection, f funds) ruling {
	expected := d.expected.day
	if d.expected.late {
		expected = 0 // any day now
	}
	switch {
	case f.clearing != 0 && f.total > f.usable && f.seen:
		return ruling{reason: WhyDepositClearing, next: f.clearing}
	case f.clearing != 0 && f.total > f.usable:
		return ruling{reason: WhyAwaitIncome, next: f.clearing}
	case f.usable > 0 && f.usable < d.params.MinDebitCents:
		return ruling{reason: WhyBelowMinimum, next: expected}
	case f.usable > 0:
		return ruling{reason: WhyNotEnough, next: expected}
	case k.Failure != "":
		return ruling{reason: WhyAwaitFunds, next: expected}
	case d.known:
		return ruling{reason: WhyAwaitIncome, next: expected}
	case k.Attempts > 0 || k.Period < d.period:
		return ruling{reason: WhyAwaitFunds, next: expected}
	}
	return ruling{reason: WhyAwaitFirstAttempt, next: k.Plan}
}

// arrears says why the shortfall of an ended period is not collected now; empty means that it may be.
func (d *desk) arrears(k *collection, pol *policy) string {
	if k.Reopened || !d.e.collectsArrears(k.Period, pol, d.today, d.period, &d.params) {
		return WhyPeriodEnded
	}
	if now := d.c.collection(k.Number, d.period); now == nil || now.Cancelled {
		return WhyAwaitExecution
	}
	return ""
}

// collectsArrears tells whether a shortfall of an ended period may still be collected: on a rail that may present
// again, for some periods.
func (e *Engine) collectsArrears(of schemas.Period, pol *policy, today schemas.Day, period schemas.Period, p *rules.Params) bool {
	age := monthOf(schemas.DayOf(period.First())) - monthOf(schemas.DayOf(of.First()))
	return age <= p.ArrearsPeriods && e.rules.Rail(pol.Rail, today.Date()).RePresent
}

// decision is the event of a choice, with what it was made from.
func (d *desk) decision(k *collection, pol *policy, ch ruling, f funds) schemas.DecisionEvent {
	id := schemas.CollectionID(schemas.PolicyID(d.c.Tenant, k.Number), k.Period)
	v := verdictOf(ch.reason)
	k.Decisions++
	ev := schemas.DecisionEvent{
		Meta:     d.m.Meta("decision", id, strconv.Itoa(k.Decisions)),
		TenantID: d.c.Tenant, CustomerID: d.c.ID, PolicyNumber: k.Number, CollectionID: id, PeriodMonth: k.Period,
		Action: v.action, Reason: ch.reason, Explanation: v.sentence, AmountCents: ch.amount, NextDate: ch.next.Text(),
		Alternatives: v.alternatives,
		Inputs: schemas.DecisionInputs{
			DueCents: k.Due, CollectedCents: k.Collected, InFlightCents: k.inFlight(), BudgetCents: f.total,
			Attempts: k.Attempts, Rail: pol.Rail,
			LastDepositDate: d.lastDeposit.Text(), NextExpectedDate: d.expected.day.Text(), LastReason: k.Failure,
		},
	}
	if ch.reason == WhyPolicyOnHold {
		ev.Explanation += " It answered " + pol.Hold + "."
	}
	if n := len(d.c.Balances); n > 0 {
		ev.Inputs.BalanceCents = cloneCents(&d.c.Balances[n-1].Cents)
	}
	return ev
}

// instruct sends a debit to the bank.
func (d *desk) instruct(k *collection, pol *policy, ch ruling) string {
	d.debited = true
	k.Attempts++
	k.Last = d.today
	if k.First == 0 {
		k.First = d.today
	}
	policyID := schemas.PolicyID(d.c.Tenant, k.Number)
	id := schemas.CollectionID(policyID, k.Period)
	b := debit{
		ID:    schemas.DebitID(d.c.Tenant, d.c.ID, id, k.Attempts),
		Cents: ch.amount, Action: d.today, Rail: pol.Rail, Uses: d.wallet.take(ch.amount, ch.blind),
	}
	k.Debits = append(k.Debits, b)
	d.out.Debits = append(d.out.Debits, schemas.DebitInstruction{
		Meta:    d.m.Meta("instruction", b.ID),
		DebitID: b.ID, TenantID: d.c.Tenant, CustomerID: d.c.ID, PolicyNumber: k.Number, CollectionID: id,
		PeriodMonth: k.Period,
		Attempt:     k.Attempts, AmountCents: b.Cents, Currency: "ZAR", ActionDate: b.Action.Text(), Rail: b.Rail,
		MandateReference: pol.Mandate,
	})
	d.c.changed(k, d.m, schemas.Change{Kind: schemas.ChangeInstructed, DebitID: b.ID, AmountCents: b.Cents}, d.out)
	return b.ID
}
