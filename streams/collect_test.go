package streams

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/processors/settlement"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/letters"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/stage"
)

// openCollect makes the real collect task.
func collectTasks() (stage.Task, stage.Memory) {
	needs := Needs{Engine: processors.NewEngine(rules.Default())}
	return openCollect(context.Background(), stage.Config{}, needs)
}

func runCollect(cfg stage.Config) func(context.Context, func()) error {
	return func(ctx context.Context, ready func()) error {
		return Run(ctx, cfg, "collect", Needs{Engine: processors.NewEngine(rules.Default())}, ready)
	}
}

// month writes the timeline of some customers' month by hand.
type month struct {
	t          testing.TB
	partitions int32
	records    []*kgo.Record
	at         time.Time
}

func newMonth(t testing.TB, partitions int32) *month {
	return &month{t: t, partitions: partitions, at: time.Date(2025, 11, 1, 4, 0, 0, 0, time.UTC)}
}

func (m *month) add(kind schemas.Kind, hash uint32, key string, value any) {
	m.t.Helper()
	text, ok := value.(string)
	if !ok {
		b, err := json.Marshal(value)
		require.NoError(m.t, err)
		text = string(b)
	}
	m.at = m.at.Add(time.Second)
	m.records = append(m.records, &kgo.Record{
		Topic: schemas.TopicTimeline, Partition: schemas.PartitionOf(hash, m.partitions), Key: []byte(key),
		Value: []byte(text), Timestamp: m.at,
		Headers: []kgo.RecordHeader{{Key: schemas.HeaderKind, Value: []byte(kind)}},
	})
}

func (m *month) of(kind schemas.Kind, customer string, value any) {
	key := schemas.CustomerKey("acme", customer)
	m.add(kind, schemas.RoutingHash(key), key, value)
}

func (m *month) tick(date string, cutoff int) {
	for p := range m.partitions {
		m.add(schemas.KindTick, uint32(p), "tick", schemas.Tick{Date: date, Cutoff: cutoff})
	}
}

func policyOf(customer string) string { return "POL-" + customer }

func (m *month) policy(customer string, premium schemas.Cents) {
	m.of(schemas.KindPolicy, customer, schemas.PolicyCommand{
		RequestID: "import", Action: schemas.PolicyImport, TenantID: "acme", CustomerID: customer,
		PolicyNumber: policyOf(customer),
		Terms: &schemas.PolicyTerms{
			ProductCode: "FUNERAL_01", PremiumCents: premium, Status: schemas.PolicyActive,
			Rail: schemas.RailDebiCheck,
		},
	})
}

func (m *month) execute(customer string) {
	m.of(schemas.KindExecute, customer, schemas.ExecuteCommand{
		RequestID: "execute", ExecutionID: "x", TenantID: "acme", CustomerID: customer, PolicyNumber: policyOf(customer),
		PeriodMonth: "2025-11",
	})
}

func (m *month) transaction(customer, id, date string, cents int) {
	m.of(schemas.KindTransaction, customer, fmt.Sprintf(
		`{"transaction_id":%q,"tenant_id":"acme","customer_id":%q,"booked_at":"%sT09:00:00+02:00",`+
			`"amount_cents":%d,"direction":"CREDIT","description":"TIPS"}`,
		id, customer, date, cents))
}

func debitOf(customer string, attempt int) string {
	return schemas.DebitID("acme", customer, schemas.CollectionID(schemas.PolicyID("acme", policyOf(customer)), "2025-11"),
		attempt)
}

func (m *month) result(debit, id string, status schemas.ResultStatus, date string) {
	hash, err := schemas.DebitRoute(debit)
	require.NoError(m.t, err)
	res := schemas.Result{ResultID: id, DebitID: debit, Status: status, EffectiveDate: date}
	if status == schemas.ResultUnpaid {
		res.ReasonCode, res.ReasonScheme = "02", "ZA"
	}
	m.add(schemas.KindResult, hash, debit, res)
}

