package streams

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/stage"
)

// endings counts the sessions that ended.
type endings struct {
	stage.Observer
	n atomic.Int64
}

func (e *endings) Ended(string, error) { e.n.Add(1) }

// TestNoCustomerIsTooLarge has a customer with 90,000 transactions and a payer with 2,000 policies live through three
// months beside another customer, on one partition: no record of the changelog grows, no transaction is refused, and
// everyone is debited on their day.
func TestNoCustomerIsTooLarge(t *testing.T) {
	t.Parallel()
	const transactions, policies, largest = 90_000, 2_000, 64 << 10
	watch := &endings{Observer: stage.NoObserver()}
	h := newHarness(t, 1, func(c *stage.Config) { c.Observer = watch })
	stopStage := h.start(runCollect(h.cfg))
	m := newMonth(t, 1)
	number := func(i int) string { return fmt.Sprintf("POL-payer-%04d", i) }
	m.tick("2025-11-01", 0)
	m.policy("bystander", 15000)
	for i := range policies {
		m.of(schemas.KindPolicy, "payer", schemas.PolicyCommand{
			RequestID: "import", Action: schemas.PolicyImport, TenantID: "acme", CustomerID: "payer", PolicyNumber: number(i),
			Terms: &schemas.PolicyTerms{PremiumCents: 15000, Status: schemas.PolicyActive, Rail: schemas.RailDebiCheck},
		})
	}
	for i := range transactions { // booked ahead or today, a third of them income
		m.transaction("busy", fmt.Sprintf("t-%d", i), fmt.Sprintf("2025-11-%02d", 1+i%28), 900+i%3*100)
	}
	for _, period := range []schemas.Period{"2025-11", "2025-12", "2026-01"} {
		if period != "2025-11" {
			m.tick(string(period)+"-01", 0)
		}
		execute := func(customer, policy string) {
			m.of(schemas.KindExecute, customer, schemas.ExecuteCommand{
				RequestID: "execute", ExecutionID: "x", TenantID: "acme", CustomerID: customer, PolicyNumber: policy,
				PeriodMonth: period,
			})
		}
		execute("bystander", policyOf("bystander"))
		for i := range policies {
			execute("payer", number(i))
		}
		m.tick(string(period)+"-05", 1)
		for i := range policies {
			collection := schemas.CollectionID(schemas.PolicyID("acme", number(i)), period)
			m.result(schemas.DebitID("acme", "payer", collection, 1), fmt.Sprintf("r-%s-%d", period, i), schemas.ResultPaid,
				string(period)+"-05")
		}
		m.tick(string(period)+"-28", 1)
	}
	h.produce(m.records...)
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	stopStage()
	require.Zero(t, watch.n.Load(), "the stage never began anew")
	require.Empty(t, classes(h.read(schemas.TopicDeadLetters)[0]))
	debits := map[string]int{}
	for _, r := range h.read(schemas.TopicDebits)[0] {
		debits[string(r.Key)]++
	}
	require.Equal(t, 3*policies, debits[schemas.CustomerKey("acme", "payer")])
	require.Positive(t, debits[schemas.CustomerKey("acme", "bystander")])
	require.Len(t, h.read(schemas.TopicTransactions)[0], transactions)
	size := 0
	for _, r := range h.read(schemas.TopicStateCollect)[0] {
		size = max(size, len(r.Value))
	}
	require.Less(t, size, largest)
	_, restored := collectTasks()
	require.NoError(t, stage.Restore(context.Background(), h.cfg, row("collect"), map[int32]stage.Memory{0: restored}))
	require.Equal(t, 3, restored.Keys())
	t.Logf("%d records, %d bytes of state, the largest record %d", len(m.records), restored.Bytes(), size)
}
