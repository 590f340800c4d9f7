package clickhouse

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/sinks/clickhouse/chtest"
	"github.com/kasi-collections/kasi/streams/kafkatest"
)

func TestMain(m *testing.M) { os.Exit(chtest.Main(m, runIfSink)) }

func TestSinkStoresEverythingOnce(t *testing.T) {
	w := newWorld(t, 2)
	w.write(7)
	s := w.start(w.config(), quick())
	w.caughtUp()
	w.write(5)
	w.write(1, schemas.TopicCollections)
	w.caughtUp()
	w.transaction(kgo.TryAbort, 2) // leaves nothing but markers
	w.caughtUp()
	w.exact()
	s.end()
}

// world is a Kafka, a ClickHouse database and a writer that plays the stages.
type world struct {
	t      testing.TB
	kafka  *kafkatest.Kafka
	opts   *clickhouse.Options
	conn   driver.Conn
	admin  *kadm.Client
	writer *kgo.Client
	n      int32
	// seq and rows count what was committed, by topic and partition.
	seq  map[topicPartition]int64
	rows map[string]int
}

// newWorld is on the Kafka that the environment asks for.
func newWorld(t testing.TB, partitions int32) *world {
	t.Helper()
	return worldOn(t, kafkatest.Start(t), partitions)
}

// newFakeWorld is on the embedded Kafka, for tests that watch or change its requests.
func newFakeWorld(t testing.TB, partitions int32) *world {
	t.Helper()
	return worldOn(t, kafkatest.Fake(t), partitions)
}

func worldOn(t testing.TB, kafka *kafkatest.Kafka, partitions int32) *world {
	t.Helper()
	return worldWith(t, kafka, chtest.New(t), partitions)
}

// worldWith is on a migrated ClickHouse database.
func worldWith(t testing.TB, kafka *kafkatest.Kafka, opts *clickhouse.Options, partitions int32) *world {
	t.Helper()
	w := &world{t: t, kafka: kafka, n: partitions, seq: make(map[topicPartition]int64), rows: make(map[string]int)}
	var parted []string
	for _, topic := range slices.Sorted(maps.Keys(schemas.SunkTopics)) {
		if topic != schemas.TopicCalendar {
			parted = append(parted, topic)
		}
	}
	var err error
	kafka.Topics(t, partitions, parted...)
	kafka.Topics(t, 1, schemas.TopicCalendar)
	w.opts = opts
	w.conn = open(t, w.opts)
	w.stopMerges()
	w.writer, err = kgo.NewClient(
		kgo.SeedBrokers(w.kafka.Brokers...),
		kgo.TransactionalID("stage"),
		kgo.ProducerLinger(0),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MetadataMinAge(50*time.Millisecond),
	)
	require.NoError(t, err)
	t.Cleanup(w.writer.Close)
	w.admin = kadm.NewClient(w.writer)
	return w
}

// stopMerges keeps ClickHouse from merging parts, which would hide duplicates.
func (w *world) stopMerges() {
	w.t.Helper()
	for _, table := range schemas.SunkTopics {
		w.exec("SYSTEM STOP MERGES " + table)
	}
}

