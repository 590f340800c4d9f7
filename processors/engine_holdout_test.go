package processors_test

import (
	"fmt"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/arena"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// novemberOf runs customer C's November on the 3rd to the 10th. Income came in October.
func novemberOf(t *testing.T, r *rules.Rules, customer, income string) (debits []schemas.DebitInstruction,
	decisions []schemas.DecisionEvent,
) {
	t.Helper()
	a := arena.New(processors.NewEngine(r), r)
	day := civil.Date{Year: 2025, Month: time.November, Day: 3}
	a.Now = schemas.Moment{Date: day, At: day.In(schemas.Johannesburg)}
	for _, rec := range []processors.Record{
		&schemas.PolicyCommand{
			Action: schemas.PolicyImport, TenantID: "T", CustomerID: customer, PolicyNumber: "P",
			Terms: &schemas.PolicyTerms{PremiumCents: 15000, Rail: schemas.RailDebiCheck},
		},
		&schemas.ExecuteCommand{TenantID: "T", CustomerID: customer, PolicyNumber: "P", PeriodMonth: "2025-11"},
		&schemas.Transaction{
			TransactionID: "t1", TenantID: "T", CustomerID: customer, Direction: schemas.Credit, AmountCents: 900_000,
			Description: income, BookedAt: day.AddDays(-9).In(schemas.Johannesburg),
		},
	} {
		require.NoError(t, a.Step(rec))
	}
	for ; day.Day <= 10; day = day.AddDays(1) {
		require.NoError(t, a.Tick(day, 1))
		debits, decisions = append(debits, a.Out.Debits...), append(decisions, a.Out.Decisions...)
	}
	return debits, decisions
}

// TestHoldout: of each hundred customers some are collected from on the planned day and on no other, the same ones each
// time; each of their decisions says so. Nobody on a grant is among them, and by default nobody is.
func TestHoldout(t *testing.T) {
	t.Parallel()
	some, err := rules.Load([]byte("collecting: [{from: 2025-01-01, holdout_percent: 20}]"))
	require.NoError(t, err)
	fixed := 0
	for i := range 300 {
		customer := fmt.Sprintf("C%d", i)
		debits, decisions := novemberOf(t, some, customer, "SALARY")
		require.NotEmpty(t, decisions)
		group := decisions[0].Inputs.Group
		for j := range decisions {
			require.Equal(t, group, decisions[j].Inputs.Group)
		}
		if group == "" {
			require.Empty(t, debits, "a salary is waited for")
			continue
		}
		fixed++
		require.Equal(t, "FIXED_SCHEDULE", group)
		require.Len(t, debits, 1)
		require.Equal(t, "2025-11-05", debits[0].ActionDate)
		require.Empty(t, debits[0].TrackingUntil)
		again, _ := novemberOf(t, some, customer, "SALARY")
		require.Equal(t, debits, again)

		debits, decisions = novemberOf(t, some, customer, "SASSA GRANT")
		require.Empty(t, debits)
		require.Empty(t, decisions[0].Inputs.Group)
		_, decisions = novemberOf(t, rules.Default(), customer, "SALARY")
		require.Empty(t, decisions[0].Inputs.Group)
	}
	require.InDelta(t, 60, fixed, 20)
}
