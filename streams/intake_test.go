package streams

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/letters"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/tenants"
)

// outside is a record as an integrator writes it: any key, any partition, headers of its own.
func outside(topic, value string) *kgo.Record {
	return &kgo.Record{
		Topic: topic, Key: []byte("theirs"), Value: []byte(value), Timestamp: time.UnixMilli(1_762_000_000_000),
		Headers: []kgo.RecordHeader{{Key: "ce_id", Value: []byte("42")}},
	}
}

const (
	goodTransaction = `{ "transaction_id":"t1","tenant_id":"acme","customer_id":"C1",` +
		`"booked_at":"2025-11-01T09:00:00+02:00","amount_cents":100,"direction":"CREDIT", "extra":1}`
	// canonical is the same as an event of ours.
	canonical = `{"transaction_id":"t1","tenant_id":"acme","customer_id":"C1",` +
		`"booked_at":"2025-11-01T07:00:00Z","amount_cents":100,"direction":"CREDIT"}`
	goodIncome = `{"income_id":"i1","tenant_id":"acme","customer_id":"C1",` +
		`"kind":"SALARY","pay_date":"2025-11-25","state":"ANNOUNCED"}`
)

// feed runs records through the feed half without Kafka.
func feed(t *testing.T, records ...*kgo.Record) []*kgo.Record {
	t.Helper()
	out, err := stage.Dry(row("intake"), &feedTask{tenants: anyone{}}, nil, 0, 16, records...)
	require.NoError(t, err)
	return out
}

func (h *harness) startIntake() stop {
	return h.start(func(ctx context.Context, ready func()) error { return Run(ctx, h.cfg, "intake", Needs{}, ready) })
}

// TestIntakeRoutes passes each kind of record on as an event of ours, under our key, partition and kind, with its own
// timestamp.
func TestIntakeRoutes(t *testing.T) {
	t.Parallel()
	debit := debitOf("C1", 1)
	hash, err := schemas.DebitRoute(debit)
	require.NoError(t, err)
	customer := schemas.CustomerKey("acme", "C1")
	require.Equal(t, schemas.RoutingHash(customer), hash, "a result must meet its customer's partition")
	for _, tc := range []struct {
		topic, value, ours, key string
		kind                    schemas.Kind
	}{
		{schemas.TopicFeedTransactions, goodTransaction, canonical, customer, schemas.KindTransaction},
		{schemas.TopicFeedIncomes, " " + goodIncome, goodIncome, customer, schemas.KindIncome},
		{
			schemas.TopicRailResults,
			`{"effective_date":"2025-11-05","debit_id":"` + strings.ToUpper(debit) + `", "result_id":"r1","status":"PAID"}`,
			`{"result_id":"r1","debit_id":"` + debit + `","status":"PAID","effective_date":"2025-11-05"}`, debit,
			schemas.KindResult,
		},
	} {
		in := outside(tc.topic, tc.value)
		out := feed(t, in)
		require.Len(t, out, 1)
		require.Equal(t, &kgo.Record{
			Topic: schemas.TopicTimeline, Partition: schemas.PartitionOf(hash, 16), Key: []byte(tc.key), Value: []byte(tc.ours),
			Timestamp: in.Timestamp,
			Headers: []kgo.RecordHeader{
				{Key: schemas.HeaderKind, Value: []byte(tc.kind)},
				{Key: "kasi.origin", Value: []byte(tc.topic + " 0 0")},
				{Key: "kasi.sent", Value: []byte(tc.value)},
			},
		}, out[0])
	}
}