func open(t testing.TB, opts *clickhouse.Options) driver.Conn {
	t.Helper()
	conn, err := clickhouse.Open(opts)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// write commits per events of each topic to each partition in one transaction, as a stage does. Before it, it aborts
// one of the same size.
func (w *world) write(per int, topics ...string) {
	w.t.Helper()
	w.transaction(kgo.TryAbort, per, topics...)
	w.transaction(kgo.TryCommit, per, topics...)
}

func (w *world) transaction(end kgo.TransactionEndTry, per int, topics ...string) {
	w.t.Helper()
	if len(topics) == 0 {
		topics = slices.Sorted(maps.Keys(schemas.SunkTopics))
	}
	require.NoError(w.t, w.writer.BeginTransaction())
	seq, rows := maps.Clone(w.seq), maps.Clone(w.rows)
	var rs []*kgo.Record
	for _, topic := range topics {
		for p := range w.partitions(topic) {
			for range per {
				place := topicPartition{topic, p}
				seq[place]++
				rows[topic]++
				n := seq[place]
				if end == kgo.TryAbort {
					n += 1_000_000 // else a merge would hide an aborted row behind the committed one of the same seq
				}
				rs = append(rs, &kgo.Record{Topic: topic, Partition: p, Value: encode(w.t, sample(topic, p, n))})
			}
		}
	}
	require.NoError(w.t, w.writer.ProduceSync(context.Background(), rs...).FirstErr())
	require.NoError(w.t, w.writer.EndTransaction(context.Background(), end))
	if end == kgo.TryCommit {
		w.seq, w.rows = seq, rows
	}
}

// places is how many partitions all topics have.
func (w *world) places() (n int64) {
	for topic := range schemas.SunkTopics {
		n += int64(w.partitions(topic))
	}
	return n
}

func (w *world) partitions(topic string) int32 {
	if topic == schemas.TopicCalendar {
		return 1
	}
	return w.n
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return b
}

var sampleTime = time.Date(2025, 11, 5, 13, 0, 0, 123e6, time.UTC)

// sample is the seq-th event of a partition; every field differs from its zero value, so that a column left out shows.
func sample(topic string, partition int32, seq int64) any {
	name := func(kind string) string { return fmt.Sprintf("%s-%d-%d", kind, partition, seq) }
	m := schemas.Meta{EventID: schemas.FactID(topic, name("event")), Seq: seq, BusinessDate: "2025-11-05", At: sampleTime}
	balance := schemas.Cents(99_900 + seq)
	switch topic {
	case schemas.TopicTransactions:
		return schemas.TransactionEvent{Meta: m, Transaction: schemas.Transaction{
			TransactionID: name("TX"), TenantID: "acme", CustomerID: name("CUST"),
			BookedAt: sampleTime.Add(-time.Hour), AmountCents: 850_000, Direction: schemas.Credit, AccountID: "ACC",
			BalanceAfterCents: &balance,
			Currency:          "ZAR", Description: "SALARY NOV", Counterparty: "Employer", Category: "INCOME",
			State: schemas.Booked, ReplacesTransactionID: name("OLD"),
		}, BookedDate: "2025-11-05"}
	case schemas.TopicDeposits:
		return schemas.DepositEvent{
			Meta: m, TenantID: "acme", CustomerID: name("CUST"), TransactionID: name("TX"), DepositDate: "2025-11-04",
			AmountCents: 850_000, StreamID: "salary/employer", Kind: schemas.Salary, Frequency: "MONTHLY",
			StreamStatus:      "MATURE",
			ConfidencePercent: 97, NextExpectedDate: "2025-12-04", DepositNo: 7,
		}
	case schemas.TopicDecisions:
		return schemas.DecisionEvent{
			Meta: m, TenantID: "acme", CustomerID: name("CUST"), PolicyNumber: name("POL"),
			CollectionID: schemas.FactID(
				name("COL"),
			), PeriodMonth: "2025-11", Action: schemas.DecideDebit, Reason: "FUNDS_SEEN",
			Explanation: "Money is there.",
			DebitID:     name("DEB"), AmountCents: 15_000, NextDate: "2025-11-06",
			Alternatives: []schemas.Alternative{{Action: schemas.DecideWait, Reason: "X"}},
			Inputs:       schemas.DecisionInputs{DueCents: 15_000, BalanceCents: &balance, Rail: schemas.RailDebiCheck},
		}
	case schemas.TopicDebits:
		return schemas.DebitInstruction{
			Meta: m, DebitID: name("DEB"), TenantID: "acme", CustomerID: name("CUST"), PolicyNumber: name("POL"),
			CollectionID: schemas.FactID(name("COL")), PeriodMonth: "2025-11", Attempt: 2, AmountCents: 15_000, Currency: "ZAR",
			ActionDate:    "2025-11-06",
			TrackingUntil: "2025-11-15", Rail: schemas.RailEFT, MandateReference: "MND", Bank: "632005", AccountToken: "TOK",
			TransactionIDs: []string{name("TX"), "TX-OTHER"},
		}
	case schemas.TopicPolicies:
		return schemas.PolicyEvent{
			Meta: m, PolicyID: schemas.PolicyID("acme", name("POL")), TenantID: "acme", CustomerID: name("CUST"),
			PolicyNumber: name("POL"),
			Version:      3, PolicyTerms: schemas.PolicyTerms{
				ExternalCustomerRef: "EXT", ProductCode: "FUNERAL_01", PremiumCents: 15_000,
				Status: schemas.PolicyActive, Rail: schemas.RailDebiCheck, MandateReference: "MND", MandateMaxCents: 30_000,
				MandateFixed: true, CollectionDay: 25, Bank: "632005", AccountToken: "TOK",
			},
			HoldReason: "MANDATE_ENDED", RequestID: "req", Action: schemas.PolicyImport, KeyID: "key",
			CreatedAt: sampleTime, UpdatedAt: sampleTime.Add(time.Minute),
		}
	case schemas.TopicCollections:
		return sampleCollection(m, name)
	case schemas.TopicSettlements:
		return schemas.SettlementEvent{
			Meta: m, SettlementID: schemas.SettlementID("acme", "2025-11", int(seq)), TenantID: "acme", Number: name("SETTLE"),
			PeriodMonth: "2025-11", Sequence: int(partition)*1_000_000 + int(seq), Version: 1, TotalCollectionsCents: 4_250_000,
			AdjustmentsCents: -15_000, DistributionFeeCents: 1_062_500,
			CollectionsFeeCents: 148_750, TotalFeesCents: 1_211_250, VATCents: 181_688, NetCents: 2_857_062,
			BroughtForwardCents: -7_062, PayableCents: 2_850_000, InFlightDebits: 2, InFlightCents: 30_000,
			PaymentDate:      "2025-12-03",
			PaymentReference: "EFT-20251203-001", Status: schemas.SettlementPending, Change: schemas.SettlementInstructed,
			Note: "resolved", PayoutID: schemas.PayoutID("acme", name("S"), 1), PayoutState: schemas.PayoutInstructed,
			Payouts: 1, PaidDate: "2025-12-03", RequestID: "req", CreatedAt: sampleTime, MadeDate: "2025-12-02",
			Coverage: []schemas.Coverage{
				{Period: "2025-11", From: []int64{0, 0}, To: []int64{7, 8}},
				{Period: "2025-10", From: []int64{1, 2}, To: []int64{7, 8}},
			},
		}
	case schemas.TopicPayouts:
		return schemas.PayoutEvent{
			Meta: m, PayoutID: schemas.PayoutID("acme", name("S"), 1), TenantID: "acme",
			SettlementID:     schemas.SettlementID("acme", "2025-11", int(partition)*1_000_000+int(seq)),
			SettlementNumber: "SETTLE-2025-11-001", AmountCents: 2_850_000, Currency: "ZAR", PaymentDate: "2025-12-03",
			PaymentReference: "EFT-20251203-001",
		}
	case schemas.TopicOpenItems:
		return schemas.OpenItemEvent{
			Meta: m, ItemID: schemas.OpenItemID(name("DEB")), TenantID: "acme", CustomerID: name("CUST"),
			PolicyNumber: name("POL"), CollectionID: schemas.FactID(name("COL")), PeriodMonth: "2025-11", DebitID: name("DEB"),
			Version: 2, Kind: schemas.OpenAmount, State: schemas.ItemClosed, AmountCents: 15_000, SaidCents: 10_000,
			ActionDate: "2025-11-05", Since: "2025-11-06", ResultID: name("RES"), Note: "the bank was asked", RequestID: "req",
		}
	case schemas.TopicAudit:
		return schemas.AuditEvent{
			Meta: m, TenantID: "acme", RequestID: name("req"), KeyID: "4hx2k7pqan", Address: "10.0.0.1", Method: "PATCH",
			Route: "/v1/policies/{id}", ObjectID: name("OBJ"), Status: 409, Outcome: "CONFLICT", Replayed: true,
		}
	case schemas.TopicOutcomes:
		return schemas.OutcomeEvent{
			Meta: m, RequestID: name("req"), TenantID: "acme", Row: int(seq), Line: int(seq) + 1, Code: schemas.OutcomeConflict,
			Message: "taken", PolicyNumber: name("POL"), ObjectID: name("OBJ"), Version: seq, Stage: "collect",
			Statement: "preview",
		}
	case schemas.TopicImports:
		return schemas.ImportEvent{Meta: m, ImportEntry: schemas.ImportEntry{
			ImportID: name(
				"IMP",
			), TenantID: "acme", No: seq, Kind: schemas.ImportError, Line: 3, Row: 2, PolicyNumber: name("POL"),
			Column: "rail", Code: "INVALID_VALUE", Message: "wrong", Mode: "full", DryRun: true, KeyID: "key",
			AskedAt: sampleTime,
			ImportCounts: schemas.ImportCounts{
				Rows: 9, LeftOut: 8, Warnings: 7, Failed: 6, Imported: 5, Created: 4, Updated: 3, Unchanged: 2, Cancelled: 1,
			},
		}}
	case schemas.TopicExecutions:
		return schemas.ExecutionEvent{
			Meta: m, ExecutionID: name("EXE"), TenantID: "acme", PeriodMonth: "2025-11", RequestID: name("req"),
			Part: int(partition), Parts: 8, Piece: 2, PoliciesQueued: 1_000 + seq, Named: true,
			ExecutionCounts: schemas.ExecutionCounts{
				CollectionsCreated: seq,
				Unchanged:          seq + 1,
				Refused:            seq + 2,
				Voided:             seq + 3,
			},
			Voids: "other", Done: true,
		}
	case schemas.TopicWebhookDeliveries:
		return schemas.WebhookDelivery{
			DeliveryID: schemas.FactID(name("DEL")), TenantID: "acme", WebhookID: schemas.FactID("hook"),
			Type: schemas.WebhookPaid, ObjectID: name("OBJ"), Status: schemas.DeliveryRetrying,
			Attempts: 3, StatusCode: 500,
			Error: "no", NextAttemptAt: "soon", Payload: "{}",
			Since: sampleTime, At: sampleTime.Add(time.Minute),
		}
	case schemas.TopicCalendar:
		day := time.Date(2025, 11, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, int(seq))
		return schemas.Tick{Date: day.Format(time.DateOnly), Cutoff: 1}
	}
	panic("no sample for " + topic)
}

func sampleCollection(m schemas.Meta, name func(string) string) schemas.CollectionEvent {
	return schemas.CollectionEvent{
		Meta: m, CollectionID: schemas.FactID(name("COL")), TenantID: "acme", CustomerID: name("CUST"),
		PolicyID: schemas.PolicyID("acme", name("POL")), PolicyNumber: name("POL"), ExternalCustomerRef: "EXT",
		ProductCode: "FUNERAL_01",
		PeriodMonth: "2025-11", ExecutionID: "exec", Version: 4, DueCents: 20_000, CollectedCents: 15_000,
		InFlightCents: 5_000, Status: schemas.PaidPartial,
		FirstAttemptDate: "2025-11-05", LastAttemptDate: "2025-11-26", Attempts: 3, LastFailureReason: "INSUFFICIENT_FUNDS",
		Change: schemas.Change{
			Kind: schemas.ChangePaid, DebitID: name("DEB"), ResultID: name("RES"), MovedCents: 15_000, AmountCents: 15_001,
			ReasonCode: "02", ReasonScheme: "ZA", EffectiveDate: "2025-11-27",
		},
	}
}

func (w *world) config(more ...kgo.Opt) Config { return sinkConfig(w.kafka.Brokers, w.opts, more...) }

func sinkConfig(brokers []string, opts *clickhouse.Options, more ...kgo.Opt) Config {
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("SINK_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return Config{Brokers: brokers, ClickHouse: opts, Log: log, KgoOpts: append([]kgo.Opt{
		kgo.MetadataMinAge(50 * time.Millisecond), kgo.HeartbeatInterval(100 * time.Millisecond),
		kgo.RebalanceTimeout(time.Second),
	}, more...)}
}

