package streams

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/processors/settlement"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/letters"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/stage"
)

// bookLedger is a ledger whose sum depends on the coverage alone, and which may fail some times first.
type bookLedger struct {
	mu    sync.Mutex
	fails int
	asked int
	empty bool
	still bool    // no movement is covered
	cut   []int64 // of the last HasCollections
}

func (l *bookLedger) Sum(_ context.Context, _ string, _ schemas.Period, cov []schemas.Coverage) (schemas.LedgerSums,
	error,
) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	if l.fails > 0 {
		l.fails--
		return schemas.LedgerSums{}, errors.New("clickhouse is away")
	}
	var sums schemas.LedgerSums
	for _, c := range cov {
		for p := range c.To {
			if l.still {
				continue
			}
			n := c.To[p]
			if p < len(c.From) {
				n -= c.From[p]
			}
			sums.Movements += n
			sums.TotalCents += schemas.Cents(1000 * n)
		}
	}
	return sums, nil
}

func (l *bookLedger) HasCollections(_ context.Context, _ string, _ schemas.Period, cut []int64) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	return !l.empty, nil
}

// settleInput is a settlement command as the API writes it.
func settleInput(t testing.TB, partitions int32, tenant, request string, cut ...int64) *kgo.Record {
	t.Helper()
	value, err := json.Marshal(schemas.SettleCommand{
		RequestID: request, TenantID: tenant, PeriodMonth: "2025-11",
		Cut: cut,
	})
	require.NoError(t, err)
	return settleRecord(schemas.KindSettle, schemas.PartitionOf(schemas.RoutingHash(tenant), partitions), tenant, value)
}

func settleRecord(kind schemas.Kind, partition int32, key string, value []byte) *kgo.Record {
	return &kgo.Record{
		Topic: schemas.TopicSettlementCommands, Partition: partition, Key: []byte(key), Value: value,
		Timestamp: time.UnixMilli(1_764_600_000_000),
		Headers:   []kgo.RecordHeader{{Key: schemas.HeaderKind, Value: []byte(kind)}},
	}
}

func settleTick(date string, cutoff int, partition int32) *kgo.Record {
	value, _ := json.Marshal(schemas.Tick{Date: date, Cutoff: cutoff})
	return settleRecord(schemas.KindTick, partition, "tick", value)
}

func settleTasks(l Ledger) stage.Open {
	return func() (stage.Task, stage.Memory) {
		return openSettle(context.Background(), stage.Config{}, Needs{Rules: rules.Default(), Ledger: l})
	}
}

// settlements and outcomes of some output records.
func settled(t *testing.T, records []*kgo.Record) (numbers []string, codes []string) {
	t.Helper()
	for _, r := range records {
		switch r.Topic {
		case schemas.TopicSettlements:
			var ev schemas.SettlementEvent
			require.NoError(t, json.Unmarshal(r.Value, &ev))
			numbers = append(numbers, ev.Number+" "+string(ev.Status))
		case schemas.TopicOutcomes:
			var ev schemas.OutcomeEvent
			require.NoError(t, json.Unmarshal(r.Value, &ev))
			codes = append(codes, ev.RequestID+" "+ev.Code)
			require.Equal(t, "settle", ev.Stage)
			names := ev.Code != schemas.OutcomeNotFound && ev.Code != schemas.OutcomePeriodOpen && ev.Statement == ""
			require.Equal(t, names, ev.ObjectID != "")
		}
	}
	return numbers, codes
}

// TestSettleNumbers gives gap-free numbers, the same statement to the same call, and the next one only when something
// moved; the payment date pays.
func TestSettleNumbers(t *testing.T) {
	t.Parallel()
	tk, mem := settleTasks(&bookLedger{fails: 2})()
	out := takeAll(t, row("settle"), tk, mem, 1,
		settleTick("2025-12-02", 0, 0),
		settleInput(t, 1, "acme", "a", 10),
		settleInput(t, 1, "acme", "b", 10),
		settleInput(t, 1, "acme", "c", 15),
		settleInput(t, 1, "other", "d", 15),
		settleTick("2025-12-03", 1, 0),
		settleTick("2025-12-03", 1, 0),
	)
	numbers, codes := settled(t, out)
	require.Equal(t, []string{"a OK", "b UNCHANGED", "c OK", "d OK"}, codes)
	require.Equal(t, []string{
		"SETTLE-2025-11-001 pending", "SETTLE-2025-11-002 pending", "SETTLE-2025-11-001 pending",
		"SETTLE-2025-11-001 paid", "SETTLE-2025-11-002 paid", "SETTLE-2025-11-001 paid",
	}, numbers)
}

