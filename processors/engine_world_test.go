package processors_test

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/arena"
	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/processors/explain"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/processors/strategy"
	"github.com/kasi-collections/kasi/schemas"
)

// world runs one customer's history through the engine and judges every step by an oracle that knows the rules of
// CONTRACT 4 but nothing of the engine's state: only the records that went in and the events that came out.
//
// Every step is made twice: by the engine as it is, which a sleeping customer's ticks do not even reach, as in the
// stage, and by one that lets nobody sleep. Both must give the same outputs. A thorough world also sends the state
// through JSON at each step, makes sure that a refused record and a copy leave the original alone, and replays the
// whole history at the end; that costs most of the time, so of random histories one in eight is thorough.
type world struct {
	*arena.Arena
	t       require.TestingT
	fast    bool         // not thorough
	track   int          // each debit is tracked for so many days, where that is legal
	twin    *arena.Arena // of the engine that lets nobody sleep
	records []processors.Record
	moments []schemas.Moment
	out     book.Outputs // of all steps

	ids         map[string]bool
	debits      map[string]*debitModel
	order       []string // debit ids as instructed
	collections map[string]*collectionModel
	policies    map[string]schemas.PolicyEvent // by number
	decided     map[string]schemas.DecisionEvent
	items       map[string]schemas.OpenItemEvent // by debit
	taken       map[string]bool                  // transaction ids taken in
	content     map[string]schemas.Transaction   // by account and transaction id
	replacedOn  map[string]civil.Date            // likewise: the day of the booking in its place
	pastDays    map[string]bool                  // likewise: replaced when its days were over, perhaps forgotten
	incomes     map[string]bool                  // income ids taken in
	failed      schemas.Cents                    // of debits that came back, as the collections' events say
	instructed  schemas.Cents                    // of all debits
	firstTaken  civil.Date                       // business date of the first of them after the first tick
}

// debitModel is what the oracle knows of a debit: the answers that were accepted.
type debitModel struct {
	schemas.DebitInstruction
	said   map[schemas.ResultStatus]bool
	ids    map[string]bool
	failed bool // an event says that it came back
}

// hear takes an answer in, unless its id has been heard before.
func (d *debitModel) hear(res *schemas.Result) {
	if !d.ids[res.ResultID] {
		d.ids[res.ResultID], d.said[res.Status] = true, true
	}
}

// lastDay is the last day on which the bank may present the debit.
func (d *debitModel) lastDay() string { return max(d.ActionDate, d.TrackingUntil) }

func (d *debitModel) inFlight() bool { return len(d.said) == 0 }

// collected tells whether the debit's money is the insurer's: paid, and nothing that takes it back.
func (d *debitModel) collected() bool { return d.said[schemas.ResultPaid] && len(d.said) == 1 }

type collectionModel struct {
	latest schemas.CollectionEvent
	moved  schemas.Cents
}

// bare hides that a T has Helper, which walks the stack at each check and would take a fifth of the time.
type bare struct{ require.TestingT }

func newWorld(t require.TestingT, r *rules.Rules) *world {
	return newWorldOf(t, r, strategy.Kasi(false))
}

func newWorldOf(t require.TestingT, r *rules.Rules, s strategy.Strategy) *world {
	w := &world{
		t:   bare{t},
		ids: map[string]bool{}, debits: map[string]*debitModel{}, collections: map[string]*collectionModel{},
		policies: map[string]schemas.PolicyEvent{}, decided: map[string]schemas.DecisionEvent{},
		items: map[string]schemas.OpenItemEvent{},
		taken: map[string]bool{}, incomes: map[string]bool{}, content: map[string]schemas.Transaction{},
		replacedOn: map[string]civil.Date{}, pastDays: map[string]bool{},
	}
	follow := tracks{s, w}
	w.twin = arena.New(processors.NewEngine(r, processors.WithStrategy(follow), processors.NeverSleep()), r)
	w.Arena = arena.New(processors.NewEngine(r, processors.WithStrategy(watched{follow, w})), r)
	w.Now = schemas.Moment{At: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	return w
}

// bytes is a customer as text.
func (w *world) bytes(c *book.Customer) string {
	rows := rowsOf(w.t, c)
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		fmt.Fprintf(&text, "%s %q\n", name, rows[name])
	}
	return text.String()
}