// busyMonth is a month of many customers: imports, executions, deposits, failed and paid debits, duplicates of all of
// it, and bad records.
func busyMonth(t testing.TB, partitions int32, customers int) *month {
	m := newMonth(t, partitions)
	name := func(i int) string { return fmt.Sprintf("CUST%03d", i) }
	m.tick("2025-11-01", 0)
	for i := range customers {
		m.policy(name(i), schemas.Cents(10000+100*i))
		m.execute(name(i))
	}
	for day := (civil.Date{Year: 2025, Month: 11, Day: 1}); day.Day <= 30 && day.Month == 11; day = day.AddDays(1) {
		date := day.String()
		m.tick(date, 0)
		for i := range customers {
			if (i+day.Day)%6 == 0 {
				m.transaction(name(i), fmt.Sprintf("tx-%d-%d", i, day.Day), date, 3000+10*i)
				m.transaction(name(i), fmt.Sprintf("tx-%d-%d", i, day.Day), date, 3000+10*i) // the bank sends it twice
			}
		}
		m.tick(date, 1)
		m.tick(date, 1) // the ticker writes it twice
		for i := range customers {
			if attempt := 1 + day.Day/7; day.Day%7 == 6 {
				status := schemas.ResultPaid
				if (i+attempt)%3 == 0 {
					status = schemas.ResultUnpaid
				}
				m.result(debitOf(name(i), attempt), fmt.Sprintf("res-%d-%d", i, attempt), status, date)
				m.result(debitOf(name(i), attempt), fmt.Sprintf("res-%d-%d", i, attempt), status, date)
			}
		}
		if day.Day%10 == 0 {
			m.of(schemas.KindTransaction, name(0), `{"transaction_id":"half`)
			m.of("rumour", name(0), `{}`)
		}
	}
	return m
}

// TestCollectIsTheEngineOnKafka runs a month through Kafka with restarts in the middle, rebalances and small
// transactions, and compares every output byte for byte with the same records through the task alone.
func TestCollectIsTheEngineOnKafka(t *testing.T) {
	t.Parallel()
	const partitions = 3
	h := newHarness(t, partitions)
	cfg := h.cfg
	cfg.MaxRecords = 100
	input := busyMonth(t, partitions, 30).records
	stopStage := h.start(runCollect(cfg))
	n := 0
	h.feed(input, 250, func(int) {
		if n++; n%3 == 0 {
			stopStage()
			stopStage = h.start(runCollect(cfg))
		}
	})
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	stopStage()
	h.requireExactly(row("collect"), collectTasks)
	requireDense(t, h)
	require.Greater(t, len(flat(h.read(schemas.TopicDebits))), 30, "the month must have caused debits")
	require.Greater(t, len(flat(h.read(schemas.TopicCollections))), 100)
	paid := 0
	for _, r := range flat(h.read(schemas.TopicCollections)) {
		var ev schemas.CollectionEvent
		require.NoError(t, json.Unmarshal(r.Value, &ev))
		if ev.Change.Kind == schemas.ChangePaid {
			paid++
		}
	}
	require.Greater(t, paid, 10, "results must have found their customers")
}

// requireDense checks Seq 1, 2, 3... on each partition of each dense output of collect.
func requireDense(t *testing.T, h *harness) {
	t.Helper()
	st := row("collect")
	for _, o := range st.Outputs {
		if !o.Dense {
			continue
		}
		for p, records := range h.read(o.Topic) {
			for i, r := range records {
				var m schemas.Meta
				require.NoError(t, json.Unmarshal(r.Value, &m))
				require.Equal(t, int64(i+1), m.Seq, "%s partition %d", o.Topic, p)
			}
		}
	}
}