// TestSettlePreview: a preview gives the figures of an open period and changes nothing; without it such a period is
// refused.
func TestSettlePreview(t *testing.T) {
	t.Parallel()
	preview := func(request string) *kgo.Record {
		value, err := json.Marshal(schemas.SettleCommand{
			RequestID: request, TenantID: "acme", PeriodMonth: "2025-11", Cut: []int64{10}, Preview: true,
		})
		require.NoError(t, err)
		return settleRecord(schemas.KindSettle, 0, "acme", value)
	}
	tk, mem := settleTasks(&bookLedger{})()
	out := takeAll(t, row("settle"), tk, mem, 1, settleTick("2025-11-30", 1, 0), preview("a"),
		settleInput(t, 1, "acme", "b", 10), preview("c"))
	numbers, codes := settled(t, out)
	require.Empty(t, numbers)
	require.Equal(t, []string{"a OK", "b PERIOD_OPEN", "c OK"}, codes)
	require.Zero(t, mem.Keys(), "no state")
	var answers []schemas.OutcomeEvent
	for _, r := range out {
		var ev schemas.OutcomeEvent
		require.NoError(t, json.Unmarshal(r.Value, &ev))
		answers = append(answers, ev)
	}
	require.Contains(t, answers[1].Message, "2025-12-01")
	require.Equal(t, answers[0].Statement, answers[2].Statement)
	require.Contains(t, answers[0].Statement, `"total_collections_cents":10000`)

	numbers, codes = settled(t, takeAll(t, row("settle"), tk, mem, 1, settleTick("2025-12-01", 0, 0),
		settleInput(t, 1, "acme", "d", 10), preview("e"), settleInput(t, 1, "acme", "f", 12)))
	require.Equal(t, []string{"SETTLE-2025-11-001 pending", "SETTLE-2025-11-002 pending"}, numbers)
	require.Equal(t, []string{"d OK", "e UNCHANGED", "f OK"}, codes)
}

// TestSettlePayouts takes the bank's answers by the payout's id alone, of whatever tenant, and disputes by command.
func TestSettlePayouts(t *testing.T) {
	t.Parallel()
	tk, mem := func() (stage.Task, stage.Memory) {
		return openSettle(context.Background(), stage.Config{}, Needs{
			Rules: rules.Default(), Ledger: &bookLedger{}, Payouts: settlement.Confirmed,
		})
	}()
	id := func(tenant string) string { return schemas.SettlementID(tenant, "2025-11", 1) }
	answer := func(payout, status string) *kgo.Record {
		return settleRecord(schemas.KindPayout, 0, payout,
			[]byte(`{"payout_id":"`+payout+`","status":"`+status+`","effective_date":"2025-12-03"}`))
	}
	change := func(action schemas.StatementAction, tenant, settlement string) *kgo.Record {
		value, err := json.Marshal(schemas.StatementCommand{
			RequestID: "r", TenantID: tenant, Action: action, SettlementID: settlement, Note: "n",
		})
		require.NoError(t, err)
		return settleRecord(schemas.KindStatement, 0, tenant, value)
	}
	other := schemas.PayoutID("other", id("other"), 1)
	out := takeAll(t, row("settle"), tk, mem, 1,
		settleTick("2025-12-02", 0, 0), settleInput(t, 1, "acme", "a", 10), settleInput(t, 1, "other", "b", 7),
		change(schemas.StatementDispute, "acme", id("acme")),
		change(schemas.StatementDispute, "acme", id("other")), // another tenant's
		change("PAY", "acme", id("acme")), change(schemas.StatementDispute, "", id("acme")),
		settleTick("2025-12-03", 1, 0),
		answer(other, "PAID"), answer(other, "PAID"), answer(other, "FAILED"),
		answer(schemas.PayoutID("acme", id("acme"), 1), "PAID"), // which was not instructed
	)
	numbers, codes := settled(t, out)
	require.Equal(t, []string{
		"SETTLE-2025-11-001 pending", "SETTLE-2025-11-001 pending", "SETTLE-2025-11-001 disputed",
		"SETTLE-2025-11-001 pending", "SETTLE-2025-11-001 paid",
	}, numbers)
	require.Equal(t, []string{"a OK", "b OK", "r OK", "r CONFLICT"}, codes)
	require.Equal(t, []string{
		letters.ClassBadCommand, letters.ClassBadCommand, schemas.RejectContradictsFinal, schemas.RejectUnknownPayout,
	}, classes(out))
	var payouts []schemas.PayoutEvent
	for _, r := range out {
		if r.Topic == schemas.TopicPayouts {
			payouts = append(payouts, schemas.PayoutEvent{})
			require.NoError(t, json.Unmarshal(r.Value, &payouts[len(payouts)-1]))
		}
	}
	require.Len(t, payouts, 1)
	require.Equal(t, other, payouts[0].PayoutID)
}

