package clickhouse

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/sinks/clickhouse/chtest"
)

// The clearing balance is zero where each debit is answered once or in flight, however often its rows are stored, and
// names the cents where it is not.
func TestClearing(t *testing.T) {
	conn := open(t, chtest.New(t))
	ctx := context.Background()
	none, err := ReadClearing(ctx, conn)
	require.NoError(t, err)
	require.Empty(t, none, "before the first day")

	debit := func(n int, period, action string, cents schemas.Cents) schemas.DebitInstruction {
		d := fmt.Sprintf("d%d", n)
		return schemas.DebitInstruction{
			Meta:    schemas.Meta{EventID: schemas.FactID(d), Seq: int64(n), BusinessDate: action, At: sampleTime},
			DebitID: d, TenantID: "acme", CollectionID: schemas.FactID("col", d), PeriodMonth: schemas.Period(period),
			Attempt: 1, AmountCents: cents, ActionDate: action, Rail: schemas.RailEFT,
		}
	}
	fact := func(m month, version int64, kind schemas.ChangeKind, debit string, cents, held schemas.Cents,
		action string,
	) schemas.CollectionEvent {
		e := m.event(version, kind, debit, 0, 0, schemas.Unpaid)
		e.Change.AmountCents, e.InFlightCents, e.FirstAttemptDate, e.LastAttemptDate = cents, held, action, action
		return e
	}
	item := func(debit string, version int64, state schemas.OpenItemState) schemas.OpenItemEvent {
		return schemas.OpenItemEvent{
			Meta:   schemas.Meta{EventID: schemas.FactID(debit, string(state)), BusinessDate: "2025-11-12", At: sampleTime},
			ItemID: schemas.OpenItemID(debit), TenantID: "acme", CollectionID: schemas.FactID("col", debit),
			PeriodMonth: "2025-11", DebitID: debit, Version: version, Kind: schemas.OpenNoAnswer, State: state,
			AmountCents: 1, ActionDate: "2025-11-07", Since: "2025-11-12",
		}
	}
	a, b, old := month{"POL-A", "2025-11", 10_000}, month{"POL-B", "2025-11", 20_000}, month{"POL-C", "2025-05", 7_000}
	for range 2 {
		store(t, conn, schemas.TopicDebits, 0, 0, debit(1, "2025-11", "2025-11-03", 10_000),
			debit(2, "2025-11", "2025-11-07", 20_000), debit(3, "2025-05", "2025-05-05", 7_000))
		store(t, conn, schemas.TopicCollections, 0, 0,
			fact(a, 1, schemas.ChangeInstructed, "d1", 10_000, 10_000, "2025-11-03"),
			fact(a, 2, schemas.ChangePaid, "d1", 10_000, 0, "2025-11-03"),
			fact(a, 3, schemas.ChangeDisputed, "d1", 10_000, 0, "2025-11-03"), // the same debit: answered once
			fact(b, 1, schemas.ChangeInstructed, "d2", 20_000, 20_000, "2025-11-07"),
			fact(old, 1, schemas.ChangeInstructed, "d3", 7_000, 7_000, "2025-05-05")) // longer ago than the balance looks
		store(t, conn, schemas.TopicOpenItems, 0, 0, item("d2", 1, schemas.ItemOpen), item("d1", 1, schemas.ItemOpen),
			item("d1", 2, schemas.ItemAnswered))
		store(t, conn, schemas.TopicCalendar, 0, 0, schemas.Tick{Date: "2025-11-12"},
			schemas.Tick{Date: "2025-11-12", Cutoff: 1})
	}
	got, err := ReadClearing(ctx, conn)
	require.NoError(t, err)
	require.Equal(t, []Clearing{
		{Tenant: "acme", Instructed: 30_000, Answered: 10_000, Pending: 20_000, Open: 1, OldestDays: 5, Items: 1},
	}, got)
	require.Zero(t, got[0].Balance())

	// instructed, and in no collection's history
	store(t, conn, schemas.TopicDebits, 0, 3, debit(4, "2025-11", "2025-11-10", 1_250))
	got, err = ReadClearing(ctx, conn)
	require.NoError(t, err)
	require.EqualValues(t, 1_250, got[0].Balance())
}
