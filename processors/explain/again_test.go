package explain

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors/price"
	"github.com/kasi-collections/kasi/processors/strategy"
	"github.com/kasi-collections/kasi/schemas"
)

// unsure is a situation in which R 150.00 may be there or not, and money may come.
func unsure() price.Situation {
	return price.Situation{
		Amount: 15000, Lowest: 2000, Tracks: true, PaidChance: 7000, TodayChance: 3000, LaterChance: 6000, LastChance: 2000,
		ProofChance: 9900, ProofToday: 9800, FailureCost: 6000, Patience: 9500,
	}
}

// recorded is the decision about a situation as its event says it.
func recorded(t *testing.T, s price.Situation) *schemas.DecisionEvent {
	t.Helper()
	text, err := json.Marshal(s)
	require.NoError(t, err)
	v := price.Of(&s)
	ev := &schemas.DecisionEvent{
		Action: schemas.DecideWait, Reason: strategy.WhyAwaitIncome, Situation: string(text),
		Inputs: schemas.DecisionInputs{
			LowestCents: new(s.Lowest), ChancePer10000: new(int64(v.Chance)), ValueCents: new(v.Wait),
		},
		Alternatives: []schemas.Alternative{{
			Action: schemas.DecideDebit, Reason: strategy.WhyLikely, AmountCents: s.Amount, TrackingUntil: "2025-11-14",
			ChancePer10000: new(int64(v.Chance)), ValueCents: new(v.Track),
		}},
	}
	if v.Best() {
		ev.Action, ev.AmountCents, ev.TrackingUntil = schemas.DecideDebit, s.Amount, "2025-11-14"
		ev.Inputs.ValueCents = new(v.Track)
		ev.Alternatives = []schemas.Alternative{{Action: schemas.DecideWait, ValueCents: new(v.Wait)}}
	}
	return ev
}

// A decision is what its situation gives; whatever is changed in either, it is found.
func TestCheck(t *testing.T) {
	t.Parallel()
	require.NoError(t, Check(&schemas.DecisionEvent{}), "nothing was priced")
	proved := unsure()
	proved.Lowest = 15000
	for _, s := range []price.Situation{unsure(), proved} {
		require.NoError(t, Check(recorded(t, s)))
	}
	for what, spoil := range map[string]func(ev *schemas.DecisionEvent){
		"lowest_cents":     func(ev *schemas.DecisionEvent) { *ev.Inputs.LowestCents++ },
		"value_cents is":   func(ev *schemas.DecisionEvent) { *ev.Inputs.ValueCents++ },
		"value_cents is m": func(ev *schemas.DecisionEvent) { ev.Inputs.ValueCents = nil },
		"chance_per_10000": func(ev *schemas.DecisionEvent) { *ev.Inputs.ChancePer10000-- },
		"the alternative":  func(ev *schemas.DecisionEvent) { *ev.Alternatives[0].ValueCents++ },
		"another build":    func(ev *schemas.DecisionEvent) { ev.Situation = `{"amount":15000,"moon":1}` },
	} {
		ev := recorded(t, unsure())
		spoil(ev)
		require.ErrorContains(t, Check(ev), what)
	}

	ev := recorded(t, unsure())
	v := price.Of(new(unsure()))
	require.Equal(t, v.Best(), ev.Action == schemas.DecideDebit)
	if ev.Action == schemas.DecideDebit {
		ev.Action, ev.AmountCents, ev.TrackingUntil, ev.Inputs.ValueCents = schemas.DecideWait, 0, "", new(v.Wait)
		require.ErrorContains(t, Check(ev), "no veto says why")
		ev.Inputs.Veto = strategy.WhyFailureBudget
		require.NoError(t, Check(ev))
	} else {
		ev.Action, ev.AmountCents, ev.TrackingUntil = schemas.DecideDebit, 15000, "2025-11-14"
		ev.Inputs.ValueCents = new(v.Track)
		require.ErrorContains(t, Check(ev), "worth less than waiting")
	}
}

// Each thing that can be changed changes the price.
func TestWhatIf(t *testing.T) {
	t.Parallel()
	was := price.Of(new(unsure()))
	for _, change := range []string{
		"balance=500", "balance=149.99", "at-least=150.00", "due=20", "failure-cost=1", "tracking=no", "last-day=yes",
	} {
		again, err := WhatIf(recorded(t, unsure()), []string{change})
		require.NoError(t, err, change)
		require.NotEqual(t, was, again.Verdict, change)
		require.Contains(t, again.Words[0].Text, change+": A debit of R ")
	}
	again, err := WhatIf(recorded(t, unsure()), []string{"balance=500"})
	require.NoError(t, err)
	require.True(t, again.Verdict.Proved && again.Verdict.Best(), "the money is there")
	require.Equal(t, schemas.Cents(50000), again.Situation.Lowest)
	again, err = WhatIf(recorded(t, unsure()), []string{"balance=500", "balance=20.00"})
	require.NoError(t, err)
	require.Zero(t, again.Verdict.Today, "the balance is too small, and it is known; the later change counts")

	names, about := Changes()
	require.Len(t, about, len(names))
	for text, change := range map[string]string{
		"is not name=value with one of balance": "moon=1", `"balance"`: "balance", "neither yes nor no": "tracking=1",
		"is negative": "balance=-1", "not a plain decimal": "due=much",
	} {
		_, err := WhatIf(recorded(t, unsure()), []string{change})
		require.ErrorContains(t, err, text)
	}
	_, err = WhatIf(&schemas.DecisionEvent{Reason: strategy.WhyPolicyOnHold}, nil)
	require.ErrorContains(t, err, "was not priced (POLICY_ON_HOLD)")
}
