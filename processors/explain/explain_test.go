package explain

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors/strategy"
	"github.com/kasi-collections/kasi/schemas"
)

// said is what is said about each thing; several lines about one thing are one text.
func said(ev *schemas.DecisionEvent) map[string]string {
	out := map[string]string{}
	for _, l := range Words(ev) {
		if out[l.About] != "" {
			out[l.About] += " "
		}
		out[l.About] += l.Text
	}
	return out
}

func TestADecisionThatWasPriced(t *testing.T) {
	t.Parallel()
	require.Equal(t, map[string]string{
		"decision": "Wait until 2025-11-25.",
		"why":      "The next income has not come yet. (AWAIT_INCOME)",
		"due": "R 150.00 is due, R 50.00 is collected, R 0.00 is with the bank. 2 debits were sent before; the last " +
			"failure was INSUFFICIENT_FUNDS. The rail is DEBICHECK.",
		"known": "The account holds at least R 0.00 and at most R 480.00. The latest balance told is R 480.00. R 80.00 " +
			"came in that no debit has used.",
		"income": "The latest deposit came on 2025-10-24. The next income is expected on 2025-11-25, within 2025-11-24 to " +
			"2025-11-27.",
		"chance": "The debit is paid with a chance of 43.2 %, as 1204 cases like this one show (held/3).",
		"value":  "By month end this is worth R 95.10: what it is to collect, less what its failures are to cost.",
		"instead": "Debit R 100.00, which the bank presents each banking day until 2025-11-21, paid with a chance of " +
			"99.9 %, worth R -3.50 (LIKELY_FUNDS). Stop (POLICY_LAPSED).",
		"veto": "What was worth most was forbidden: FAILURE_BUDGET_SPENT. " +
			strategy.Meaning(strategy.WhyFailureBudget).Sentence,
		"table": "The chance comes from the learned table 3f2a.",
	}, said(&schemas.DecisionEvent{
		Action: schemas.DecideWait, Reason: "AWAIT_INCOME", Explanation: "The next income has not come yet.",
		NextDate: "2025-11-25",
		Inputs: schemas.DecisionInputs{
			DueCents: 15000, CollectedCents: 5000, BudgetCents: 8000, BalanceCents: new(schemas.Cents(48000)), Attempts: 2,
			Rail: schemas.RailDebiCheck, LastDepositDate: "2025-10-24", NextExpectedDate: "2025-11-25",
			LastReason: "INSUFFICIENT_FUNDS", LowestCents: new(schemas.Cents(0)), HighestCents: new(schemas.Cents(48000)),
			ChancePer10000: new(int64(4321)), ValueCents: new(schemas.Cents(9510)), Cell: "held/3", CellCount: 1204,
			WindowFrom: "2025-11-24", WindowTo: "2025-11-27", Veto: strategy.WhyFailureBudget, TableHash: "3f2a",
		},
		Alternatives: []schemas.Alternative{
			{
				Action: schemas.DecideDebit, Reason: "LIKELY_FUNDS", AmountCents: 10000, TrackingUntil: "2025-11-21",
				ChancePer10000: new(int64(9999)), ValueCents: new(schemas.Cents(-350)),
			},
			{Action: schemas.DecideStop, Reason: "POLICY_LAPSED"},
		},
	}))
}

func TestADecisionThatWasNotPriced(t *testing.T) {
	t.Parallel()
	require.Equal(t, map[string]string{
		"decision": "Debit R 150.00, which the bank presents each banking day until 2025-11-14.",
		"why":      "No income is known. (FIRST_ATTEMPT)",
		"due": "R 150.00 is due, R 0.00 is collected, R 0.00 is with the bank. No debit was sent before. " +
			"The rail is RM.",
		"known":   "No money is known to have come in that no debit has used.",
		"income":  "No income is expected on a known day.",
		"instead": "Wait (AWAIT_FUNDS).",
	}, said(&schemas.DecisionEvent{
		Action: schemas.DecideDebit, Reason: "FIRST_ATTEMPT", Explanation: "No income is known.", AmountCents: 15000,
		TrackingUntil: "2025-11-14", Inputs: schemas.DecisionInputs{DueCents: 15000, Rail: schemas.RailRM},
		Alternatives: []schemas.Alternative{{Action: schemas.DecideWait, Reason: "AWAIT_FUNDS"}},
	}))
	stop := said(&schemas.DecisionEvent{Action: schemas.DecideStop, Inputs: schemas.DecisionInputs{
		Attempts: 1, LowestCents: new(schemas.Cents(100)), WindowFrom: "2025-11-24", WindowTo: "2025-11-27",
	}})
	require.Equal(t, "Stop: no further debit.", stop["decision"])
	require.Contains(t, stop["due"], "One debit was sent before.")
	require.Contains(t, stop["known"], "The account holds at least R 1.00; nothing says how much at most.")
	require.Contains(t, stop["income"], "The next income is expected within 2025-11-24 to 2025-11-27.")
	require.Equal(t, "Wait. No day is known on which that changes.",
		said(&schemas.DecisionEvent{Action: schemas.DecideWait})["decision"])
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	require.Equal(t, Line{"answer", "The bank paid the debit, on 2025-11-05."}, Answer("paid", "2025-11-05", "", ""))
	require.Equal(t, "The bank did not pay the debit, code 02 (ZA), on 2025-11-05.",
		Answer("unpaid", "2025-11-05", "ZA", "02").Text)
	require.Equal(t, "The bank has not answered the debit yet.", Answer("pending", "", "", "").Text)
}

// What is not certain never reads as certain.
func TestPercent(t *testing.T) {
	t.Parallel()
	for p, want := range map[int64]string{0: "0.0 %", 1: "0.1 %", 9999: "99.9 %", 10_000: "100.0 %", 4321: "43.2 %"} {
		require.Equal(t, want, percent(p))
	}
}
