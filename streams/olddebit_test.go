package streams

import (
	"encoding/json"
	"testing"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/stage"
)

// TestCollectOldDebits has the bank take back two premiums two years after they were paid, when no index knows the
// debits any more. The answers find their customers, whether all of it is one batch, a batch each record, or the state
// was restored between; the outputs are the same bytes each time.
func TestCollectOldDebits(t *testing.T) {
	t.Parallel()
	m := newMonth(t, 1)
	customers := []string{"C1", "C2", "C3"}
	m.tick("2025-11-05", 0)
	for _, c := range customers {
		m.policy(c, 15000)
		m.execute(c)
	}
	m.tick("2025-11-05", 1)
	for _, c := range customers {
		m.result(debitOf(c, 1), "paid", schemas.ResultPaid, "2025-11-05")
	}
	for day := (civil.Date{Year: 2025, Month: 12, Day: 1}); day.Year < 2028; day = day.AddMonths(1) {
		for _, c := range customers { // an open collection, so that ticks look at the customer
			m.of(schemas.KindExecute, c, schemas.ExecuteCommand{
				RequestID: "execute", ExecutionID: "x", TenantID: "acme", CustomerID: c, PolicyNumber: policyOf(c),
				PeriodMonth: schemas.PeriodOf(day),
			})
		}
		m.tick(day.String(), 0)
		m.tick(day.String(), 1)
	}
	before := len(m.records)
	m.result(debitOf("C2", 1), "late", schemas.ResultUnpaid, "2025-11-07")
	m.result(debitOf("C3", 2), "never", schemas.ResultUnpaid, "2025-11-07") // there was no second attempt
	m.result(debitOf("C1", 1), "paid", schemas.ResultPaid, "2025-11-05")
	m.result(debitOf("C1", 1), "late", schemas.ResultUnpaid, "2027-11-01")
	m.result(debitOf("C2", 1), "late", schemas.ResultUnpaid, "2025-11-07")
	m.tick("2027-12-02", 0)
	m.tick("2027-12-02", 1)
	m.result(debitOf("C2", 1), "again", schemas.ResultUnpaid, "2025-11-07")
	st := row("collect")

	tk, mem := collectTasks()
	whole := takeAll(t, st, tk, mem, 1, m.records...)
	require.Equal(t, []string{schemas.RejectUnknownDebit}, classes(whole))
	back := map[string]int{}
	for _, r := range whole {
		var ev schemas.CollectionEvent
		if r.Topic != schemas.TopicCollections {
			continue
		}
		require.NoError(t, json.Unmarshal(r.Value, &ev))
		if ev.Change.Kind == schemas.ChangeLateUnpaid {
			back[ev.CustomerID]++
			require.Equal(t, schemas.Period("2025-11"), ev.PeriodMonth)
			require.Equal(t, schemas.Cents(-15000), ev.Change.MovedCents)
			require.Zero(t, ev.CollectedCents)
		}
	}
	require.Equal(t, map[string]int{"C1": 1, "C2": 1}, back)

	byOne, one := collectTasks()
	var singly []*kgo.Record
	for i, r := range m.records {
		if i == before {
			require.Empty(t, byOne.(*collectTask).debits[debitOf("C2", 1)], "no index knows the debit")
		}
		singly = append(singly, takeAll(t, st, byOne, one, 1, r)...)
	}
	require.Equal(t, lines(whole), lines(singly), "a batch each record")

	first, mem1 := collectTasks()
	halves := takeAll(t, st, first, mem1, 1, m.records[:before]...)
	restored, mem2 := collectTasks()
	require.NoError(t, mem1.Snapshot(func(key string, value []byte) { require.NoError(t, mem2.Load(key, value)) }))
	require.NoError(t, mem2.Whole())
	mem2.Loaded()
	halves = append(halves, takeAll(t, st, restored, mem2, 1, m.records[before:]...)...)
	require.Equal(t, lines(whole), lines(halves), "restored before the answers")
	for _, m := range []stage.Memory{one, mem2} {
		require.Equal(t, snapshotOf(t, mem), snapshotOf(t, m), "and the state")
	}
}
