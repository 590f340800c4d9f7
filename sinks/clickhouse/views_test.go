package clickhouse

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/sinks/clickhouse/chtest"
)

// store puts events into their table as the sink does, from the given offset of a partition on.
func store[E any](t testing.TB, conn driver.Conn, topic string, partition int32, offset int64, events ...E) {
	t.Helper()
	rs := recordsOf(t, topic, partition, offset, events...)
	// A token of its own each time: the point is that duplicates which got past the token do not show.
	token := fmt.Sprintf("%s-%d-%d-%d", topic, partition, offset, time.Now().UnixNano())
	into := withStates(tables())[topic]
	require.NoError(t, insert(withSettings(context.Background(), insertSettings(0), token), conn, into, rs))
	for _, state := range into.states() {
		require.NoError(t, insert(withSettings(context.Background(), insertSettings(0), ""), conn, state, rs))
	}
}

func recordsOf[E any](t testing.TB, topic string, partition int32, offset int64, events ...E) []*kgo.Record {
	t.Helper()
	rs := make([]*kgo.Record, len(events))
	for i, e := range events {
		b, err := json.Marshal(e)
		require.NoError(t, err)
		rs[i] = &kgo.Record{Topic: topic, Partition: partition, Offset: offset + int64(i), Value: b, Timestamp: sampleTime}
	}
	return rs
}

// month is one policy's life in events of kasi.collections.v1, with the fact, the money moved and the collected total
// of each version.
type month struct {
	policy, period string
	due            schemas.Cents
}

func (m month) event(version int64, change schemas.ChangeKind, debit string, moved, collected schemas.Cents,
	status schemas.CollectionStatus,
) schemas.CollectionEvent {
	pol := schemas.PolicyID("acme", m.policy)
	return schemas.CollectionEvent{
		Meta: schemas.Meta{
			EventID: schemas.FactID(m.policy, m.period, fmt.Sprint(version)), Seq: version,
			BusinessDate: "2025-11-05", At: sampleTime,
		},
		CollectionID: schemas.CollectionID(pol, schemas.Period(m.period)), TenantID: "acme", CustomerID: "C-" + m.policy,
		PolicyID: pol, PolicyNumber: m.policy,
		ExternalCustomerRef: "EXT-" + m.policy, ProductCode: "FUNERAL_01", PeriodMonth: schemas.Period(m.period),
		ExecutionID: "exec", Version: version,
		DueCents: m.due, CollectedCents: collected, Status: status, Change: schemas.Change{
			Kind: change, DebitID: debit,
			MovedCents: moved, EffectiveDate: "2025-11-05",
		},
	}
}

func (m month) debit(seq int64, id string) schemas.DebitInstruction {
	e := m.event(1, schemas.ChangeInstructed, id, 0, 0, schemas.Unpaid)
	return schemas.DebitInstruction{
		Meta:    schemas.Meta{EventID: schemas.FactID(id), Seq: seq, BusinessDate: "2025-11-05", At: sampleTime},
		DebitID: id, TenantID: e.TenantID, CustomerID: e.CustomerID, PolicyNumber: e.PolicyNumber,
		CollectionID: e.CollectionID, PeriodMonth: e.PeriodMonth, Attempt: 1, AmountCents: 10_000, ActionDate: "2025-11-05",
		Rail: schemas.RailEFT,
	}
}

// A deposit that was taken back is one row, which says why; events of earlier builds have no number.
func TestDepositsSayWhatWasTakenBack(t *testing.T) {
	conn := open(t, chtest.New(t))
	event := func(seq int64, customer, tx string, no int, why string) schemas.DepositEvent {
		return schemas.DepositEvent{
			Meta: schemas.Meta{
				EventID: schemas.FactID(customer, tx, why), Seq: seq, BusinessDate: "2025-11-05", At: sampleTime,
			},
			TenantID: "acme", CustomerID: customer, TransactionID: tx, DepositDate: "2025-11-04", AmountCents: 850000,
			StreamID: "SALARY-1", Kind: schemas.Salary, StreamStatus: "EARLY_DETECTION", DepositNo: no, TakenBack: why,
		}
	}
	store(t, conn, schemas.TopicDeposits, 0, 0, event(1, "C1", "t1", 1, ""), event(2, "C1", "t2", 2, ""),
		event(3, "C1", "t1", 1, schemas.DepositReversed), event(4, "C1", "t1", 1, schemas.DepositReplaced),
		event(5, "C2", "t1", 1, ""), event(6, "C2", "old", 0, ""), event(7, "C2", "t3", 3, ""),
		event(8, "C2", "t3", 3, schemas.DepositCancelled))
	require.Equal(t, []string{
		`"C1 t1 REPLACED"`, `"C1 t2 COUNTED"`, `"C2 old COUNTED"`, `"C2 t1 COUNTED"`, `"C2 t3 CANCELLED"`,
	}, lines(t, conn, "SELECT concat(customer_id, ' ', transaction_id, ' ', status) AS d FROM deposits ORDER BY d"))
	require.Equal(t, []string{"3"}, lines(t, conn, "SELECT count() FROM deposits WHERE status = 'COUNTED'"))
}

