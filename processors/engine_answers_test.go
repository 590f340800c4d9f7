package processors_test

import (
	"fmt"
	"slices"
	"testing"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// TestAnswersInAnyOrder draws what the bank says of one debit: any statuses, codes and dates, some of them twice. In
// every order the books end the same, down to the state of the customer: CONTRACT 4.3. Before and behind that debit
// stand others of the same policy, whose rows of unpaids it may join.
func TestAnswersInAnyOrder(t *testing.T) {
	t.Parallel()
	r := rules.Default()
	engine := processors.NewEngine(r)
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, r)
		w.fast, w.track = true, rapid.SampledFrom([]int{0, 10}).Draw(t, "tracked days")
		debit := answerable(t, w)
		action, err := civil.ParseDate(debit.ActionDate)
		require.NoError(t, err)
		var answers []*schemas.Result
		for i := range rapid.IntRange(1, 5).Draw(t, "answers") {
			res := &schemas.Result{
				ResultID: fmt.Sprint("answer", i), DebitID: debit.DebitID,
				Status: rapid.SampledFrom([]schemas.ResultStatus{
					schemas.ResultPaid, schemas.ResultPaid, schemas.ResultUnpaid, schemas.ResultUnpaid, schemas.ResultRejected,
					schemas.ResultDisputed,
				}).Draw(t, "status"),
				EffectiveDate: action.AddDays(rapid.SampledFrom([]int{-1, 0, 0, 0, 1, 2, 6, 20, 41, 400}).Draw(t, "on")).String(),
			}
			if res.Status != schemas.ResultPaid {
				res.ReasonCode = rapid.SampledFrom([]string{"02", "02", "22", "12", "26", "34", "18", "77", ""}).Draw(t, "code")
			}
			answers = append(answers, res)
		}
		var first string
		for n := range 12 {
			order := slices.Clone(answers)
			if n > 0 {
				order = rapid.Permutation(answers).Draw(t, "order")
				again := order[rapid.IntRange(0, len(order)-1).Draw(t, "again")]
				order = slices.Insert(order, rapid.IntRange(0, len(order)).Draw(t, "at"), again)
			}
			end := w.hearAll(t, engine, order)
			if n == 0 {
				first = end
			}
			require.Equal(t, first, end, "order %d", n)
		}
	})
}

// answerable lives up to a debit that has no answer yet and returns it.
func answerable(t *rapid.T, w *world) schemas.DebitInstruction {
	pick := func(name string, n int) int { return rapid.IntRange(0, n-1).Draw(t, name) }
	rail := rapid.SampledFrom([]schemas.Rail{schemas.RailEFT, schemas.RailDebiCheck}).Draw(t, "rail")
	w.step(schemas.Tick{Date: "2025-10-01"})
	w.step(&schemas.PolicyCommand{
		Action: schemas.PolicyImport, TenantID: "T", CustomerID: "C", PolicyNumber: "P",
		Terms: &schemas.PolicyTerms{PremiumCents: 15000, Rail: rail},
	})
	money := pick("money", 3) // none, a part of the premium, more than enough
	if rail == schemas.RailEFT && money == 1 {
		money = 0 // no part on this rail
	}
	one := pick("debit", 2)
	for i, month := range []schemas.Period{"2025-10", "2025-11", "2025-12"} {
		w.step(&schemas.ExecuteCommand{TenantID: "T", CustomerID: "C", PolicyNumber: "P", PeriodMonth: month})
		if money > 0 {
			w.step(&schemas.Transaction{
				TransactionID: fmt.Sprint("t", i), TenantID: "T", CustomerID: "C", Direction: schemas.Credit,
				AmountCents: schemas.Cents(money) * 12000, Description: "piece job",
				BookedAt: month.First().AddDays(3).In(schemas.Johannesburg),
			})
		}
		w.advance(month.First().AddDays(6))
		if i != one && w.debits[w.order[len(w.order)-1]].inFlight() {
			d := w.debits[w.order[len(w.order)-1]]
			w.step(&schemas.Result{
				ResultID: "other" + d.DebitID, DebitID: d.DebitID, EffectiveDate: d.ActionDate, ReasonCode: "02",
				Status: rapid.SampledFrom([]schemas.ResultStatus{schemas.ResultPaid, schemas.ResultUnpaid}).Draw(t, "other"),
			})
		}
	}
	for _, id := range w.order {
		if d := w.debits[id]; d.inFlight() {
			w.Now.Date = civil.Date{Year: 2026, Month: 1, Day: 1 + pick("day", 20)}
			return d.DebitInstruction
		}
	}
	require.Fail(t, "no debit without an answer")
	return schemas.DebitInstruction{}
}

// hearAll brings answers to a copy of the customer and returns the state after them, without what counts versions or
// names answers. The movements add up to what is collected.
func (w *world) hearAll(t *rapid.T, engine *processors.Engine, answers []*schemas.Result) string {
	c := w.Customer.Clone()
	moved := map[string]schemas.Cents{}
	for _, k := range w.collections {
		moved[k.latest.CollectionID] = k.moved
	}
	for _, res := range answers {
		var out book.Outputs
		_ = engine.Apply(c, res, w.Now, &out)
		for _, ev := range out.Collections {
			moved[ev.CollectionID] += ev.Change.MovedCents
			require.Equal(t, moved[ev.CollectionID], ev.CollectedCents, "movements add up to what is collected")
		}
	}
	for i := range c.Policies {
		c.Policies[i].Version = 0
	}
	for i := range c.Collections {
		k := &c.Collections[i]
		require.Equal(t, moved[schemas.CollectionID(schemas.PolicyID("T", "P"), k.Period)], k.Collected)
		k.Version = 0
		for j := range k.Debits {
			d := &k.Debits[j]
			d.Results = nil
			if d.Item != nil && d.Item.State == schemas.ItemOpen {
				d.Item.Version = 0
			} else {
				d.Item = nil
			}
		}
	}
	c.Wake = 0
	return w.bytes(c)
}
