package clickhouse

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/sinks/clickhouse/chtest"
)

// Debits are counted by what the bank said last, each once, of the calendar's month and the one before.
func TestDebitsByWhatTheBankSaid(t *testing.T) {
	conn := open(t, chtest.New(t))
	ctx := context.Background()
	none, err := ReadDebits(ctx, conn)
	require.NoError(t, err)
	require.Empty(t, none, "before the first day")

	debit := func(name, period string, cents schemas.Cents) schemas.DebitInstruction {
		return schemas.DebitInstruction{
			Meta:    schemas.Meta{EventID: schemas.FactID(name), BusinessDate: period + "-05", At: sampleTime},
			DebitID: name, TenantID: "acme", CollectionID: schemas.FactID("col", name), PolicyNumber: name,
			PeriodMonth: schemas.Period(period), Attempt: 1, AmountCents: cents, ActionDate: period + "-05",
			Rail: schemas.RailEFT,
		}
	}
	said := func(name, period string, cents schemas.Cents, kind schemas.ChangeKind, code string) schemas.CollectionEvent {
		e := month{name, period, cents}.event(2, kind, name, 0, 0, schemas.Unpaid)
		e.CollectionID, e.Change.AmountCents = schemas.FactID("col", name), cents
		if code != "" {
			e.Change.ReasonScheme, e.Change.ReasonCode = "ZA", code
		}
		return e
	}
	for range 2 { // stored twice is counted once
		store(t, conn, schemas.TopicDebits, 0, 0, debit("a", "2025-11", 100), debit("b", "2025-11", 200),
			debit("c", "2025-11", 400), debit("d", "2025-10", 800), debit("e", "2025-09", 1600))
		store(t, conn, schemas.TopicCollections, 0, 0, said("a", "2025-11", 100, schemas.ChangePaid, ""),
			said("b", "2025-11", 200, schemas.ChangeUnpaid, "02"), said("d", "2025-10", 800, schemas.ChangeUnpaid, "99"),
			said("e", "2025-09", 1600, schemas.ChangePaid, ""))
		store(t, conn, schemas.TopicCalendar, 0, 0, schemas.Tick{Date: "2025-11-12"})
	}
	got, err := ReadDebits(ctx, conn)
	require.NoError(t, err)
	require.Equal(t, []DebitCount{
		{Tenant: "acme", Period: "2025-10", Status: "unpaid", Count: 1, Amount: 800}, // a code that nobody knows
		{Tenant: "acme", Period: "2025-11", Status: "paid", Count: 1, Amount: 100},
		{Tenant: "acme", Period: "2025-11", Status: "pending", Count: 1, Amount: 400},
		{Tenant: "acme", Period: "2025-11", Status: "unpaid", Reason: "INSUFFICIENT_FUNDS", Count: 1, Amount: 200},
	}, got)
}

func TestDisksOfClickHouse(t *testing.T) {
	disks, err := ReadDisks(t.Context(), open(t, chtest.New(t)))
	require.NoError(t, err)
	require.NotEmpty(t, disks)
	require.Positive(t, disks[0].Free)
	require.Greater(t, disks[0].Total, disks[0].Free)
}