// books is a small known world: three policies over two periods on two partitions, with a late return, and two
// statements.
//
//	partition 0: seq 10.. ; partition 1: seq 20.. ; the offsets are others
//	October statement 001 counts everything of October before the cut; November statement 001 counts November, and
//	October's late return as an adjustment.
func books(t testing.TB, conn driver.Conn) {
	a10, a11 := month{"POL-A", "2025-10", 10_000}, month{"POL-A", "2025-11", 10_000}
	b10, b11 := month{"POL-B", "2025-10", 20_000}, month{"POL-B", "2025-11", 20_000}
	c11 := month{"POL-C", "2025-11", 30_000}
	store(t, conn, schemas.TopicCollections, 0, 30, numbered(10,
		a10.event(1, schemas.ChangeCreated, "", 0, 0, schemas.Unpaid),                  // 10
		a10.event(2, schemas.ChangePaid, "d1", 10_000, 10_000, schemas.PaidFull),       // 11
		a11.event(1, schemas.ChangeCreated, "", 0, 0, schemas.Unpaid),                  // 12
		a11.event(2, schemas.ChangeUnpaid, "d2", 0, 0, schemas.Unpaid),                 // 13
		a11.event(3, schemas.ChangePaid, "d3", 10_000, 10_000, schemas.PaidFull),       // 14
		a10.event(3, schemas.ChangeLateUnpaid, "d1", -10_000, 0, schemas.Unpaid),       // 15: after October's cut
		c11.event(1, schemas.ChangeCreated, "", 0, 0, schemas.Unpaid),                  // 16
		c11.event(2, schemas.ChangePaid, "d4", 8_000, 8_000, schemas.PaidPartial),      // 17
		c11.event(3, schemas.ChangePaid, "d5", 7_001, 15_001, schemas.PaidPartial),     // 18
		c11.event(4, schemas.ChangeDisputed, "d4", -8_000, 7_001, schemas.PaidPartial), // 19: after November's cut
	)...)
	store(t, conn, schemas.TopicCollections, 1, 5, numbered(20,
		b10.event(1, schemas.ChangePaid, "d6", 20_000, 20_000, schemas.PaidFull), // 20
		b11.event(1, schemas.ChangePaid, "d7", 5_000, 5_000, schemas.PaidPartial),
		b11.event(2, schemas.ChangeCancelled, "", 0, 5_000, schemas.CollectionCancelled),
	)...)
	for i, d := range []struct {
		of month
		id string
	}{{a10, "d1"}, {a11, "d2"}, {a11, "d3"}, {c11, "d4"}, {c11, "d5"}, {c11, "d9"}} {
		store(t, conn, schemas.TopicDebits, 0, int64(i), d.of.debit(int64(i+1), d.id))
	}
	first, second := octoberStatement(), novemberStatement()
	second.Seq = 2
	paid := first
	paid.Version, paid.Status, paid.EventID, paid.Seq = 2, schemas.SettlementPaid, schemas.FactID("s1", "2"), 3
	paid.Change, paid.PaidDate, paid.PayoutState = schemas.SettlementPaidOut, "2025-12-03", schemas.PayoutPaid
	paid.PayoutID = schemas.PayoutID("acme", paid.SettlementID, 1)
	store(t, conn, schemas.TopicSettlements, 0, 0, first, second, paid)
	store(t, conn, schemas.TopicPayouts, 0, 0, schemas.PayoutEvent{
		Meta: first.Meta, PayoutID: paid.PayoutID, TenantID: "acme", SettlementID: paid.SettlementID,
		SettlementNumber: paid.Number, AmountCents: paid.PayableCents, Currency: "ZAR", PaymentDate: "2025-12-03",
		PaymentReference: "EFT-20251203-001",
	})
	store(t, conn, schemas.TopicCalendar, 0, 0, schemas.Tick{Date: "2025-11-05"},
		schemas.Tick{Date: "2025-11-05", Cutoff: 1}, schemas.Tick{Date: "2025-11-04", Cutoff: 2})
}

// numbered gives events the seq from..., as their stage does.
func numbered(from int64, events ...schemas.CollectionEvent) []schemas.CollectionEvent {
	for i := range events {
		events[i].Seq = from + int64(i)
	}
	return events
}