// TestIntakeTakesPayoutResultsToTheirTenant: the bank's answer to an EFT instruction holds the payout's id alone, which
// leads to the partition of the tenant's settlements.
func TestIntakeTakesPayoutResultsToTheirTenant(t *testing.T) {
	t.Parallel()
	id := schemas.PayoutID("acme", schemas.SettlementID("acme", "2025-11", 1), 1)
	in := outside(schemas.TopicPayoutResults,
		`{"status":"PAID","payout_id":"`+strings.ToUpper(id)+`","effective_date":"2025-12-03"}`)
	out := feed(t, in)
	require.Len(t, out, 1)
	require.Equal(t, schemas.TopicSettlementCommands, out[0].Topic)
	require.Equal(t, schemas.PartitionOf(schemas.RoutingHash("acme"), 16), out[0].Partition)
	require.Equal(t, schemas.KindPayout, kindOf(out[0]))
	require.Equal(t, id, string(out[0].Key))
	require.Equal(t, `{"payout_id":"`+id+`","status":"PAID","effective_date":"2025-12-03"}`, string(out[0].Value))
	origin, known := letters.OriginOf(out[0])
	require.True(t, known)
	require.Equal(t, schemas.TopicPayoutResults, origin.Topic, "a dead letter of settle names what the bank sent")
	for value, class := range map[string]string{
		`{"payout_id":"x","status":"PAID","effective_date":"2025-12-03"}`:            schemas.RejectUnknownPayout,
		`{"payout_id":"` + id + `","status":"UNPAID","effective_date":"2025-12-03"}`: schemas.RejectBadEnum,
		`{"payout_id":"` + id + `","status":"PAID","effective_date":"1900-01-01"}`:   schemas.RejectBadDate,
		`{"payout_id":"` + id + `","status":"PAID"}`:                                 schemas.RejectMissingField,
	} {
		require.Equal(t, []string{class}, classes(feed(t, outside(schemas.TopicPayoutResults, value))), value)
	}
}

// TestIntakeRefuses writes a dead letter with the record untouched and the reason in headers, without what the record
// says of a person.
func TestIntakeRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ topic, value, class string }{
		{schemas.TopicFeedTransactions, `not json, from CUST-SECRET`, schemas.RejectBadJSON},
		{schemas.TopicFeedTransactions, strings.Replace(goodTransaction, `100`, `1.5`, 1), schemas.RejectBadAmount},
		{schemas.TopicFeedIncomes, strings.Replace(goodIncome, `"acme"`, `""`, 1), ""},
		{
			schemas.TopicRailResults,
			`{"result_id":"r1","debit_id":"no-such-form","status":"PAID","effective_date":"2025-11-05"}`,
			schemas.RejectUnknownDebit,
		},
		{schemas.TopicFeedTransactions, "", ""},
	} {
		in := outside(tc.topic, tc.value)
		in.Partition, in.Offset = 3, 77
		out := feed(t, in)
		require.Len(t, out, 1)
		dead := out[0]
		require.Equal(t, schemas.TopicDeadLetters, dead.Topic)
		require.Equal(t, in.Key, dead.Key)
		require.Equal(t, in.Value, dead.Value)
		require.Equal(t, in.Timestamp, dead.Timestamp)
		require.Equal(t, in.Headers[0], dead.Headers[0])
		require.Equal(t, tc.topic, progress.Header(dead, letters.HeaderErrorTopic))
		require.Equal(t, "3", progress.Header(dead, letters.HeaderErrorPartition))
		require.Equal(t, "77", progress.Header(dead, letters.HeaderErrorOffset))
		require.Equal(t, "intake", progress.Header(dead, letters.HeaderErrorConnector))
		require.NotEmpty(t, progress.Header(dead, letters.HeaderErrorMessage))
		require.NotContains(t, progress.Header(dead, letters.HeaderErrorMessage), "SECRET")
		if tc.class != "" {
			require.Equal(t, tc.class, progress.Header(dead, letters.HeaderErrorClass))
		}
	}
}