func quick() tuning {
	t := defaults()
	t.watch = 0
	t.linger, t.interval, t.retryMin, t.retryMax = time.Millisecond, 2*time.Millisecond, 5*time.Millisecond,
		50*time.Millisecond
	return t
}

// running is a sink in the background.
type running struct {
	t    testing.TB
	stop context.CancelFunc
	done chan error
}

func (w *world) start(cfg Config, tn tuning) *running {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{w.t, cancel, make(chan error, 1)}
	go func() { r.done <- run(ctx, cfg, tn, func() {}) }()
	w.t.Cleanup(func() { cancel() })
	return r
}

// end stops the sink and expects it to stop well.
func (r *running) end() {
	r.t.Helper()
	r.stop()
	require.NoError(r.t, r.result())
}

// result waits for the sink to stop by itself.
func (r *running) result() error {
	r.t.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(30 * time.Second):
		require.Fail(r.t, "the sink does not stop")
		return nil
	}
}

// drain runs a sink until it has committed everything.
func (w *world) drain(tn tuning) {
	w.t.Helper()
	s := w.start(w.config(), tn)
	w.caughtUp()
	s.end()
}

// caughtUp waits until the group has committed the end of every partition.
func (w *world) caughtUp() {
	w.t.Helper()
	last := time.Now().Add(30 * time.Second)
	state := w.behind()
	for tick := time.NewTicker(10 * time.Millisecond); state != "" && time.Now().Before(last); <-tick.C {
		state = w.behind()
	}
	require.Empty(w.t, state, "the sink does not catch up")
}

