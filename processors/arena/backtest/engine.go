package backtest

import (
	"strconv"
	"time"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/arena"
	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/schemas"
)

const (
	tenant       = "backtest"
	policyNumber = "POL"

	daySeconds int64 = 24 * 60 * 60
	// executeAt is when the insurer imports and executes on the 1st: after the day has opened and before its cut-off.
	executeAt int64 = 6 * 60 * 60
	// eveningAt is when the bank presents a day's debits: after the day's bookings.
	eveningAt int64 = 23 * 60 * 60
)

// unix is an instant of a day in Johannesburg, in Unix seconds.
func unix(d schemas.Day, seconds int64) int64 { return int64(d)*daySeconds - 2*60*60 + seconds }

// outside is a customer's world as the engine meets it: what the insurer, the feed and the bank send, in the order of
// time.
type outside struct {
	*bank
	account  *Account
	premium  schemas.Cents
	balances Balances

	day      schemas.Day // the latest that is open
	commands int         // of the insurer, sent
	feed     []booking   // still to be sent
	lists    []schemas.Income
	results  []schemas.Result
	reject   *schemas.Reject   // the first refusal: a mistake of the backtest
	expected map[string]string // by stream, when the engine expects its next deposit
	guesses  []guess

	// The memory of these is used again.
	queue   []booking // feed is the end of it
	tx      schemas.Transaction
	balance schemas.Cents
	command schemas.PolicyCommand
	execute schemas.ExecuteCommand
	result  schemas.Result
	income  schemas.Income
}

// engineTries lets an engine live with an account and leaves its debits with the bank.
func engineTries(ar *arena.Arena, a *Account, b *bank, premium schemas.Cents, balances Balances) ([]guess, error) {
	o := &outside{
		bank: b, account: a, premium: premium, balances: balances, day: a.first - 1, queue: make([]booking, 0, 64),
		expected: map[string]string{},
	}
	last := a.months[len(a.months)-1].last
	ar.Reset()
	if err := ar.Run(a.first.Date(), last.Date(), o); err != nil {
		return nil, err
	}
	o.evening(last, nil)
	if o.reject != nil {
		return nil, o.reject
	}
	return o.guesses, nil
}

// Next implements arena.Outside. The days of the world open and end as time passes.
func (o *outside) Next(until time.Time) (processors.Record, time.Time) {
	for {
		if len(o.results) > 0 { // of the evening that has passed
			o.result, o.results = o.results[0], o.results[1:]
			return &o.result, time.Unix(unix(o.day-1, eveningAt), 0)
		}
		evening := unix(o.day, eveningAt)
		if rec, at := o.earliest(min(evening, until.Unix())); rec != nil {
			return rec, time.Unix(at, 0)
		}
		if evening > until.Unix() {
			return nil, time.Time{}
		}
		o.evening(o.day, o.tell)
		o.day++
		o.openDay()
	}
}

// earliest is the next record of the insurer or the feed, if it comes until then.
func (o *outside) earliest(until int64) (processors.Record, int64) {
	const never = int64(1) << 62
	command, booked, listed := never, never, never
	if len(o.lists) > 0 {
		listed = unix(o.day, executeAt+daySeconds/24)
	}
	if months := o.account.months; o.commands <= len(months) {
		command = unix(months[max(0, o.commands-1)].first, executeAt)
	}
	if len(o.feed) > 0 {
		booked = o.feed[0].at
		if o.balances == Late {
			booked += daySeconds
		}
	}
	switch {
	case min(command, booked, listed) > until:
		return nil, 0
	case command <= min(booked, listed):
		o.commands++
		return o.insurer(o.commands - 1), command
	case listed <= booked:
		o.income, o.lists = o.lists[0], o.lists[1:]
		return &o.income, listed
	}
	o.tx, o.balance = *o.feed[0].tx, o.feed[0].balance
	if o.tx.BalanceAfterCents = nil; o.balances != None {
		o.tx.BalanceAfterCents = &o.balance
	}
	o.feed = o.feed[1:]
	return &o.tx, booked
}

// insurer is the insurer's nth command: first the import of the policy, then the execution of each month.
func (o *outside) insurer(n int) processors.Record {
	if n == 0 {
		o.command = schemas.PolicyCommand{
			Action: schemas.PolicyImport, TenantID: tenant, CustomerID: o.account.Customer, PolicyNumber: policyNumber,
			Terms: &schemas.PolicyTerms{PremiumCents: o.premium, Rail: schemas.RailDebiCheck},
		}
		return &o.command
	}
	o.execute = schemas.ExecuteCommand{
		TenantID: tenant, CustomerID: o.account.Customer, PolicyNumber: policyNumber,
		PeriodMonth: o.account.months[n-1].period,
	}
	return &o.execute
}

// openDay books the transactions of the day.
func (o *outside) openDay() {
	if len(o.feed) == 0 {
		o.queue = o.queue[:0]
	}
	if l, ok := o.ledger.(*householdLedger); ok {
		o.lists = l.announced(o.day)
	}
	n := len(o.queue) - len(o.feed)
	o.queue = o.open(o.day, o.queue)
	o.feed = o.queue[n:]
}

// tell puts the bank's answer on its way.
func (o *outside) tell(t *try) {
	r := schemas.Result{ResultID: "r" + t.id, DebitID: t.id, Status: schemas.ResultPaid, EffectiveDate: t.on.Text()}
	if t.state == tryFailed {
		r.Status, r.ReasonScheme, r.ReasonCode = schemas.ResultUnpaid, "ZA", "02"
	}
	o.results = append(o.results, r)
}

// Answer implements arena.Outside: the bank takes a debit, and answers in an evening to come.
func (o *outside) Answer(d *schemas.DebitInstruction, to []arena.Answer) []arena.Answer {
	t := try{month: o.account.monthOf(d.PeriodMonth), cents: d.AmountCents, first: dayOf(d.ActionDate), id: d.DebitID}
	if t.last = t.first; d.TrackingUntil != "" {
		t.last = dayOf(d.TrackingUntil)
	}
	o.submit(t)
	return to
}

// dayOf is the day of a date that the engine wrote.
func dayOf(date string) schemas.Day {
	t, err := schemas.ParseDate(date)
	if err != nil {
		panic("backtest: the engine wrote the date " + strconv.Quote(date))
	}
	return schemas.Day(t.Unix() / daySeconds)
}

// Saw implements arena.Outside. It compares deposits with what was expected of their streams.
func (o *outside) Saw(out *book.Outputs, reject *schemas.Reject) {
	if o.reject == nil {
		o.reject = reject
	}
	for i := range out.Deposits {
		d := &out.Deposits[i]
		if next, known := o.expected[d.StreamID]; known {
			g := guess{on: dayOf(d.DepositDate), told: next != ""}
			if g.told {
				off := g.on - dayOf(next)
				g.hit = -1 <= off && off <= 1
			}
			o.guesses = append(o.guesses, g)
		}
		o.expected[d.StreamID] = d.NextExpectedDate
	}
}

// monthOf is the place of a period among the account's months.
func (a *Account) monthOf(p schemas.Period) int {
	for i := range a.months {
		if a.months[i].period == p {
			return i
		}
	}
	return -1
}