// TestIntakeTakesEntriesApart: of a file of transactions each line goes its own way, and says where it lay.
func TestIntakeTakesEntriesApart(t *testing.T) {
	t.Parallel()
	const header = "transaction_id,tenant_id,customer_id,booked_at,amount_cents,direction\n"
	line := func(id, amount string) string { return id + ",acme,C1,2025-11-01T09:00:00+02:00," + amount + ",CREDIT" }
	in := outside(schemas.TopicFeedTransactions, header+line("t1", "100")+"\n"+line("t2", "x")+"\n"+line("t3", "7"))
	in.Partition, in.Offset = 3, 77
	out := feed(t, in)
	require.Len(t, out, 3)
	require.Equal(t, canonical, string(out[0].Value))
	require.Equal(t, "kasi.feed.transactions.v1 3 77 1", progress.Header(out[0], "kasi.origin"))
	require.Equal(t, schemas.TopicDeadLetters, out[1].Topic)
	require.Equal(t, header+line("t2", "x"), string(out[1].Value))
	require.Equal(t, "2", progress.Header(out[1], letters.HeaderErrorEntry))
	require.Equal(t, "77", progress.Header(out[1], letters.HeaderErrorOffset))
	require.Equal(t, schemas.RejectBadAmount, progress.Header(out[1], letters.HeaderErrorClass))
	require.Equal(t, "kasi.feed.transactions.v1 3 77 3", progress.Header(out[2], "kasi.origin"))

	out[2].Partition, out[2].Offset = 1, 5
	dead := letters.Of(out[2], "collect", schemas.TopicDeadLetters, schemas.Refuse("X", "y"))
	require.Equal(t, "3", progress.Header(dead, letters.HeaderErrorEntry), "a later stage names the entry too")
	dead.Topic, dead.Partition = schemas.TopicFeedTransactions, 3 // replayed: an event of ours is a record of the feed
	require.Equal(t, out[2].Value, feed(t, dead)[0].Value)
}

// TestUnknownTenant: a tenant that is made before its first record is known, on a running intake too; a record of one
// that is not is a dead letter.
func TestUnknownTenant(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 1)
	stopIntake := h.startIntake()
	of := func(tenant string) *kgo.Record {
		return outside(schemas.TopicFeedTransactions, strings.Replace(goodTransaction, "acme", tenant, 1))
	}
	income := outside(schemas.TopicFeedIncomes, strings.Replace(goodIncome, "acme", "nobody", 1))
	h.produce(of("acme"), of("nobody"), of("nobody"), income)
	h.caughtUp(schemas.GroupIntake, schemas.TopicFeedTransactions, schemas.TopicFeedIncomes)
	added, err := tenants.Add(h.ctx(), h.cfg, "beta", "acme")
	require.NoError(t, err)
	require.Equal(t, []string{"beta"}, added, "acme was made with the topics")
	h.produce(of("beta"), of("nobody"))
	h.caughtUp(schemas.GroupIntake, schemas.TopicFeedTransactions)
	stopIntake()
	taken := flat(h.read(schemas.TopicTimeline))
	require.Len(t, taken, 2)
	require.Equal(t, schemas.CustomerKey("beta", "C1"), string(taken[1].Key))
	dead := flat(h.read(schemas.TopicDeadLetters))
	require.Len(t, dead, 4)
	for _, d := range dead {
		require.Equal(t, schemas.RejectUnknownTenant, progress.Header(d, letters.HeaderErrorClass))
	}
	all, err := tenants.List(h.ctx(), h.cfg)
	require.NoError(t, err)
	require.Equal(t, []string{"acme", "beta"}, []string{all[0].ID, all[1].ID})
	_, err = tenants.Add(h.ctx(), h.cfg, "gamma", "a\tb")
	require.ErrorContains(t, err, "is not an id")
}

// TestTimelineOfTheLastBuild: a timeline that holds outsiders' bytes gives what one of ours gives.
func TestTimelineOfTheLastBuild(t *testing.T) {
	t.Parallel()
	events := func(value string) (values []string) {
		m := newMonth(t, 1)
		m.tick("2025-11-05", 0)
		m.of(schemas.KindTransaction, "C1", value)
		tk, mem := collectTasks()
		for _, r := range takeAll(t, row("collect"), tk, mem, 1, m.records...) {
			values = append(values, r.Topic+" "+string(r.Value))
		}
		return values
	}
	require.Equal(t, events(canonical), events(goodTransaction))
	require.Len(t, events(canonical), 1)
}

// TestDeadLetterAgain replaces the reasons of an earlier rejection, so that a replayed record names its own place.
func TestDeadLetterAgain(t *testing.T) {
	t.Parallel()
	first := feed(t, outside(schemas.TopicFeedTransactions, "bad"))[0]
	first.Topic, first.Offset = schemas.TopicFeedTransactions, 99
	second := feed(t, first)[0]
	require.Len(t, second.Headers, len(first.Headers))
	require.Equal(t, "99", progress.Header(second, letters.HeaderErrorOffset))
}

