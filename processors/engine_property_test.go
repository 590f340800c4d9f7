package processors_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// TestAnyHistory runs random lives of a customer: policies on every rail, money that comes and is told of late, twice
// or in advance, answers of the bank that come twice, late, in any order and against each other. world judges every
// step; see its comments for what must always hold.
func TestAnyHistory(t *testing.T) {
	t.Parallel()
	rules := rules.Default()
	rapid.Check(t, func(t *rapid.T) {
		h := &history{world: newWorld(t, rules), t: t}
		h.fast = h.pick("thorough", 8) > 0
		h.track = rapid.SampledFrom([]int{0, 0, 3, 99}).Draw(t, "tracked days")
		start := civil.Date{Year: 2025, Month: 10, Day: 20}.AddDays(rapid.IntRange(0, 200).Draw(t, "start"))
		if rapid.Bool().Draw(t, "told before the first tick") {
			h.transaction(start)
			h.policy()
		}
		h.step(schemas.Tick{Date: start.String()})
		for n := rapid.IntRange(5, 80).Draw(t, "steps"); n > 0; n-- {
			h.next()
		}
		h.replay()
	})
}

// history draws the records of a customer's life.
type history struct {
	*world
	t     *rapid.T
	n     int
	given []processors.Record // records that may come again
}

func (h *history) id(prefix string) string {
	h.n++
	return fmt.Sprintf("%s%d", prefix, h.n)
}

func (h *history) pick(name string, n int) int { return rapid.IntRange(0, n-1).Draw(h.t, name) }

// next draws one event. Time and answers come most often, since they drive what is under test.
func (h *history) next() {
	switch what := h.pick("event", 20); {
	case what < 6:
		h.advance(h.Now.Date.AddDays(rapid.SampledFrom([]int{0, 1, 1, 1, 2, 5, 9, 31, 121}).Draw(h.t, "days")))
	case what < 9:
		h.transaction(h.Now.Date)
	case what < 14:
		h.answer()
	case what == 14:
		h.policy()
	case what == 15:
		h.patch()
	case what == 16:
		h.execute()
		if h.pick("void", 4) == 0 {
			h.give(&schemas.ExecutionCommand{TenantID: "T", ExecutionID: h.id("void"), Voids: "e"})
		}
	case what == 17:
		if h.pick("regular", 2) == 0 {
			h.regular()
		} else {
			h.income()
		}
	case len(h.given) > 0: // anything at all may come again
		h.step(h.given[h.pick("again", len(h.given))])
	}
}

func (h *history) give(rec processors.Record) {
	h.given = append(h.given, rec)
	h.step(rec)
}

func (h *history) number() string {
	return rapid.SampledFrom([]string{"POL1", "POL2", "POL3"}).Draw(h.t, "policy")
}

func (h *history) policy() {
	t := h.t
	terms := schemas.PolicyTerms{
		PremiumCents: schemas.Cents(rapid.SampledFrom([]int{1, 500, 15000, 30000, 99999}).Draw(t, "premium")),
		Status: rapid.SampledFrom([]schemas.PolicyStatus{
			"", "", "", schemas.PolicyActive, schemas.PolicyLapsed,
			schemas.PolicyCancelled,
		}).Draw(t, "status"),
		Rail: rapid.SampledFrom([]schemas.Rail{"", schemas.RailEFT, schemas.RailDebiCheck, schemas.RailRM}).Draw(t,
			"rail"),
		MandateFixed: h.pick("fixed", 4) == 0, CollectionDay: rapid.SampledFrom([]int{0, 0, 1, 25, 31}).Draw(t, "day"),
		MandateMaxCents:  schemas.Cents(rapid.SampledFrom([]int{0, 0, 0, 10000}).Draw(t, "max")),
		MandateReference: rapid.SampledFrom([]string{"", "M1", "M2"}).Draw(t, "mandate"),
	}
	cmd := &schemas.PolicyCommand{
		RequestID: h.id("policy"), TenantID: "T", CustomerID: "C", PolicyNumber: h.number(), Terms: &terms,
		Action: rapid.SampledFrom([]schemas.PolicyAction{schemas.PolicyImport, schemas.PolicyCreate}).Draw(t, "action"),
	}
	if cmd.Action == schemas.PolicyImport && h.pick("five columns", 2) == 0 {
		cmd.Given = []string{schemas.GivenReference, schemas.GivenProduct, schemas.GivenPremium}
	}
	h.give(cmd)
	if h.Now.Date.IsValid() && h.pick("execute at once", 3) > 0 {
		h.execute()
	}
}