// rowsOf are the rows of a customer's state.
func rowsOf(t require.TestingT, c *book.Customer) map[string]string {
	rows := map[string]string{}
	book.Changed(nil, c, func(name string) { writeRow(t, rows, c, name) })
	return rows
}

// writeRow writes a row as it is now, as the changelog would hold it.
func writeRow(t require.TestingT, rows map[string]string, c *book.Customer, name string) {
	value, err := book.AppendRow(nil, c, name)
	require.NoError(t, err)
	if len(value) == 0 {
		delete(rows, name)
	} else {
		rows[name] = string(value)
	}
}

// step makes one step and returns what it emitted, and its Reject.
func (w *world) step(rec processors.Record) (book.Outputs, *schemas.Reject) {
	if tick, ok := rec.(schemas.Tick); ok {
		date, err := civil.ParseDate(tick.Date)
		require.NoError(w.t, err)
		w.Now.Date, w.Now.Cutoff = date, tick.Cutoff
	}
	return w.stepAt(rec)
}

// stepAt is step at the moment that w.Now says, which of a tick is all that counts.
func (w *world) stepAt(rec processors.Record) (book.Outputs, *schemas.Reject) {
	w.Now.At = w.Now.At.Add(time.Second)
	_, isTick := rec.(schemas.Tick)
	if !w.fast {
		w.records, w.moments = append(w.records, rec), append(w.moments, w.Now)
	}
	w.twin.Now = w.Now
	w.twin.Out = book.Outputs{}
	twinErr := w.twin.Step(rec)
	var out book.Outputs
	twinOut := w.twin.Out
	if isTick && w.Customer.Asleep(w.Now) {
		require.NoError(w.t, twinErr)
		w.silent(&twinOut, "a tick that a customer sleeps through brings nothing")
		return out, nil
	}
	next, err := w.engineStep(rec, &out)
	require.Equal(w.t, twinErr, err)
	if !w.fast || !out.Empty() || !twinOut.Empty() {
		require.Equal(w.t, twinOut, out, "sleeping and JSON change no output")
	}
	if tx, ok := rec.(*schemas.Transaction); ok {
		w.judgeTransaction(tx, err, &out)
	}
	res, isResult := rec.(*schemas.Result)
	var reject *schemas.Reject
	if err != nil {
		require.True(w.t, errors.As(err, &reject), "%v", err)
		w.silent(&out, "a refused record emits nothing")
		if isResult {
			require.False(w.t, w.acceptable(res), "%v", err)
		}
		return out, reject
	}
	w.Customer = next
	reject, out.Refused = out.Refused, nil
	if in, ok := rec.(*schemas.Income); ok {
		w.incomes[in.IncomeID] = true
	}
	if isResult && (reject == nil || reject.Class == schemas.RejectContradictsFinal) {
		require.True(w.t, w.acceptable(res) || w.debits[res.DebitID].ids[res.ResultID])
		w.debits[res.DebitID].hear(res)
	}
	if isResult || !out.Empty() {
		w.judge(&out)
	}
	return out, reject
}

// acceptable is whether an answer must be taken in, whatever came before and however late (CONTRACT 4.3, 4.9). An id
// that was taken in before is another matter.
func (w *world) acceptable(res *schemas.Result) bool {
	d := w.debits[res.DebitID]
	if d == nil || d.ids[res.ResultID] {
		return false
	}
	on, err := civil.ParseDate(res.EffectiveDate)
	require.NoError(w.t, err)
	window := w.Rules.DisputeDays(d.Rail, on)
	return (res.AmountCents == nil || *res.AmountCents == d.AmountCents) &&
		res.EffectiveDate >= d.ActionDate && res.EffectiveDate <= w.Now.Date.String() &&
		(res.Status != schemas.ResultDisputed || w.daysSince(d.lastDay(), res.EffectiveDate) <= window)
}

