package streams

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/stage"
)

// execution puts an execution of all policies of acme on every partition.
func (m *month) execution(id string, size int) {
	for p := range m.partitions {
		m.add(schemas.KindExecution, uint32(p), id, schemas.ExecutionCommand{
			ExecutionID: id, RequestID: "r-" + id, TenantID: "acme", PeriodMonth: "2025-11", Parts: int(m.partitions),
			PoliciesQueued: 40, Size: size,
		})
	}
}

// executed is a month in which everybody's policies are executed at once, while other records come.
func executed(t testing.TB, partitions int32) *month {
	m := newMonth(t, partitions)
	m.tick("2025-11-01", 0)
	for i := range 40 {
		m.policy(fmt.Sprintf("CUST%03d", i), 15_000)
	}
	m.of(schemas.KindPolicy, "CUST003", schemas.PolicyCommand{ // a second policy, which is not active
		RequestID: "import", Action: schemas.PolicyImport, TenantID: "acme", CustomerID: "CUST003", PolicyNumber: "LAPSED",
		Terms: &schemas.PolicyTerms{PremiumCents: 15_000, Status: schemas.PolicyLapsed, Rail: schemas.RailEFT},
	})
	for _, tenant := range []string{"acm", "acme2"} { // neighbours of its keys
		key := schemas.CustomerKey(tenant, "C")
		m.add(schemas.KindPolicy, schemas.RoutingHash(key), key, schemas.PolicyCommand{
			RequestID: "import", Action: schemas.PolicyImport, TenantID: tenant, CustomerID: "C", PolicyNumber: "P",
			Terms: &schemas.PolicyTerms{PremiumCents: 15_000, Status: schemas.PolicyActive, Rail: schemas.RailEFT},
		})
	}
	m.execute("CUST005")
	m.execution("x1", 3)
	for i := range 10 {
		m.policy(fmt.Sprintf("LATE%03d", i), 15_000)
	}
	return m
}

// eventsOf reads a topic's records as events.
func eventsOf[T any](t testing.TB, records []*kgo.Record) (events []T) {
	t.Helper()
	for _, r := range records {
		var ev T
		require.NoError(t, json.Unmarshal(r.Value, &ev))
		events = append(events, ev)
	}
	return events
}

// finalOf is the last word of each partition about an execution, added up.
func finalOf(t testing.TB, h *harness, id string) (sum schemas.ExecutionCounts, pieces int64) {
	t.Helper()
	for p, records := range h.read(schemas.TopicExecutions) {
		var last schemas.ExecutionEvent
		for _, ev := range eventsOf[schemas.ExecutionEvent](t, records) {
			if ev.ExecutionID == id {
				require.Equal(t, last.Piece+1, ev.Piece)
				require.False(t, last.Done, "nothing follows the last piece")
				require.Equal(t, p, ev.Part)
				last = ev
			}
		}
		require.True(t, last.Done, "partition %d", p)
		sum.Add(last.ExecutionCounts)
		pieces += last.Piece
	}
	return sum, pieces
}

// TestExecutionInPieces: one command a partition makes every collection of the tenant once, in pieces, while other
// records come between and the stage is stopped again and again.
func TestExecutionInPieces(t *testing.T) {
	t.Parallel()
	const partitions = 3
	h := newHarness(t, partitions)
	cfg := h.cfg
	cfg.MaxRecords = 2
	h.produce(executed(t, partitions).records...)
	for range 3 {
		h.start(runCollect(cfg))()
	}
	h.start(runCollect(cfg))
	h.quiet()
	h.requireExactly(row("collect"), collectTasks)
	requireDense(t, h)

	sum, pieces := finalOf(t, h, "x1")
	require.Equal(t, int64(1), sum.Unchanged, "the one that had its collection")
	require.GreaterOrEqual(t, sum.CollectionsCreated, int64(39))
	require.Greater(t, pieces, int64(39/3), "a piece is three policies")
	made := map[string]int{}
	for _, ev := range eventsOf[schemas.CollectionEvent](t, flat(h.read(schemas.TopicCollections))) {
		require.Equal(t, "acme", ev.TenantID)
		made[ev.PolicyNumber]++
	}
	for number, n := range made {
		require.Equal(t, 1, n, number)
	}
	require.NotContains(t, made, "LAPSED")
	require.Len(t, made, int(sum.CollectionsCreated)+1)
	require.Empty(t, flat(h.read(schemas.TopicDeadLetters)))
}