func flat(parts [][]*kgo.Record) []*kgo.Record {
	var out []*kgo.Record
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// takeAll runs records of one partition through a task without Kafka.
func takeAll(t testing.TB, st stage.Row, tk stage.Task, m stage.Memory, count int32,
	records ...*kgo.Record,
) []*kgo.Record {
	t.Helper()
	for i, r := range records {
		r.Offset = int64(i) + m.Now().Next
	}
	made, err := stage.Dry(st, tk, m, records[0].Partition, count, records...)
	require.NoError(t, err)
	m.Merge()
	var out []*kgo.Record
	for _, r := range made {
		if r.Topic != st.State {
			out = append(out, r)
		}
	}
	return out
}

// classes are the dead letters' classes, in order.
func classes(records []*kgo.Record) []string {
	var out []string
	for _, r := range records {
		if r.Topic == schemas.TopicDeadLetters {
			out = append(out, progress.Header(r, letters.HeaderErrorClass))
		}
	}
	return out
}

// TestCollectRefuses gives each record that collect cannot use its class.
func TestCollectRefuses(t *testing.T) {
	t.Parallel()
	m := newMonth(t, 1)
	m.tick("2025-11-05", 0)
	m.of("", "C", `{}`)
	m.of(schemas.KindTick, "C", `{"date":"2025-13-01"}`)
	m.of(schemas.KindTransaction, "C", `[]`)
	m.of(schemas.KindPolicy, "C", `{`)
	m.of(schemas.KindExecute, "C\x1ep", schemas.ExecuteCommand{
		TenantID: "acme", CustomerID: "C\x1ep", PolicyNumber: "P", PeriodMonth: "2025-11",
	})
	m.of(schemas.KindPolicy, "C", schemas.PolicyCommand{TenantID: "acme", PolicyNumber: "P", Action: schemas.PolicyPatch})
	m.of(schemas.KindExecute, "C", schemas.ExecuteCommand{
		TenantID: "acme", CustomerID: "C", PolicyNumber: "P",
		PeriodMonth: "november",
	})
	m.result(debitOf("nobody", 1), "r1", schemas.ResultPaid, "2025-11-05")
	tk, mem := collectTasks()
	out := takeAll(t, row("collect"), tk, mem, 1, m.records...)
	require.Equal(t, []string{
		letters.ClassUnknownKind, letters.ClassBadCommand, schemas.RejectBadJSON, letters.ClassBadCommand,
		letters.ClassBadCommand, letters.ClassBadCommand, letters.ClassBadCommand,
		schemas.RejectUnknownDebit,
	}, classes(out))
	require.Len(t, out, 8, "nothing else may leave")
	require.Zero(t, mem.Keys(), "a refused record leaves no state")
}

// TestCollectRefusesWrongPartition keeps a customer from living on two partitions.
func TestCollectRefusesWrongPartition(t *testing.T) {
	t.Parallel()
	m := newMonth(t, 4)
	m.transaction("C", "t1", "2025-11-01", 100)
	m.records[0].Partition = (m.records[0].Partition + 1) % 4
	tk, mem := collectTasks()
	require.Equal(t, []string{letters.ClassWrongPartition}, classes(takeAll(t, row("collect"), tk, mem, 4, m.records...)))
}

// TestCollectOldTicks ignores a tick that is not after the last one.
func TestCollectOldTicks(t *testing.T) {
	t.Parallel()
	m := newMonth(t, 1)
	m.tick("2025-11-05", 0)
	m.policy("C", 15000)
	m.execute("C")
	m.tick("2025-11-05", 1)
	tk, mem := collectTasks()
	st := row("collect")
	first := takeAll(t, st, tk, mem, 1, m.records...)
	require.NotEmpty(t, first)
	m.records = nil
	m.tick("2025-11-05", 1)
	m.tick("2025-11-05", 0)
	m.tick("2025-11-04", 1)
	require.Empty(t, takeAll(t, st, tk, mem, 1, m.records...))
	require.Equal(t, schemas.Tick{Date: "2025-11-05", Cutoff: 1}, mem.Now().Tick)
}

// TestCollectDebitIndex finds a debit's customer in the batch that made the debit, after its commit, after a restore,
// and not after a dropped batch.
func TestCollectDebitIndex(t *testing.T) {
	t.Parallel()
	m := newMonth(t, 1)
	m.tick("2025-11-05", 0)
	m.policy("C", 15000)
	m.execute("C")
	m.tick("2025-11-05", 1)
	m.result(debitOf("C", 1), "r1", schemas.ResultUnpaid, "2025-11-05")
	st := row("collect")
	tk, mem := collectTasks()
	require.Empty(t, classes(takeAll(t, st, tk, mem, 1, m.records...)), "in the same batch")

	again := newMonth(t, 1)
	again.result(debitOf("C", 1), "r1", schemas.ResultUnpaid, "2025-11-05")
	require.Empty(t, takeAll(t, st, tk, mem, 1, again.records...), "after the commit, as a duplicate")

	restored, rmem := collectTasks()
	require.NoError(t, mem.Snapshot(func(key string, value []byte) { require.NoError(t, rmem.Load(key, value)) }))
	require.NoError(t, rmem.Whole())
	rmem.Loaded()
	require.Empty(t, takeAll(t, st, restored, rmem, 1, again.records...), "after a restore, as a duplicate")

	dropped, dmem := collectTasks()
	_, err := stage.Dry(st, dropped, dmem, 0, 1, m.records[:4]...)
	require.NoError(t, err)
	dmem.Drop()
	require.Equal(t, []string{schemas.RejectUnknownDebit},
		classes(takeAll(t, st, dropped, dmem, 1, again.records...)), "after a dropped batch")
}

// A changelog that Kafka has compacted holds the last record of each row only, where that was written: the customer's
// own row, which nearly every batch writes, lies behind his policies. All of it is there, and is counted so.
func TestCollectRestoresACompactedChangelog(t *testing.T) {
	t.Parallel()
	m := newMonth(t, 1)
	m.tick("2025-11-05", 0)
	m.policy("C", 15000)
	m.execute("C")
	m.tick("2025-11-05", 1)
	m.result(debitOf("C", 1), "r1", schemas.ResultUnpaid, "2025-11-05")
	m.transaction("C", "t1", "2025-11-05", 500000)
	m.tick("2025-11-06", 0)
	m.tick("2025-11-06", 1)
	st := row("collect")
	tk, mem := collectTasks()
	last := map[string]int{}
	var log []*kgo.Record
	for i, rec := range m.records {
		rec.Offset = int64(i)
		made, err := stage.Dry(st, tk, mem, 0, 1, rec)
		require.NoError(t, err)
		mem.Merge()
		for _, r := range made {
			if r.Topic == st.State {
				last[string(r.Key)] = len(log)
				log = append(log, r)
			}
		}
	}
	require.Greater(t, len(log), len(last)+5, "rows were written again")
	_, restored := collectTasks()
	own := -1
	for i, r := range log {
		if last[string(r.Key)] != i {
			continue
		}
		if string(r.Key) == schemas.CustomerKey("acme", "C") {
			own = i
		}
		require.NoError(t, restored.Load(string(r.Key), r.Value))
	}
	require.Positive(t, own)
	require.NoError(t, restored.Whole())
	restored.Loaded()
	require.NoError(t, mem.Snapshot(func(key string, value []byte) {
		require.Equal(t, string(log[last[key]].Value), string(value), key)
	}))
}

// The same of settle, whose row of a tenant is never empty.
func TestSettleRestoresACompactedChangelog(t *testing.T) {
	t.Parallel()
	codec := stage.Codec[settlement.Tenant]{
		Clone: (*settlement.Tenant).Clone, Changed: settlement.Changed, Append: settlement.AppendRow,
		Load: settlement.LoadRow,
	}
	s, log := stage.NewStore(codec), map[string][]byte{}
	write := func(change func(*settlement.Tenant)) {
		change(s.Edit("acme"))
		_, err := s.Write(nil, 0, func(key string, value []byte) { log[key] = bytes.Clone(value) })
		require.NoError(t, err)
		s.Merge()
	}
	write(func(a *settlement.Tenant) {
		a.Periods = map[schemas.Period]settlement.SettledPeriod{"2025-11": {Statements: 1, Covered: []int64{7}}}
	})
	write(func(a *settlement.Tenant) { a.CarriedCents = -5 })
	restored := stage.NewStore(codec)
	for _, key := range []string{"acme" + stage.RowMark + "p2025-11", "acme", stage.FactsKey} {
		require.NoError(t, restored.Load(key, log[key]))
	}
	require.NoError(t, restored.Whole())
}

// TestCollectBeforeTime takes transactions in before the first tick and lets them wait for their day.
func TestCollectBeforeTime(t *testing.T) {
	t.Parallel()
	m := newMonth(t, 1)
	m.transaction("C", "t1", "2025-11-03", 5000)
	tk, mem := collectTasks()
	st := row("collect")
	for _, r := range takeAll(t, st, tk, mem, 1, m.records...) {
		require.NotEqual(t, schemas.TopicDeposits, r.Topic)
		require.NotEqual(t, schemas.TopicDeadLetters, r.Topic)
	}
	m.records = nil
	m.tick("2025-11-03", 0)
	topics := map[string]int{}
	for _, r := range takeAll(t, st, tk, mem, 1, m.records...) {
		topics[r.Topic]++
	}
	require.Equal(t, 1, topics[schemas.TopicDeposits])
}