func (w *world) daysSince(from, to string) int {
	a, err := civil.ParseDate(from)
	require.NoError(w.t, err)
	b, err := civil.ParseDate(to)
	require.NoError(w.t, err)
	return b.DaysSince(a)
}

// engineStep makes the step on a copy of the customer. Where it is refused, the copy is thrown away, as in the stage.
func (w *world) engineStep(rec processors.Record, out *book.Outputs) (*book.Customer, error) {
	committed := w.Customer
	defer func() { w.Customer = committed }()
	w.Out = book.Outputs{}
	if w.fast {
		err := w.Step(rec)
		*out = w.Out
		return committed, err
	}
	before := w.bytes(committed)
	w.Customer = committed.Clone()
	err := w.Step(rec)
	*out = w.Out
	require.Equal(w.t, before, w.bytes(committed), "a copy is independent")
	after := w.bytes(w.Customer)
	if err != nil {
		require.Equal(w.t, before, after, "a refused record changes nothing")
		return committed, err
	}
	rows := rowsOf(w.t, committed)
	book.Changed(committed, w.Customer, func(name string) { writeRow(w.t, rows, w.Customer, name) })
	require.Equal(w.t, rowsOf(w.t, w.Customer), rows, "the rows that changed are all that the changelog lacks")
	next := &book.Customer{}
	for name, value := range rows { // in any order
		require.NoError(w.t, book.LoadRow(next, name, []byte(value)))
	}
	require.Equal(w.t, after, w.bytes(next), "rows there and back change nothing")
	return next, nil
}

func (w *world) silent(out *book.Outputs, why string) {
	if !out.Empty() {
		require.Equal(w.t, book.Outputs{}, *out, why)
	}
}

// isPast tells whether the id of a booking of a day may have been forgotten by now.
func (w *world) isPast(booked civil.Date, seenDays int) bool {
	return w.Now.Date.DaysSince(booked) > seenDays && w.Now.Date.DaysSince(w.firstTaken) > seenDays
}

// judgeTransaction is exactly once: an id is taken in once, and refused is only what could not be told from what was
// forgotten.
func (w *world) judgeTransaction(tx *schemas.Transaction, err error, out *book.Outputs) {
	p := w.Rules.Params(w.Now.BusinessDate())
	days := p.SeenDays
	if !w.firstTaken.IsValid() || w.Now.Date.DaysSince(w.firstTaken) <= p.SeenDays {
		days = p.BackfillDays
	}
	booked := civil.DateOf(tx.BookedAt.In(schemas.Johannesburg))
	if w.Now.Date.IsValid() && w.Now.Date.DaysSince(booked) > days {
		require.ErrorContains(w.t, err, "booked_at lies more than")
		return
	}
	if w.Now.Date.IsValid() && booked.DaysSince(w.Now.Date) > p.AheadDays {
		require.ErrorContains(w.t, err, schemas.RejectTooFarAhead)
		return
	}
	place := tx.AccountID + "/" + tx.TransactionID
	came := err == nil && len(out.Transactions) > 0
	if was, known := w.content[place]; came && (known || w.replacedOn[place].IsValid()) {
		kept := civil.DateOf(was.BookedAt.In(schemas.Johannesburg))
		if by := w.replacedOn[place]; by.IsValid() {
			kept = by
		}
		if w.isPast(kept, p.SeenDays) || w.pastDays[place] {
			delete(w.content, place) // forgotten: nobody can tell that it comes again
			delete(w.replacedOn, place)
			delete(w.pastDays, place)
		}
	}
	was, known := w.content[place]
	other := known && !reflect.DeepEqual(was, *tx) || !known && tx.ReplacesTransactionID == tx.TransactionID
	if other && tx.State != schemas.Pending {
		require.Error(w.t, err, "one id, two contents")
		return
	}
	require.NoError(w.t, err)
	if tx.State == schemas.Pending {
		require.Equal(w.t, book.Outputs{}, *out, "a pending booking brings nothing")
		return
	}
	if known {
		require.Equal(w.t, book.Outputs{}, *out, "a transaction counts once")
		return
	}
	require.Len(w.t, out.Transactions, 1)
	w.taken[tx.TransactionID], w.content[place] = true, *tx
	if tx.ReplacesTransactionID != "" {
		replaced := tx.AccountID + "/" + tx.ReplacesTransactionID
		if was, known := w.content[replaced]; known {
			w.pastDays[replaced] = w.isPast(civil.DateOf(was.BookedAt.In(schemas.Johannesburg)), p.SeenDays)
		}
		w.replacedOn[replaced] = booked
	}
	if w.Now.Date.IsValid() && !w.firstTaken.IsValid() {
		w.firstTaken = w.Now.Date
	}
}