func (h *history) patch() {
	cmd := &schemas.PolicyCommand{
		RequestID: h.id("patch"), Action: schemas.PolicyPatch, TenantID: "T", CustomerID: "C",
		PolicyNumber: h.number(),
	}
	switch what := h.pick("what", 6); what {
	case 0:
		all := []string{
			schemas.GivenRail, schemas.GivenMandate, schemas.GivenMaximum, schemas.GivenFixed, schemas.GivenDay,
			schemas.GivenBank, schemas.GivenToken,
		}
		cmd.Given = all[h.pick("first given", 4):]
		cmd.IfVersion = int64(h.pick("version", 4))
		cmd.Terms = &schemas.PolicyTerms{
			Rail: rapid.SampledFrom([]schemas.Rail{"", schemas.RailEFT, schemas.RailRM}).Draw(h.t, "rail"),
			CollectionDay: h.pick(
				"day",
				32,
			), MandateMaxCents: schemas.Cents(h.pick("max", 3) * 10000), Bank: "B", AccountToken: "T",
		}
	case 1, 2:
		premium := schemas.Cents(rapid.IntRange(1, 50000).Draw(h.t, "premium"))
		cmd.SetPremium = &premium
	default:
		status := rapid.SampledFrom([]schemas.PolicyStatus{
			schemas.PolicyActive, schemas.PolicyActive, schemas.PolicyLapsed,
			schemas.PolicyCancelled,
		}).Draw(h.t, "to")
		cmd.SetStatus = &status
	}
	h.give(cmd)
}

func (h *history) execute() {
	month := h.Now.Date
	switch h.pick("period", 8) {
	case 0:
		month = schemas.PeriodOf(month).Next().First()
	case 1:
		month = schemas.PeriodOf(month).First().AddDays(-1)
	}
	for i := range 3 {
		h.give(&schemas.ExecuteCommand{
			RequestID: h.id("execute"), ExecutionID: "e", Row: i, TenantID: "T", CustomerID: "C",
			PolicyNumber: fmt.Sprintf("POL%d", i+1), PeriodMonth: schemas.PeriodOf(month),
		})
	}
}

func (h *history) transaction(near civil.Date) {
	t := h.t
	at := near.AddDays(rapid.SampledFrom([]int{-731, -730, -400, -121, -120, -40, -3, -1, 0, 0, 0, 0, 1, 4, 30}).Draw(t,
		"booked")).In(schemas.Johannesburg)
	tx := &schemas.Transaction{
		TransactionID: h.id("t"), TenantID: "T", CustomerID: "C",
		BookedAt:    at.Add(time.Duration(h.pick("hour", 24)) * time.Hour),
		AmountCents: schemas.Cents(rapid.SampledFrom([]int{50, 999, 1000, 8000, 15000, 40000, 850000}).Draw(t, "amount")),
		Direction: rapid.SampledFrom([]schemas.Direction{
			schemas.Credit, schemas.Credit, schemas.Credit,
			schemas.Debit,
		}).Draw(t, "direction"),
		AccountID: rapid.SampledFrom([]string{"", "A", "B"}).Draw(t, "account"),
		Description: rapid.SampledFrom([]string{"SALARY", "piece job", "SASSA", "gift from friend", "REFUND"}).Draw(t,
			"description"),
	}
	if n := len(h.given); n > 0 && h.pick("odd", 6) == 0 {
		h.odd(tx, h.given[h.pick("of", n)])
	}
	if h.pick("with balance", 3) == 0 {
		balance := schemas.Cents(rapid.SampledFrom([]int{-5000, 0, 5000, 20000, 900000}).Draw(t, "balance"))
		tx.BalanceAfterCents = &balance
	}
	h.give(tx)
}

// odd makes the transaction one that is pending, or that has to do with an earlier one: it reverses that, stands in its
// place, or has its id.
func (h *history) odd(tx *schemas.Transaction, of processors.Record) {
	if h.pick("what", 4) == 0 {
		tx.State = schemas.Pending
	}
	was, ok := of.(*schemas.Transaction)
	if !ok {
		return
	}
	tx.AccountID = was.AccountID
	switch h.pick("does", 3) {
	case 0:
		tx.Direction, tx.AmountCents, tx.Description = schemas.Debit, was.AmountCents, was.Description+" REVERSED"
		tx.BookedAt = was.BookedAt.Add(time.Duration(h.pick("hours after", 300)-10) * time.Hour)
	case 1:
		tx.ReplacesTransactionID = was.TransactionID
	case 2:
		tx.TransactionID = was.TransactionID
	}
}