func octoberStatement() schemas.SettlementEvent {
	return statement("2025-10", 30_000, 0, []schemas.Coverage{
		{Period: "2025-10", From: []int64{0, 0}, To: []int64{12, 21}},
	})
}

func novemberStatement() schemas.SettlementEvent {
	return statement("2025-11", 20_001, -10_000, []schemas.Coverage{
		{Period: "2025-11", From: []int64{0, 0}, To: []int64{19, 23}},
		{Period: "2025-10", From: []int64{12, 21}, To: []int64{19, 23}},
	})
}

func statement(p schemas.Period, total, adjustments schemas.Cents, cov []schemas.Coverage) schemas.SettlementEvent {
	return schemas.SettlementEvent{
		Meta: schemas.Meta{
			EventID: schemas.FactID("settlement", string(p)), Seq: 1, BusinessDate: "2025-12-02",
			At: sampleTime,
		},
		SettlementID: schemas.SettlementID("acme", p, 1), TenantID: "acme", Number: "SETTLE-" + string(p) + "-001",
		PeriodMonth: p, Sequence: 1, Version: 1,
		TotalCollectionsCents: total, AdjustmentsCents: adjustments, PaymentDate: "2025-12-03",
		NetCents: total, PayableCents: total, Change: schemas.SettlementCreated,
		Status: schemas.SettlementPending, CreatedAt: sampleTime, Coverage: cov,
	}
}

// lines gives a query's rows as text, one value after the other.
func lines(t testing.TB, conn driver.Conn, query string) []string {
	t.Helper()
	var got []string
	require.NoError(t, conn.QueryRow(context.Background(),
		"SELECT groupArray(line) FROM (SELECT formatRowNoNewline('CSV', *) AS line FROM ("+query+"))").Scan(&got), query)
	return got
}

// The views give the same right answer with rows stored once, stored twice, and merged.
func TestViewsBeforeAndAfterMerges(t *testing.T) {
	conn := open(t, chtest.New(t))
	ctx := context.Background()
	for _, table := range schemas.SunkTopics {
		require.NoError(t, conn.Exec(ctx, "SYSTEM STOP MERGES "+table))
	}
	books(t, conn)
	t.Run("once", func(t *testing.T) { knownAnswers(t, conn) })
	books(t, conn)
	var stored uint64
	require.NoError(t, conn.QueryRow(ctx, "SELECT count() FROM collections_log").Scan(&stored))
	require.EqualValues(t, 26, stored, "every row is there twice")
	t.Run("twice", func(t *testing.T) { knownAnswers(t, conn) })
	for _, table := range schemas.SunkTopics {
		require.NoError(t, conn.Exec(ctx, "SYSTEM START MERGES "+table))
		require.NoError(t, conn.Exec(ctx, "OPTIMIZE TABLE "+table+" FINAL"))
	}
	require.NoError(t, conn.QueryRow(ctx, "SELECT count() FROM collections_log").Scan(&stored))
	require.EqualValues(t, 13, stored)
	t.Run("merged", func(t *testing.T) { knownAnswers(t, conn) })
}