// TestIntakeLeavesOutWhatIsTakenBack reads a feed whose producer uses transactions: what it aborts has never been.
func TestIntakeLeavesOutWhatIsTakenBack(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 1)
	cl, err := kgo.NewClient(h.cfg.Client(kgo.TransactionalID("feed"))...)
	require.NoError(t, err)
	defer cl.Close()
	for id, end := range map[string]kgo.TransactionEndTry{"kept": kgo.TryCommit, "taken back": kgo.TryAbort} {
		require.NoError(t, cl.BeginTransaction())
		rec := outside(schemas.TopicFeedTransactions, strings.Replace(goodTransaction, `"t1"`, `"`+id+`"`, 1))
		require.NoError(t, cl.ProduceSync(h.ctx(), rec).FirstErr())
		require.NoError(t, cl.EndTransaction(h.ctx(), end))
	}
	stopIntake := h.startIntake()
	h.produce(outside(schemas.TopicFeedTransactions, goodTransaction))
	h.caughtUp(schemas.GroupIntake, schemas.TopicFeedTransactions)
	stopIntake()
	taken := flat(h.read(schemas.TopicTimeline))
	require.Len(t, taken, 2)
	require.Contains(t, string(taken[0].Value), "kept")
}

// TestTooLargeForADeadLetter keeps one enormous record from stopping the stream: it stays where it is and the dead
// letter says where.
func TestTooLargeForADeadLetter(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 1)
	stopIntake := h.startIntake()
	huge := outside(schemas.TopicFeedTransactions, strings.Repeat("x", 1_000_000-200))
	nearly := outside(schemas.TopicFeedTransactions, strings.Repeat("y", letters.LargestValue-100))
	h.produce(huge, nearly, outside(schemas.TopicFeedTransactions, goodTransaction))
	h.caughtUp(schemas.GroupIntake, schemas.TopicFeedTransactions)
	stopIntake()
	dead := flat(h.read(schemas.TopicDeadLetters))
	require.Len(t, dead, 2)
	require.Empty(t, dead[0].Value)
	require.Equal(t, schemas.RejectTooLarge, progress.Header(dead[0], letters.HeaderErrorClass))
	require.Equal(t, "999800", progress.Header(dead[0], letters.HeaderOmitted))
	require.Equal(t, nearly.Value, dead[1].Value)
	require.Len(t, flat(h.read(schemas.TopicTimeline)), 1)
}

// command is a policy command record as the API writes it.
func command(t testing.TB, partitions int32, cmd schemas.PolicyCommand) *kgo.Record {
	t.Helper()
	value, err := json.Marshal(cmd)
	require.NoError(t, err)
	key := schemas.CustomerKey(cmd.TenantID, cmd.PolicyNumber)
	return &kgo.Record{
		Topic: schemas.TopicPolicyCommands, Partition: schemas.PartitionOf(schemas.RoutingHash(key), partitions),
		Key: []byte(key), Value: value,
		Timestamp: time.UnixMilli(1_762_000_000_000), Headers: []kgo.RecordHeader{{
			Key:   schemas.HeaderKind,
			Value: []byte(schemas.KindPolicy),
		}},
	}
}

func claim(customer string, row int) schemas.PolicyCommand {
	return schemas.PolicyCommand{
		RequestID: "req", Row: row, Action: schemas.PolicyImport, TenantID: "acme", CustomerID: customer,
		PolicyNumber: "POL1",
		Terms:        &schemas.PolicyTerms{PremiumCents: 15000, Status: schemas.PolicyActive, Rail: schemas.RailDebiCheck},
	}
}

func feedTasks() (stage.Task, stage.Memory) { return &feedTask{tenants: anyone{}}, nil }

// anyone knows every tenant.
type anyone struct{}

func (anyone) Has(string) bool { return true }

func (anyone) Refresh(context.Context) error { return nil }

func ownerTasks() (stage.Task, stage.Memory) {
	return openOwners(context.Background(), stage.Config{}, Needs{})
}