// quiet waits until the stage has passed the timeline and has left nothing to itself.
func (h *harness) quiet() {
	h.t.Helper()
	for before, looks := -1, 0; ; looks++ {
		require.Less(h.t, looks, 60, "the stage leaves work to itself without end")
		h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
		now := len(flat(h.read(schemas.TopicTimeline)))
		if now == before {
			return
		}
		before = now
	}
}

// TestExecutionLetsOthersPass: what comes while an execution is under way is not kept waiting until its end.
func TestExecutionLetsOthersPass(t *testing.T) {
	t.Parallel()
	tk, m := collectTasks()
	month := executed(t, 1)
	log := slices.Clone(month.records)
	late, done := 0, 0
	for offset := 0; offset < len(log); offset++ {
		log[offset].Offset = int64(offset)
		out, err := stage.Dry(row("collect"), tk, m, 0, 1, log[offset])
		require.NoError(t, err)
		m.Merge()
		for _, r := range out {
			switch {
			case r.Topic == schemas.TopicTimeline:
				log = append(log, r)
			case r.Topic == schemas.TopicPolicies && string(r.Key) == schemas.CustomerKey("acme", "LATE009"):
				late = offset
			case r.Topic == schemas.TopicExecutions:
				done = offset
			}
		}
	}
	require.Less(t, late, done-10)
}

// TestExecutionReplays: a copied timeline, with all that the stage left to itself, gives the same bytes. What the
// replay leaves to itself comes behind and is ignored, and so is a piece that is copied twice.
func TestExecutionReplays(t *testing.T) {
	t.Parallel()
	const partitions = 2
	h := newFakeHarness(t, partitions)
	h.produce(executed(t, partitions).records...)
	h.start(runCollect(h.cfg))
	h.quiet()
	again := newFakeHarness(t, partitions)
	var copies []*kgo.Record
	for _, r := range flat(h.read(schemas.TopicTimeline)) {
		one := kgo.Record{
			Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers,
			Timestamp: r.Timestamp,
		}
		copies = append(copies, &one)
		var cmd schemas.ExecutionCommand
		if json.Unmarshal(r.Value, &cmd) == nil && cmd.Number > 0 {
			copies = append(copies, new(one))
		}
	}
	again.cfg.MaxRecords = 7
	again.produce(copies...)
	again.start(runCollect(again.cfg))
	again.quiet()
	for _, o := range row("collect").Outputs {
		if o.Dense {
			require.Equal(t, lines(flat(h.read(o.Topic))), lines(flat(again.read(o.Topic))), o.Topic)
		}
	}
	require.Greater(t, len(flat(again.read(schemas.TopicTimeline))), len(copies), "the replay left something to itself")
}

// TestExecutionRefusals: a command that could not be carried out is a dead letter.
func TestExecutionRefusals(t *testing.T) {
	t.Parallel()
	good := schemas.ExecutionCommand{ExecutionID: "x", TenantID: "acme", PeriodMonth: "2025-11", Parts: 1, Size: 1}
	for name, spoil := range map[string]func(*schemas.ExecutionCommand){
		"no tenant": func(c *schemas.ExecutionCommand) { c.TenantID = "" },
		"no id":     func(c *schemas.ExecutionCommand) { c.ExecutionID = "" },
		"no size":   func(c *schemas.ExecutionCommand) { c.Size = 0 },
		"too large": func(c *schemas.ExecutionCommand) { c.Size = maxPiece + 1 },
		"no parts":  func(c *schemas.ExecutionCommand) { c.Parts = 0 },
		"no period": func(c *schemas.ExecutionCommand) { c.PeriodMonth = "November" },
	} {
		cmd := good
		spoil(&cmd)
		require.Error(t, checkExecution(cmd), name)
	}
	require.NoError(t, checkExecution(good))
}