func knownAnswers(t *testing.T, conn driver.Conn) {
	require.Equal(t, []string{
		`"2025-10","POL-A","UNPAID",100,0,100`, `"2025-10","POL-B","PAID_FULL",200,200,0`,
		`"2025-11","POL-A","PAID_FULL",100,100,0`, `"2025-11","POL-B","CANCELLED",200,50,150`,
		`"2025-11","POL-C","PAID_PARTIAL",300,70.01,229.99`,
	}, lines(t, conn, "SELECT period_month, policy_number, collection_status, due, collected, shortfall FROM "+
		"collections ORDER BY ALL"))
	require.Equal(t, []string{`"2025-10",200`, `"2025-11",220.01`},
		lines(t, conn, "SELECT period_month, sum(moved) FROM movements GROUP BY ALL ORDER BY ALL"))
	require.Equal(t, []string{
		`"SETTLE-2025-10-001","COLLECTION","POL-A",100`, `"SETTLE-2025-10-001","COLLECTION","POL-B",200`,
		`"SETTLE-2025-11-001","ADJUSTMENT","POL-A",-100`,
		`"SETTLE-2025-11-001","COLLECTION","POL-A",100`, `"SETTLE-2025-11-001","COLLECTION","POL-B",50`,
		`"SETTLE-2025-11-001","COLLECTION","POL-C",150.01`,
	}, lines(t, conn, "SELECT settlement_number, line_type, policy_number, amount FROM settlement_lines ORDER BY ALL"))
	require.Equal(t, []string{
		`"SETTLE-2025-10-001","paid",300,300,300,true`, `"SETTLE-2025-11-001","pending",200.01,0,0,true`,
	}, lines(t, conn, "SELECT settlement_number, status, lines, instructed, paid, ok FROM settlement_proof ORDER BY ALL"))
	require.Equal(t, []string{
		`"adjustments",100`, `"bank",420.01`, `"collected",-600.01`, `"collections_fee",0`, `"distribution_fee",0`,
		`"paid",-300`, `"payable",-200.01`, `"settled",500.01`, `"unsettled",80`, `"vat",0`,
	}, lines(t, conn, "SELECT account, amount FROM ledger_balances WHERE tenant_id = 'acme' ORDER BY account"))
	require.Equal(t, []string{"0"},
		lines(t, conn, "SELECT count() FROM (SELECT sum(cents) AS c FROM ledger GROUP BY entry_id HAVING c != 0)"))
	require.Equal(t, []string{
		`"SETTLE-2025-10-001",300,"paid",1,1`, `"SETTLE-2025-11-001",200.01,"pending",1,1`,
	}, lines(t, conn, `
		SELECT s.settlement_number, s.total_collections, s.status, sum(l.amount_cents) = s.total_collections_cents,
			sumIf(l.amount_cents, l.line_type = 'ADJUSTMENT') = s.adjustments_cents
		FROM settlements AS s INNER JOIN settlement_lines AS l ON l.settlement_id = s.settlement_id
		GROUP BY s.settlement_number, s.total_collections, s.status, s.total_collections_cents, s.adjustments_cents
		ORDER BY ALL`), "the lines add up to the statement to the cent")
	require.Equal(t, []string{
		`"d1","unpaid"`, `"d2","unpaid"`, `"d3","paid"`, `"d4","disputed"`, `"d5","paid"`, `"d9","pending"`,
	}, lines(t, conn, "SELECT debit_id, status FROM debits ORDER BY debit_id"))
	require.Equal(t, []string{`"2025-11-05",1`}, lines(t, conn, "SELECT * FROM calendar"))
}

// A policy is its latest version, whatever the order of the rows; a debit stands as the bank's latest answer says.
func TestViewsShowTheLatest(t *testing.T) {
	conn := open(t, chtest.New(t))
	policy := func(version int64, status schemas.PolicyStatus) schemas.PolicyEvent {
		return schemas.PolicyEvent{
			Meta: schemas.Meta{
				EventID: schemas.FactID(fmt.Sprint(version)), Seq: version, BusinessDate: "2025-11-05", At: sampleTime,
			},
			PolicyID: schemas.PolicyID("acme", "POL-A"), TenantID: "acme", CustomerID: "C", PolicyNumber: "POL-A",
			Version: version, PolicyTerms: schemas.PolicyTerms{PremiumCents: 1, Status: status, Rail: schemas.RailEFT},
			CreatedAt: sampleTime, UpdatedAt: sampleTime,
		}
	}
	store(t, conn, schemas.TopicPolicies, 0, 0, policy(3, schemas.PolicyCancelled), policy(1, schemas.PolicyActive))
	store(t, conn, schemas.TopicPolicies, 0, 2, policy(2, schemas.PolicyLapsed))
	require.Equal(t, []string{`3,"cancelled"`}, lines(t, conn, "SELECT version, status FROM policies"))

	var want []string
	for i, c := range []struct {
		says   []schemas.ChangeKind
		status string
	}{
		{nil, "pending"},
		{[]schemas.ChangeKind{schemas.ChangePaid}, "paid"},
		{[]schemas.ChangeKind{schemas.ChangeUnpaid}, "unpaid"},
		{[]schemas.ChangeKind{schemas.ChangePaid, schemas.ChangeLateUnpaid}, "unpaid"},
		{[]schemas.ChangeKind{schemas.ChangeRejected}, "rejected"},
		{[]schemas.ChangeKind{schemas.ChangePaid, schemas.ChangeRejected}, "rejected"},
		{[]schemas.ChangeKind{schemas.ChangeUnpaid, schemas.ChangeDisputed}, "disputed"},
		{[]schemas.ChangeKind{schemas.ChangeDisputed, schemas.ChangePaidDisputed}, "disputed"},
	} {
		d := fmt.Sprint("d", i)
		m := month{"POL-" + d, "2025-11", 100}
		store(t, conn, schemas.TopicDebits, 0, int64(i), m.debit(int64(i+1), d))
		var said []schemas.CollectionEvent
		for n, kind := range append([]schemas.ChangeKind{schemas.ChangeInstructed}, c.says...) {
			said = append(said, m.event(int64(n+1), kind, d, 0, 0, schemas.Unpaid))
		}
		store(t, conn, schemas.TopicCollections, 0, int64(10*i), said...)
		want = append(want, fmt.Sprintf("%q,%q", d, c.status))
	}
	require.Equal(t, want, lines(t, conn, "SELECT debit_id, status FROM debits ORDER BY debit_id"))
}