// TestPolicyOwner gives a number to its first customer, refuses a second one's claim, fills the owner into a PATCH, and
// knows all that after a restore.
func TestPolicyOwner(t *testing.T) {
	t.Parallel()
	st := row("owners")
	tk, mem := ownerTasks()
	cancelled := schemas.PolicyCancelled
	patch := schemas.PolicyCommand{
		RequestID: "req", Row: 3, Action: schemas.PolicyPatch, TenantID: "acme",
		PolicyNumber: "POL1", SetStatus: &cancelled,
	}
	unknown := patch
	unknown.PolicyNumber, unknown.Row = "POL2", 4

	first := takeAll(t, st, tk, mem, 1, command(t, 1, claim("C1", 1)), command(t, 1, claim("C2", 2)),
		command(t, 1, patch), command(t, 1, unknown))
	require.Len(t, first, 4)
	require.Equal(t, schemas.CustomerKey("acme", "C1"), string(first[0].Key))
	require.Equal(t, command(t, 1, claim("C1", 1)).Value, first[0].Value)
	requireOutcome(t, first[1], 2, schemas.OutcomeConflict, 1)
	var passed schemas.PolicyCommand
	require.NoError(t, json.Unmarshal(first[2].Value, &passed))
	require.Equal(t, "C1", passed.CustomerID)
	require.Equal(t, schemas.KindPolicy, kindOf(first[2]))
	requireOutcome(t, first[3], 4, schemas.OutcomeNotFound, 2)

	other := claim("C9", 7)
	other.TenantID = "other"
	theirs := takeAll(t, st, tk, mem, 1, command(t, 1, other))
	require.Len(t, theirs, 1)
	require.Equal(t, schemas.CustomerKey("other", "C9"), string(theirs[0].Key), "another insurer has numbers of his own")
	other = patch
	other.TenantID = "other"
	theirs = takeAll(t, st, tk, mem, 1, command(t, 1, other))
	require.Equal(t, schemas.CustomerKey("other", "C9"), string(theirs[0].Key), "each insurer's policy has its own owner")

	restored, rmem := ownerTasks()
	require.NoError(t, mem.Snapshot(func(key string, value []byte) { require.NoError(t, rmem.Load(key, value)) }))
	rmem.Loaded()
	again := takeAll(t, st, restored, rmem, 1, command(t, 1, claim("C2", 5)), command(t, 1, claim("C1", 6)))
	requireOutcome(t, again[0], 5, schemas.OutcomeConflict, 3)
	requireOwnIDs(t, st, restored, rmem, command(t, 1, claim("C2", 5)))
	require.Equal(t, schemas.TopicTimeline, again[1].Topic)
}

// requireOwnIDs delivers a command twice, a second apart: the two answers are two events, which ClickHouse must not
// take for one.
func requireOwnIDs(t *testing.T, st stage.Row, tk stage.Task, mem stage.Memory, cmd *kgo.Record) {
	t.Helper()
	later := *cmd
	later.Timestamp = cmd.Timestamp.Add(time.Second)
	ids := map[string]bool{}
	for _, r := range takeAll(t, st, tk, mem, 1, cmd, &later) {
		if r.Topic == schemas.TopicOutcomes {
			var ev schemas.OutcomeEvent
			require.NoError(t, json.Unmarshal(r.Value, &ev))
			ids[ev.EventID] = true
		}
	}
	require.Len(t, ids, 2)
}

func requireOutcome(t *testing.T, r *kgo.Record, row int, code string, seq int64) {
	t.Helper()
	require.Equal(t, schemas.TopicOutcomes, r.Topic)
	var ev schemas.OutcomeEvent
	require.NoError(t, json.Unmarshal(r.Value, &ev))
	require.Equal(t, row, ev.Row)
	require.Equal(t, code, ev.Code)
	require.Equal(t, seq, ev.Seq)
	require.Equal(t, "owners", ev.Stage)
	require.NotEmpty(t, ev.EventID)
}