// judge checks what came out against the oracle.
func (w *world) judge(out *book.Outputs) {
	for _, ev := range out.Policies {
		require.Equal(w.t, w.policies[ev.PolicyNumber].Version+1, ev.Version, "policy versions are dense")
		w.policies[ev.PolicyNumber] = ev
		w.fact(ev.Meta)
	}
	for _, ev := range out.Decisions {
		w.judgeDecision(ev)
	}
	for _, ev := range out.Debits {
		w.judgeDebit(ev)
		w.fact(ev.Meta)
	}
	for _, ev := range out.Collections {
		w.judgeCollection(ev)
	}
	var balance schemas.Cents // of the clearing account: instructed - succeeded - failed or disputed - pending
	for id, k := range w.collections {
		balance -= k.latest.CollectedCents + k.latest.InFlightCents
		var paid, flying schemas.Cents
		for _, d := range w.debits {
			switch {
			case d.CollectionID == id && d.inFlight():
				flying += d.AmountCents
			case d.CollectionID == id && d.collected():
				paid += d.AmountCents
			}
		}
		require.Equal(w.t, paid, k.latest.CollectedCents, "what the bank paid and did not take back is collected")
		require.Equal(w.t, flying, k.latest.InFlightCents, "what has no answer is in flight")
		require.Equal(w.t, k.moved, k.latest.CollectedCents, "movements add up to what is collected")
		require.LessOrEqual(w.t, paid+flying, k.latest.DueCents, "never more than is due")
	}
	require.Zero(w.t, balance+w.instructed-w.failed, "the clearing account stands at zero")
	for _, ev := range out.Transactions {
		w.fact(ev.Meta)
	}
	for _, ev := range out.Deposits {
		w.fact(ev.Meta)
	}
	for _, ev := range out.OpenItems {
		w.fact(ev.Meta)
		w.items[ev.DebitID] = ev
		if d := w.debits[ev.DebitID]; ev.Kind == schemas.OpenNoAnswer {
			require.GreaterOrEqual(w.t, w.daysSince(d.lastDay(), w.Now.Date.String()), w.Rules.Params(w.Now.Date).AnswerDays,
				"no answer is missing while the bank tracks")
		}
	}
	for id, item := range w.items {
		open := item.State == schemas.ItemOpen
		require.False(w.t, open && item.Kind != schemas.OpenPaid && !w.debits[id].inFlight(), "an answer closes the item")
	}
	for _, ev := range out.Outcomes {
		w.fact(ev.Meta)
	}
	if !w.fast {
		add(&w.out, out)
	}
}

func add(o, n *book.Outputs) {
	o.Transactions = append(o.Transactions, n.Transactions...)
	o.Deposits = append(o.Deposits, n.Deposits...)
	o.Decisions = append(o.Decisions, n.Decisions...)
	o.Debits = append(o.Debits, n.Debits...)
	o.Policies = append(o.Policies, n.Policies...)
	o.Collections = append(o.Collections, n.Collections...)
	o.OpenItems = append(o.OpenItems, n.OpenItems...)
	o.Outcomes = append(o.Outcomes, n.Outcomes...)
	o.Execution.Add(n.Execution)
}

// fact checks that an event has a name of its own.
func (w *world) fact(m schemas.Meta) {
	require.False(w.t, w.ids[m.EventID], "event ids are unique")
	w.ids[m.EventID] = true
	require.Equal(w.t, w.Now.BusinessDate().String(), m.BusinessDate)
}