// regular tells of some payments a fixed time apart: what the detector may find a pattern in.
func (h *history) regular() {
	tx := schemas.Transaction{
		TenantID: "T", CustomerID: "C", Direction: schemas.Credit, AmountCents: 20000,
		Description: rapid.SampledFrom([]string{"SALARY", "WAGES", "SASSA", "gift"}).Draw(h.t, "of"),
	}
	gap, last := rapid.SampledFrom([]int{7, 14, 15, 30}).Draw(h.t, "gap"), h.pick("last", 6)
	for i := range 4 {
		tx.TransactionID = h.id("t")
		tx.BookedAt = h.Now.Date.AddDays(-last - gap*(3-i)).In(schemas.Johannesburg)
		one := tx
		h.give(&one)
	}
}

func (h *history) income() {
	t := h.t
	in := &schemas.Income{
		IncomeID: rapid.SampledFrom([]string{"i1", "i2", h.id("i")}).Draw(t, "income"), TenantID: "T", CustomerID: "C",
		Kind:    rapid.SampledFrom([]schemas.IncomeKind{schemas.Salary, schemas.Grant, schemas.OtherIncome}).Draw(t, "kind"),
		PayDate: h.Now.Date.AddDays(rapid.SampledFrom([]int{-200, -2, 0, 1, 5, 20}).Draw(t, "pays")).String(),
		State: rapid.SampledFrom([]schemas.IncomeState{
			schemas.Announced, schemas.IncomePaid, schemas.IncomePaid,
			schemas.IncomeCancelled,
		}).Draw(t, "state"),
	}
	if h.pick("with amount", 3) > 0 {
		cents := schemas.Cents(rapid.SampledFrom([]int{8000, 15000, 850000}).Draw(t, "amount"))
		in.AmountCents = &cents
	}
	h.give(in)
}

// answer is what the bank says of one of the latest debits, or of any: mostly the first answer, sometimes one that does
// not fit.
func (h *history) answer() {
	if len(h.order) == 0 {
		return
	}
	t, among := h.t, min(4, len(h.order))
	if h.pick("of any age", 4) == 0 {
		among = len(h.order)
	}
	d := h.debits[h.order[len(h.order)-1-h.pick("debit", among)]]
	action, err := civil.ParseDate(d.ActionDate)
	require.NoError(t, err)
	res := &schemas.Result{
		ResultID: rapid.SampledFrom([]string{h.id("r"), h.id("r"), "same"}).Draw(t, "result"), DebitID: d.DebitID,
		Status: rapid.SampledFrom([]schemas.ResultStatus{
			schemas.ResultPaid, schemas.ResultPaid, schemas.ResultUnpaid, schemas.ResultUnpaid, schemas.ResultRejected,
			schemas.ResultDisputed,
		}).Draw(t, "status"),
		EffectiveDate: action.AddDays(rapid.SampledFrom([]int{0, 0, 0, 1, 2, 5, -1, 40, 70}).Draw(t, "effective")).String(),
	}
	if h.pick("dated today", 3) == 0 {
		res.EffectiveDate = h.Now.Date.String()
	}
	if res.Status != schemas.ResultPaid {
		res.ReasonCode = rapid.SampledFrom([]string{"02", "02", "02", "12", "30", "77", ""}).Draw(t, "code")
	}
	if h.pick("amount", 4) == 0 {
		cents := d.AmountCents - schemas.Cents(h.pick("too little", 2))
		res.AmountCents = &cents
	}
	h.give(res)
}