func (w *world) behind() string {
	ctx := context.Background()
	ends, err := w.admin.ListEndOffsets(ctx, slices.Collect(maps.Keys(schemas.SunkTopics))...)
	if err != nil {
		return err.Error()
	}
	done, err := w.admin.FetchOffsets(ctx, schemas.GroupSink)
	if err != nil {
		return err.Error()
	}
	var lag []string
	ends.Each(func(o kadm.ListedOffset) {
		if c, ok := done.Lookup(o.Topic, o.Partition); o.Offset > 0 && (!ok || c.At != o.Offset) {
			lag = append(lag, fmt.Sprintf("%s/%d: %d of %d", o.Topic, o.Partition, c.At, o.Offset))
		}
	})
	return strings.Join(lag, ", ")
}

// exact checks that each table holds each committed record once, without the help of FINAL, and that the marks are at
// the ends.
func (w *world) exact() {
	w.t.Helper()
	for topic, table := range schemas.SunkTopics {
		require.Equal(w.t, uint64(w.rows[topic]), w.number("SELECT count() FROM "+table), "rows of %s, duplicates included",
			table)
		w.dense(topic)
	}
	for _, state := range schemas.States() {
		short, err := lacks(context.Background(), w.conn, state)
		require.NoError(w.t, err)
		require.False(w.t, short, "%s lacks what the events say", state.Name)
	}
	w.markedToEnd()
}