// TestSettleNothing answers NOT_FOUND where the period has no collections, and keeps no state of it.
func TestSettleNothing(t *testing.T) {
	t.Parallel()
	tk, mem := settleTasks(&bookLedger{empty: true})()
	numbers, codes := settled(t, takeAll(t, row("settle"), tk, mem, 1, settleTick("2025-12-02", 0, 0),
		settleInput(t, 1, "acme", "a", 0)))
	require.Empty(t, numbers)
	require.Equal(t, []string{"a NOT_FOUND"}, codes)
	require.Zero(t, mem.Keys())
	requireOwnIDs(t, row("settle"), tk, mem, settleInput(t, 1, "acme", "b", 0))
}

// TestSettleAsksUpToTheCut: what is collected after a command was given must not change its answer, whenever that is
// made.
func TestSettleAsksUpToTheCut(t *testing.T) {
	t.Parallel()
	ledger := &bookLedger{still: true}
	tk, mem := settleTasks(ledger)()
	takeAll(t, row("settle"), tk, mem, 1, settleTick("2025-12-02", 0, 0), settleInput(t, 1, "acme", "a", 17))
	require.Equal(t, []int64{17}, ledger.cut)
}

// TestSettleRefuses gives each command that cannot be answered its class.
func TestSettleRefuses(t *testing.T) {
	t.Parallel()
	noTenant, noKind, noJSON := settleInput(t, 1, "", "a", 1), settleInput(t, 1, "acme", "a", 1), settleInput(t, 1, "acme",
		"a", 1)
	noKind.Headers, noJSON.Value = nil, []byte("{")
	tk, mem := settleTasks(&bookLedger{})()
	out := takeAll(t, row("settle"), tk, mem, 1, noTenant, noKind, noJSON, settleInput(t, 1, "acme", "a", 1, 2),
		settleInput(t, 1, "acme", "a", -1))
	require.Equal(t, []string{
		letters.ClassBadCommand, letters.ClassUnknownKind, letters.ClassBadCommand,
		letters.ClassBadCommand, letters.ClassBadCommand,
	}, classes(out))
}

// TestSettleOnKafka restarts the stage between commands while the ledger comes and goes: the statements are those of an
// uninterrupted run.
func TestSettleOnKafka(t *testing.T) {
	t.Parallel()
	const partitions = 2
	h := newHarness(t, partitions)
	ledger := &bookLedger{fails: 1}
	start := func() stop {
		return h.start(func(ctx context.Context, ready func()) error {
			return Run(ctx, h.cfg, "settle", Needs{Rules: rules.Default(), Ledger: ledger}, ready)
		})
	}
	for p := range int32(partitions) {
		h.produce(settleTick("2025-12-02", 0, p))
	}
	for i := range int64(6) {
		stopStage := start()
		h.produce(settleInput(t, partitions, "acme", string(rune('a'+i)), 10+5*(i/2), 3), settleInput(t, partitions, "other",
			string(rune('p'+i)), 7, i))
		if i%2 == 0 {
			h.caughtUp(schemas.GroupSettle, schemas.TopicSettlementCommands)
		}
		stopStage()
	}
	for _, date := range []string{"2025-12-03", "2025-12-04"} { // the payment date, met by a stage that is stopped in it
		stopStage := start()
		for p := range int32(partitions) {
			h.produce(settleTick(date, 1, p))
		}
		stopStage()
	}
	start()
	h.caughtUp(schemas.GroupSettle, schemas.TopicSettlementCommands)
	require.Len(t, flat(h.read(schemas.TopicPayouts)), 9, "each payable statement once")
	h.requireExactly(row("settle"), settleTasks(&bookLedger{}))
	require.Greater(t, ledger.asked, 12)
}

// TestSettleStopsWhileItWaits ends a stage whose ledger never answers; the command is answered by the next start.
func TestSettleStopsWhileItWaits(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 1)
	away := &bookLedger{fails: 1 << 30}
	stopStage := h.start(func(ctx context.Context, ready func()) error {
		return Run(ctx, h.cfg, "settle", Needs{Rules: rules.Default(), Ledger: away}, ready)
	})
	h.produce(settleTick("2025-12-02", 0, 0), settleInput(t, 1, "acme", "a", 10))
	require.Eventually(t, func() bool { away.mu.Lock(); defer away.mu.Unlock(); return away.asked > 0 }, patience,
		progress.RetryPause)
	stopStage()
	require.Empty(t, flat(h.read(schemas.TopicSettlements)))
	h.start(func(ctx context.Context, ready func()) error {
		return Run(ctx, h.cfg, "settle", Needs{Rules: rules.Default(), Ledger: &bookLedger{}}, ready)
	})
	h.caughtUp(schemas.GroupSettle, schemas.TopicSettlementCommands)
	require.Len(t, flat(h.read(schemas.TopicSettlements)), 1)
}