// TestHistoryCountsOnce tells of history long past, in any order, again and again, around the days on which backfill
// and ids end; world.judgeTransaction says what must be taken in and what not.
func TestHistoryCountsOnce(t *testing.T) {
	t.Parallel()
	rules := rules.Default()
	p := rules.Params(civil.Date{Year: 2025, Month: 10, Day: 20})
	rapid.Check(t, func(t *rapid.T) {
		h := &history{world: newWorld(t, rules), t: t}
		start := civil.Date{Year: 2025, Month: 10, Day: 20}
		near := func(name string, days ...int) int {
			return rapid.SampledFrom(days).Draw(t, name) + rapid.IntRange(-1, 1).Draw(t, name+" and")
		}
		tell := func(today civil.Date) {
			h.give(&schemas.Transaction{
				TransactionID: h.id("t"), TenantID: "T", CustomerID: "C", Direction: schemas.Credit, AmountCents: 20000,
				Description: rapid.SampledFrom([]string{"SALARY", "WAGES", "gift"}).Draw(t, "of"),
				BookedAt: today.AddDays(-near("booked", 0, 30, p.SeenDays, 2*p.SeenDays,
					p.BackfillDays)).In(schemas.Johannesburg),
			})
		}
		if rapid.Bool().Draw(t, "told before the first tick") {
			tell(start)
		}
		h.step(schemas.Tick{Date: start.String()})
		for n := rapid.IntRange(5, 60).Draw(t, "steps"); n > 0; n-- {
			switch what := h.pick("event", 8); {
			case what == 0:
				days := max(0, near("days", 0, 1, p.SeenDays/2, p.SeenDays))
				h.step(schemas.Tick{Date: h.Now.Date.AddDays(days).String()})
			case what < 4 || len(h.given) == 0:
				tell(h.Now.Date)
			default:
				h.step(h.given[h.pick("again", len(h.given))])
			}
		}
		h.replay()
	})
}

// TestLateAndEarlyUnpaidEndTheSame brings PAID and a later UNPAID in both orders: what the insurer sees and what the
// engine does next is the same.
func TestLateAndEarlyUnpaidEndTheSame(t *testing.T) {
	t.Parallel()
	rules := rules.Default()
	run := func(first, second *schemas.Result) (schemas.CollectionEvent, []schemas.DebitInstruction) {
		w := newWorld(t, rules)
		w.step(schemas.Tick{Date: "2025-11-01"})
		w.step(&schemas.PolicyCommand{
			Action: schemas.PolicyImport, TenantID: "T", CustomerID: "C", PolicyNumber: "P",
			Terms: &schemas.PolicyTerms{PremiumCents: 15000},
		})
		w.step(&schemas.ExecuteCommand{TenantID: "T", CustomerID: "C", PolicyNumber: "P", PeriodMonth: "2025-11"})
		w.advance(civil.Date{Year: 2025, Month: 11, Day: 5})
		w.advance(civil.Date{Year: 2025, Month: 11, Day: 7})
		first.DebitID, second.DebitID = w.order[0], w.order[0]
		w.step(first)
		w.step(second)
		w.step(&schemas.Transaction{
			TransactionID: "t", TenantID: "T", CustomerID: "C", Direction: schemas.Credit, AmountCents: 850000,
			Description: "SALARY",
			BookedAt:    civil.Date{Year: 2025, Month: 11, Day: 25}.In(schemas.Johannesburg),
		})
		w.advance(civil.Date{Year: 2025, Month: 11, Day: 30})
		k := w.collections[schemas.CollectionID(schemas.PolicyID("T", "P"), "2025-11")].latest
		k.Version, k.Meta = 0, schemas.Meta{}
		for i := range w.out.Debits {
			w.out.Debits[i].At = time.Time{}
		}
		return k, w.out.Debits
	}
	paid := &schemas.Result{ResultID: "p", Status: schemas.ResultPaid, EffectiveDate: "2025-11-05"}
	unpaid := &schemas.Result{ResultID: "u", Status: schemas.ResultUnpaid, ReasonCode: "02", EffectiveDate: "2025-11-07"}
	k1, debits1 := run(paid, unpaid)
	k2, debits2 := run(unpaid, paid)
	require.Equal(t, k1, k2)
	require.Equal(t, debits1, debits2)
	require.Len(t, debits1, 2)
}

// replay runs the whole history again and compares everything, byte for byte.
func (w *world) replay() {
	if w.fast {
		return
	}
	c := &book.Customer{}
	var out book.Outputs
	for i, rec := range w.records {
		_ = w.Engine.Apply(c, rec, w.moments[i], &out)
	}
	out.Refused = nil // of the latest record only
	want, err := json.Marshal(w.out)
	require.NoError(w.t, err)
	got, err := json.Marshal(out)
	require.NoError(w.t, err)
	require.Equal(w.t, string(want), string(got), "a replay gives the same outputs")
	require.Equal(w.t, w.bytes(w.Customer), w.bytes(c), "and the same state")
	require.True(w.t, slices.IsSorted(slices.Collect(collectionKeys(c))), "collections stand in the order of deciding")
}

func collectionKeys(c *book.Customer) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, k := range c.Collections {
			if !yield(fmt.Sprintf("%s %s %s", k.Period, k.Plan.Text(), k.Number)) {
				return
			}
		}
	}
}