func (w *world) judgeDecision(ev schemas.DecisionEvent) {
	w.fact(ev.Meta)
	require.Positive(w.t, w.Now.Cutoff, "decisions are made at cut-offs")
	last := w.decided[ev.CollectionID]
	same := last.Action == ev.Action && last.Reason == ev.Reason && last.NextDate == ev.NextDate &&
		last.AmountCents == ev.AmountCents
	require.False(w.t, same && ev.Action != schemas.DecideDebit, "a decision that says nothing new is not emitted")
	require.NotEqual(w.t, ev.Reason, ev.Explanation, "%s is not in the table", ev.Reason)
	require.Equal(w.t, ev.Action == schemas.DecideDebit, ev.DebitID != "")
	require.True(w.t, ev.DebitID != "" || ev.TrackingUntil == "")
	require.NoError(w.t, explain.Check(&ev), "its situation priced again gives the same decision")
	w.decided[ev.CollectionID] = ev
}

// judgeDebit is CONTRACT 4.1-4.8 as far as one debit shows it.
func (w *world) judgeDebit(ev schemas.DebitInstruction) {
	rules := w.Rules
	pol, k := w.policies[ev.PolicyNumber], w.collections[ev.CollectionID]
	require.NotNil(w.t, k, "a debit has a collection")
	for _, d := range w.debits {
		require.False(w.t, d.CollectionID == ev.CollectionID && d.inFlight(), "never two debits in flight")
	}
	due := k.latest.DueCents - k.latest.CollectedCents
	require.Equal(
		w.t,
		pol.Bank+pol.AccountToken,
		ev.Bank+ev.AccountToken,
		"a debit names bank and account as its policy does",
	)
	require.NotEqual(w.t, schemas.CollectionVoided, k.latest.Status, "what was taken back is not debited")
	rail := rules.Rail(pol.Rail, w.Now.Date)
	route, err := schemas.DebitRoute(ev.DebitID)
	require.NoError(w.t, err)
	require.Equal(w.t, schemas.RoutingHash(schemas.CustomerKey(ev.TenantID, ev.CustomerID)), route)
	require.Equal(w.t, k.latest.Attempts+1, ev.Attempt)
	require.NotContains(w.t, w.debits, ev.DebitID, "a debit is instructed once")
	require.Equal(w.t, schemas.PolicyActive, pol.Status, "only an active policy is debited")
	require.Empty(w.t, pol.HoldReason, "a policy on hold is not debited")
	require.True(w.t, rules.Calendar.IsBankingDay(w.Now.Date), "debits on banking days")
	require.Equal(w.t, w.Now.Date.String(), ev.ActionDate)
	require.Positive(w.t, ev.AmountCents)
	require.LessOrEqual(w.t, ev.AmountCents, due)
	if pol.MandateMaxCents > 0 {
		require.LessOrEqual(w.t, ev.AmountCents, pol.MandateMaxCents, "never above the mandate's maximum")
	}
	if pol.MandateFixed {
		require.Equal(w.t, k.latest.DueCents, ev.AmountCents, "a fixed mandate is debited in full")
	}
	if !rail.PartialAllowed {
		require.Equal(w.t, due, ev.AmountCents, "no part on this rail")
	}
	if rail.AttemptsPerCycle > 0 {
		require.LessOrEqual(w.t, ev.Attempt, rail.AttemptsPerCycle, "no more attempts than the rail allows")
	}
	if now := schemas.PeriodOf(w.Now.Date); now != ev.PeriodMonth {
		require.Greater(w.t, now, ev.PeriodMonth)
		require.True(w.t, rail.RePresent, "arrears on rails that present again")
		require.Contains(w.t, w.collections, schemas.CollectionID(k.latest.PolicyID, now),
			"arrears only beside the current period")
	}
	w.judgeTracking(ev, rail)
	for i, id := range ev.TransactionIDs {
		require.True(w.t, w.taken[id] || w.incomes[id], "a debit counts on money that was told of")
		for _, account := range []string{"/", "A/", "B/"} {
			require.False(w.t, w.replacedOn[account+id].IsValid(), "a debit counts on no booking that another one replaces")
		}
		require.NotContains(w.t, ev.TransactionIDs[:i], id)
	}
	w.debits[ev.DebitID] = &debitModel{ev, map[schemas.ResultStatus]bool{}, map[string]bool{}, false}
	w.order = append(w.order, ev.DebitID)
	w.instructed += ev.AmountCents
}

