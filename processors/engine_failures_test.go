package processors_test

import (
	"fmt"
	"testing"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// TestFailuresAreABudget is a customer who gets R 20 of cash a day and owes R 300, and a bank that says each time that
// the money is not there (CONTRACT 4.6). R 20 alone are not worth a presentment, and the pauses grow. A salary on the
// 25th is not left to be spent, and the next month begins with a new budget.
func TestFailuresAreABudget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rules.Default())
	month := func(period schemas.Period, salary int) (debits, reasons []string) {
		w.step(schemas.Tick{Date: period.First().String()})
		w.step(&schemas.PolicyCommand{
			Action: schemas.PolicyImport, TenantID: "T", CustomerID: "C", PolicyNumber: "P",
			Terms: &schemas.PolicyTerms{PremiumCents: 30000},
		})
		w.step(&schemas.ExecuteCommand{TenantID: "T", CustomerID: "C", PolicyNumber: "P", PeriodMonth: period})
		for day := period.First(); !day.After(period.Last()); day = day.AddDays(1) {
			credit := func(cents int, text string) {
				w.step(&schemas.Transaction{
					TransactionID: fmt.Sprint(text, day), TenantID: "T", CustomerID: "C", Direction: schemas.Credit,
					AmountCents: schemas.Cents(cents), Description: text, BookedAt: day.In(schemas.Johannesburg),
				})
			}
			credit(2000, "CASH DEPOSIT")
			if day.Day == salary {
				credit(850000, "SALARY")
			}
			out := w.advance(day)
			for _, d := range out.Decisions {
				reasons = append(reasons, d.Reason)
			}
			for _, d := range out.Debits {
				debits = append(debits, fmt.Sprintf("%s %s", d.ActionDate, d.AmountCents))
				w.step(&schemas.Result{
					ResultID: "r" + d.DebitID, DebitID: d.DebitID, Status: schemas.ResultUnpaid, ReasonCode: "02",
					EffectiveDate: day.String(),
				})
			}
		}
		return debits, reasons
	}
	debits, reasons := month("2026-10", 0)
	require.Equal(t, []string{
		"2026-10-05 100.00", "2026-10-08 60.00", "2026-10-12 80.00", "2026-10-19 140.00",
	}, debits)
	require.Contains(t, reasons, "FAILURES_IN_A_ROW")
	require.Contains(t, reasons, "FAILURE_BUDGET_SPENT")
	debits, _ = month("2026-11", 25)
	require.Equal(t, "2026-11-26 300.00", debits[len(debits)-1], "regular income waits for no pause")
	require.LessOrEqual(t, len(debits), w.Rules.Params(civil.Date{Year: 2026, Month: 11, Day: 1}).FailureDays)
}