// complete checks the same through FINAL: duplicates may be stored and must not show.
func (w *world) complete() {
	w.t.Helper()
	for topic, table := range schemas.SunkTopics {
		require.Equal(w.t, uint64(w.rows[topic]), w.number("SELECT count() FROM "+table+" FINAL"), "rows of %s", table)
		w.dense(topic)
	}
	require.Eventually(w.t, func() bool {
		return !slices.ContainsFunc(schemas.States(), func(state schemas.State) bool {
			short, err := lacks(context.Background(), w.conn, state)
			return short || err != nil
		})
	}, 20*time.Second, 10*time.Millisecond, "the states that were lost do not come back")
	w.markedToEnd()
}

func (w *world) dense(topic string) {
	w.t.Helper()
	if !schemas.Counted(topic) {
		return
	}
	bad := w.number("SELECT count() FROM (SELECT src_partition FROM " + schemas.SunkTopics[topic] +
		" FINAL GROUP BY src_partition HAVING NOT (count() = uniqExact(seq) AND uniqExact(seq) = max(seq) - min(seq) + 1 " +
		"AND min(seq) = 1))")
	require.Zero(w.t, bad, "partitions of %s that are not complete and unique", topic)
}

func (w *world) markedToEnd() {
	w.t.Helper()
	ends, err := w.admin.ListEndOffsets(context.Background(), slices.Collect(maps.Keys(schemas.SunkTopics))...)
	require.NoError(w.t, err)
	w.exec("OPTIMIZE TABLE sink_marks FINAL")
	marks, err := readMarks(context.Background(), w.conn, "")
	require.NoError(w.t, err)
	ends.Each(func(o kadm.ListedOffset) {
		if n := w.seq[topicPartition{o.Topic, o.Partition}]; n > 0 && schemas.Counted(o.Topic) &&
			o.Topic != schemas.TopicOutcomes {
			require.Equal(w.t, n+1, marks[topicPartition{o.Topic, o.Partition}].seq, "mark of %s partition %d", o.Topic,
				o.Partition)
		}
		require.Equal(w.t, o.Offset, marks[topicPartition{o.Topic, o.Partition}].offset, "mark of %s partition %d", o.Topic,
			o.Partition)
	})
}

// allStored tells whether a topic's table has as many rows as were committed.
func (w *world) allStored(topic string) bool {
	w.t.Helper()
	return w.number("SELECT count() FROM "+schemas.SunkTopics[topic]) == uint64(w.rows[topic])
}

func (w *world) exec(query string) {
	w.t.Helper()
	require.NoError(w.t, w.conn.Exec(context.Background(), query), query)
}

func (w *world) number(query string) uint64 {
	w.t.Helper()
	var n uint64
	require.NoError(w.t, w.conn.QueryRow(context.Background(), query).Scan(&n), query)
	return n
}

// hasRows is for hooks: it tells whether any chunk has a row to insert.
func hasRows(cs []*chunk) bool {
	return slices.ContainsFunc(cs, func(c *chunk) bool { return len(c.records) > 0 })
}