// judgeTracking is CONTRACT 4.8 on credit tracking.
func (w *world) judgeTracking(ev schemas.DebitInstruction, rail rules.RailRule) {
	require.Equal(w.t, ev.TrackingUntil, w.decided[ev.CollectionID].TrackingUntil, "the decision says the same")
	if ev.TrackingUntil == "" {
		return
	}
	days := w.daysSince(ev.ActionDate, ev.TrackingUntil)
	require.Positive(w.t, days)
	require.LessOrEqual(w.t, days, rail.TrackingDays, "tracked for no longer than the rail allows")
	require.Equal(w.t, ev.ActionDate[:7], ev.TrackingUntil[:7], "tracked within the month")
	until, err := civil.ParseDate(ev.TrackingUntil)
	require.NoError(w.t, err)
	require.True(w.t, w.Rules.Calendar.IsBankingDay(until), "tracked until a banking day")
}

func (w *world) judgeCollection(ev schemas.CollectionEvent) {
	w.fact(ev.Meta)
	k := w.collections[ev.CollectionID]
	if k == nil {
		k = &collectionModel{}
		w.collections[ev.CollectionID] = k
	}
	require.Equal(w.t, k.latest.Version+1, ev.Version, "collection versions are dense")
	follows := ev.Change.Kind == schemas.ChangePolicy && ev.PeriodMonth > schemas.PeriodOf(w.Now.BusinessDate())
	again := ev.Change.Kind == schemas.ChangeReactivated && k.latest.Status == schemas.CollectionVoided
	if ev.Version > 1 && !follows && !again {
		require.Equal(w.t, k.latest.DueCents, ev.DueCents, "a running collection keeps its amount")
	}
	if follows || again {
		require.Equal(
			w.t,
			w.policies[ev.PolicyNumber].PremiumCents,
			ev.DueCents,
			"one that has not begun follows its policy",
		)
	}
	if ev.Status == schemas.CollectionVoided {
		require.Zero(w.t, ev.Attempts, "what was tried is not taken back")
	}
	k.moved += ev.Change.MovedCents
	k.latest = ev
	switch ev.Change.Kind {
	case schemas.ChangeUnpaid, schemas.ChangeRejected, schemas.ChangeLateUnpaid, schemas.ChangeDisputed:
		if d := w.debits[ev.Change.DebitID]; !d.failed { // a worse answer is another event of the same failure
			d.failed = true
			w.failed += ev.Change.AmountCents
		}
	}
	require.Equal(w.t, k.moved, ev.CollectedCents)
	require.GreaterOrEqual(w.t, ev.CollectedCents, schemas.Cents(0))
	require.LessOrEqual(w.t, ev.CollectedCents+ev.InFlightCents, ev.DueCents)
	require.Equal(w.t, ev.Status == schemas.PaidFull && ev.LastFailureReason != "", false,
		"no failure reason once paid in full")
}

// advance passes time as the calendar does: every cut-off up to that of the given day.
func (w *world) advance(to civil.Date) book.Outputs {
	var all book.Outputs
	tick := func(date civil.Date, cutoff int) {
		w.Now.Date, w.Now.Cutoff = date, cutoff
		out, _ := w.stepAt(schemas.Tick{})
		add(&all, &out)
	}
	if !w.Now.Date.IsValid() {
		tick(to, 0)
		tick(to, 1)
		return all
	}
	if w.Now.Date == to || w.Now.Cutoff == 0 {
		tick(w.Now.Date, w.Now.Cutoff+1)
	}
	for w.Now.Date.Before(to) {
		next := w.Now.Date.AddDays(1)
		tick(next, 0)
		tick(next, 1)
	}
	return all
}