// TestPolicyCommandRefused gives each command that the API cannot have written its class.
func TestPolicyCommandRefused(t *testing.T) {
	t.Parallel()
	noKind, noJSON, elsewhere := command(t, 4, claim("C", 1)), command(t, 4, claim("C", 1)), command(t, 4, claim("C", 1))
	noKind.Headers = nil
	noJSON.Value = []byte("{")
	elsewhere.Partition = (elsewhere.Partition + 1) % 4
	noAction, noTerms := claim("C", 1), claim("C", 1)
	noAction.Action = "DELETE"
	noTerms.Terms = nil
	tk, mem := ownerTasks()
	out := takeAll(t, row("owners"), tk, mem, 4, noKind, noJSON, command(t, 4, noAction), command(t, 4, noTerms),
		elsewhere)
	require.Equal(t, []string{
		letters.ClassUnknownKind, letters.ClassBadCommand, letters.ClassBadCommand,
		letters.ClassBadCommand, letters.ClassWrongPartition,
	}, classes(out))
	require.Zero(t, mem.Keys())
}

// TestFromOutsideToOutcome runs intake and collect together on Kafka: what integrators and the API write comes out as
// outcomes and debits, and what is bad does not stop it.
func TestFromOutsideToOutcome(t *testing.T) {
	t.Parallel()
	const partitions = 2
	h := newHarness(t, partitions)
	h.startIntake()
	h.start(runCollect(h.cfg))
	m := newMonth(t, partitions)
	m.tick("2025-11-05", 0)
	h.produce(m.records...)
	h.produce(command(t, partitions, claim("C1", 1)), command(t, partitions, claim("C2", 2)))
	h.produce(outside(schemas.TopicFeedTransactions, goodTransaction), outside(schemas.TopicFeedTransactions,
		goodTransaction), outside(schemas.TopicFeedTransactions, "bad"))
	h.caughtUp(schemas.GroupPolicies, schemas.TopicPolicyCommands)
	h.caughtUp(schemas.GroupIntake, schemas.TopicFeedTransactions)
	m.records = nil
	m.of(schemas.KindExecute, "C1", schemas.ExecuteCommand{
		RequestID: "req2", Row: 1, TenantID: "acme", CustomerID: "C1",
		PolicyNumber: "POL1", PeriodMonth: "2025-11",
	})
	m.tick("2025-11-05", 1)
	h.produce(m.records...)
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	codes := map[string]int{}
	for _, r := range flat(h.read(schemas.TopicOutcomes)) {
		var ev schemas.OutcomeEvent
		require.NoError(t, json.Unmarshal(r.Value, &ev))
		codes[ev.Stage+" "+ev.RequestID+" "+ev.Code]++
	}
	require.Equal(t, map[string]int{"owners req CONFLICT": 1, "collect req OK": 1, "collect req2 OK": 1}, codes)
	require.Len(t, flat(h.read(schemas.TopicTransactions)), 1, "the same transaction twice counts once")
	require.Len(t, flat(h.read(schemas.TopicDeadLetters)), 1)
}

// TestDeadLetterNamesTheOutsidersRecord shows a dead letter of a later stage that names the record its sender knows,
// with nothing of ours left on it.
func TestDeadLetterNamesTheOutsidersRecord(t *testing.T) {
	t.Parallel()
	in := outside(schemas.TopicFeedTransactions, goodTransaction)
	in.Partition, in.Offset = 3, 77
	passed := feed(t, in)[0]
	require.Equal(t, schemas.TopicTimeline, passed.Topic)
	passed.Partition, passed.Offset = 1, 5
	refused := func() *kgo.Record {
		return letters.Of(passed, "collect", schemas.TopicDeadLetters, schemas.Refuse("X", "y"))
	}
	dead := refused()
	require.Equal(t, schemas.TopicFeedTransactions, progress.Header(dead, letters.HeaderErrorTopic))
	require.Equal(t, "3", progress.Header(dead, letters.HeaderErrorPartition))
	require.Equal(t, "77", progress.Header(dead, letters.HeaderErrorOffset))
	require.Empty(t, progress.Header(dead, "kasi.origin"))

	passed.Topic = schemas.TopicPolicyCommands // only what intake writes is ours to believe
	require.Equal(t, "5", progress.Header(refused(), letters.HeaderErrorOffset))
}
