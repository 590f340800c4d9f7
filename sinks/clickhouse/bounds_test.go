package clickhouse

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/arena"
	"github.com/kasi-collections/kasi/processors/feeds"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/sinks/clickhouse/chtest"
	"github.com/kasi-collections/kasi/streams"
	"github.com/kasi-collections/kasi/streams/calendar"
	"github.com/kasi-collections/kasi/streams/commands"
	"github.com/kasi-collections/kasi/streams/kafkatest"
	"github.com/kasi-collections/kasi/streams/records"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/topics"
)

// product is the stages and the sink on embedded engines, with a manual calendar.
type product struct {
	*testing.T
	cfg  stage.Config
	conn driver.Conn
	cal  *calendar.Clock
	cl   *kgo.Client
}

func newProduct(t *testing.T, start civil.Date) *product {
	t.Helper()
	kafka, opts, dated := kafkatest.Fake(t), chtest.New(t), rules.Default()
	p := &product{T: t, conn: open(t, opts), cfg: stage.Config{
		Brokers: kafka.Brokers, Partitions: 2, FreshTxnID: true, Tenants: []string{"acme"},
		KgoOpts: []kgo.Opt{kgo.MetadataMinAge(50 * time.Millisecond)},
	}}
	_, err := topics.Ensure(t.Context(), p.cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var g errgroup.Group
	t.Cleanup(func() { cancel(); require.NoError(t, g.Wait()) })
	needs := streams.Needs{Engine: processors.NewEngine(dated), Rules: dated, Ledger: Ledger{Conn: p.conn}}
	for _, role := range []string{"intake", "collect", "settle"} {
		g.Go(func() error { return streams.Run(ctx, p.cfg, role, needs, nil) })
	}
	g.Go(func() error { return Run(ctx, sinkConfig(kafka.Brokers, opts), func() {}) })
	begun := make(chan struct{})
	g.Go(func() error {
		return calendar.RunTicker(ctx, p.cfg, dated, calendar.Ticker{Manual: true, Start: start}, func() { close(begun) })
	})
	<-begun
	p.cal, err = calendar.New(p.cfg, dated)
	require.NoError(t, err)
	t.Cleanup(p.cal.Close)
	p.cl, err = kgo.NewClient(p.cfg.Client()...)
	require.NoError(t, err)
	t.Cleanup(p.cl.Close)
	return p
}

// advance waits until all that the day caused is in ClickHouse: no stage and no sink stands still.
func (p *product) advance(to civil.Date) {
	p.Helper()
	_, err := p.cal.Advance(p.Context(), to, calendar.AdvanceOpts{WaitSink: true, Stall: 30 * time.Second})
	require.NoError(p, err)
}

func (p *product) send(topic string, fields map[string]string, at time.Time) {
	p.Helper()
	rec := &kgo.Record{Topic: topic, Value: []byte(objectOf(fields, "", "")), Timestamp: at}
	require.NoError(p, p.cl.ProduceSync(p.Context(), rec).FirstErr())
}

// objectOf is a JSON object of raw values, with another value for one of the fields.
func objectOf(fields map[string]string, field, value string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		raw := fields[name]
		if name == field {
			raw = value
		}
		parts = append(parts, fmt.Sprintf("%q:%s", name, raw))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// read calls each for the records of a topic.
func (p *product) read(topic string, each func(*kgo.Record) error) {
	p.Helper()
	source := records.Source{Brokers: p.cfg.Brokers}
	ends, err := source.Ends(p.Context(), topic)
	require.NoError(p, err)
	require.NoError(p, source.Read(p.Context(), ends, each))
}

// edges are values at the bounds of every kind of field and beyond, as raw JSON.
func edges() []string {
	quoted := func(s string, n int) string { return `"` + strings.Repeat(s, n) + `"` }
	return []string{
		`null`, `true`, `{}`, `""`, `" "`, `"x "`, `"\u0000"`, `"x\u200bx"`, `"\u001f"`, `"Zoe\u0308"`, `"\ud83d\ude00"`,
		quoted("x", 35), quoted("x", 36), quoted("x", 128), quoted("x", 129), quoted("x", 4096), quoted("x", 4097),
		quoted(`\u0000`, 4096),
		`0`, `1`, `-1`, `1000000000000`, `1000000000001`, `-1000000000000`, `9223372036854775807`, `-9223372036854775808`,
		`9223372036854775808`, `1.5`,
		`"0001-01-01"`, `"1900-01-01"`, `"1969-12-31"`, `"1970-01-01"`, `"1970-12-31"`, `"1971-01-01"`, `"2025-11-05"`,
		`"2026-12-10"`, `"2031-01-01"`, `"2147-12-31"`, `"2148-12-31"`, `"2149-06-07"`, `"2299-12-31"`, `"9999-12-31"`,
		`"0001-01-01T00:00:00Z"`, `"1900-01-01T00:00:00Z"`, `"1969-12-31T23:59:59Z"`, `"1970-01-01T00:00:00Z"`,
		`"1971-01-01T00:00:00+23:59"`, `"2025-11-05T23:59:59.999999999Z"`, `"2026-12-10T00:00:00Z"`,
		`"2031-01-01T00:00:00Z"`, `"2147-12-31T23:59:59-23:59"`, `"2148-12-31T23:59:59Z"`, `"2262-04-12T00:00:00Z"`,
		`"2299-12-31T23:59:59Z"`, `"9999-12-31T23:59:59Z"`,
	}
}

// timestamps are what a producer may give a record as its own.
func timestamps() []time.Time {
	day := func(year int) time.Time { return time.Date(year, 12, 31, 23, 59, 59, 0, time.UTC) }
	return []time.Time{
		time.UnixMilli(-2), time.UnixMilli(-1), time.UnixMilli(0), time.UnixMilli(1), day(1899), day(1969), day(2148),
		day(2149), day(2261), day(2262), day(2302), time.UnixMilli(1 << 50),
	}
}

// incoming are good records of the topics that outsiders write.
func incoming() map[string]map[string]string {
	return map[string]map[string]string{
		schemas.TopicFeedTransactions: {
			"transaction_id": `"t"`, "tenant_id": `"acme"`, "customer_id": `"C1"`, "booked_at": `"2025-11-04T08:00:00+02:00"`,
			"amount_cents": `850000`, "direction": `"CREDIT"`, "account_id": `"A"`, "balance_after_cents": `850000`,
			"currency": `"ZAR"`, "description": `"SALARY"`, "counterparty": `"Acme"`, "category": `"income"`,
			"state": `"BOOKED"`, "replaces_transaction_id": `"t0"`,
		},
		schemas.TopicFeedIncomes: {
			"income_id": `"i"`, "tenant_id": `"acme"`, "customer_id": `"C1"`, "kind": `"SALARY"`, "pay_date": `"2025-11-04"`,
			"state": `"PAID"`, "amount_cents": `850000`, "source": `"payroll"`,
		},
		schemas.TopicRailResults: {
			"result_id": `"r"`, "debit_id": `""`, "status": `"PAID"`, "effective_date": `"2025-11-05"`, "reason_code": `"02"`,
			"reason_scheme": `"ZA"`, "amount_cents": `15000`,
		},
	}
}

// TestWhateverIsAcceptedIsStored walks every field of every incoming topic, and the record's own timestamp, to their
// bounds and beyond. What is not accepted is a dead letter; what is accepted, and all that follows from it, is in
// ClickHouse; and the stages go on.
func TestWhateverIsAcceptedIsStored(t *testing.T) {
	good := incoming()
	require.Len(t, good, 3)
	for topic, fields := range good {
		text, err := schemas.JSONSchemas.ReadFile("json/" + topic + ".schema.json")
		require.NoError(t, err)
		var schema struct{ Properties map[string]json.RawMessage }
		require.NoError(t, json.Unmarshal(text, &schema))
		require.ElementsMatch(t, slices.Collect(maps.Keys(schema.Properties)), slices.Collect(maps.Keys(fields)), topic)
	}
	p := newProduct(t, civil.Date{Year: 2025, Month: 11, Day: 4})
	api, err := commands.New(p.cfg)
	require.NoError(t, err)
	t.Cleanup(api.Close)

	sent, now := map[string]int{}, time.Now()
	walk := func(topic, id string, each func(fields map[string]string)) {
		vary := func(field, value string, at time.Time) {
			fields := maps.Clone(good[topic])
			fields[id] = fmt.Sprintf(`"%s-%d"`, id, sent[topic])
			each(fields)
			if field != "" {
				fields[field] = value
			}
			if field == "replaces_transaction_id" { // what is replaced here is another account's
				fields["account_id"] = `"R"`
			}
			p.send(topic, fields, at)
			sent[topic]++
		}
		for _, field := range slices.Sorted(maps.Keys(good[topic])) {
			for _, value := range edges() {
				vary(field, value, now)
			}
		}
		for _, at := range timestamps() {
			vary("", "", at)
		}
	}
	walk(schemas.TopicFeedTransactions, "transaction_id", func(map[string]string) {})
	walk(schemas.TopicFeedIncomes, "income_id", func(map[string]string) {})

	answers := len(good[schemas.TopicRailResults])*len(edges()) + len(timestamps())
	var policies []schemas.PolicyCommand
	var executions []schemas.ExecuteCommand
	for i := range answers {
		number, customer := fmt.Sprintf("P%d", i), fmt.Sprintf("D%d", i)
		policies = append(policies, schemas.PolicyCommand{
			RequestID: "q", Row: i, Action: schemas.PolicyCreate, TenantID: "acme", CustomerID: customer, PolicyNumber: number,
			Terms: &schemas.PolicyTerms{PremiumCents: 15000, Status: schemas.PolicyActive, Rail: schemas.RailDebiCheck},
		})
		executions = append(executions, schemas.ExecuteCommand{
			RequestID: "e", Row: i, TenantID: "acme", CustomerID: customer, PolicyNumber: number, PeriodMonth: "2025-11",
		})
	}
	require.NoError(t, api.Policies(t.Context(), policies))
	p.advance(civil.Date{Year: 2025, Month: 11, Day: 4})
	require.NoError(t, api.Execute(t.Context(), executions))
	p.advance(civil.Date{Year: 2025, Month: 11, Day: 5})
	walk(schemas.TopicRailResults, "result_id", func(fields map[string]string) {
		i := sent[schemas.TopicRailResults]
		id := schemas.CollectionID(schemas.PolicyID("acme", fmt.Sprintf("P%d", i)), "2025-11")
		fields["debit_id"] = fmt.Sprintf("%q", schemas.DebitID("acme", fmt.Sprintf("D%d", i), id, 1))
	})
	p.advance(civil.Date{Year: 2025, Month: 11, Day: 28})

	refused, classes := map[string]int{}, map[string]int{}
	p.read(schemas.TopicDeadLetters, func(r *kgo.Record) error {
		for _, h := range r.Headers {
			switch h.Key {
			case "__connect.errors.topic":
				refused[string(h.Value)]++
			case "__connect.errors.class.name":
				classes[string(h.Value)]++
			}
		}
		return nil
	})
	t.Log("sent", sent, "refused", refused, classes)
	stored := map[string]uint64{}
	for topic, table := range schemas.SunkTopics {
		written, rows := 0, uint64(0)
		p.read(topic, func(*kgo.Record) error { written++; return nil })
		require.NoError(t, p.conn.QueryRow(t.Context(), "SELECT count() FROM "+table).Scan(&rows))
		require.EqualValues(t, written, rows, topic)
		stored[topic] = rows
	}
	require.EqualValues(t, sent[schemas.TopicFeedTransactions],
		refused[schemas.TopicFeedTransactions]+int(stored[schemas.TopicTransactions]))
	for topic, n := range sent {
		require.Positive(t, refused[topic], topic)
		require.Less(t, refused[topic], n, topic)
	}
	for _, class := range []string{
		schemas.RejectBadTime, schemas.RejectBadDate, schemas.RejectBadID, schemas.RejectTooFarAhead, schemas.RejectTooOld,
	} {
		require.Positive(t, classes[class], class)
	}
}

// TestWhateverIsAcceptedBeforeTheFirstTickIsStored does the same where no business date refuses what is too old or too
// far ahead.
func TestWhateverIsAcceptedBeforeTheFirstTickIsStored(t *testing.T) {
	conn, tables, dated := open(t, chtest.New(t)), tables(), rules.Default()
	l := &life{t: t, events: map[string][]*kgo.Record{}}
	for topic, fields := range incoming() {
		for field := range fields {
			for _, value := range edges() {
				rec, err := decoded(topic, []byte(objectOf(fields, field, value)))
				l.Arena = arena.New(processors.NewEngine(dated), dated)
				l.Now.At = sampleTime
				if err == nil && l.Step(rec) == nil {
					l.keep()
					require.NoError(t, l.Tick(civil.Date{Year: 2025, Month: 11, Day: 4}, 0))
					l.keep()
				}
			}
		}
	}
	require.Len(t, l.events, 2, "transactions and deposits")
	for topic, rows := range l.events {
		require.NoError(t, insert(t.Context(), conn, tables[topic], rows))
	}
}

// FuzzWhateverIsAcceptedIsStored walks on from there: a record as an outsider may write it, what the engine makes of it
// until the end of the month, and an insert of all that into ClickHouse.
func FuzzWhateverIsAcceptedIsStored(f *testing.F) {
	conn, tables := open(f, chtest.New(f)), tables()
	debit := schemas.DebitID("acme", "C1", schemas.CollectionID(schemas.PolicyID("acme", "P1"), "2025-11"), 1)
	for topic, fields := range incoming() {
		if topic == schemas.TopicRailResults {
			fields["debit_id"] = fmt.Sprintf("%q", debit)
		}
		f.Add(topic, []byte(objectOf(fields, "", ""))) // the test above has walked all edges
	}
	f.Fuzz(func(t *testing.T, topic string, value []byte) {
		l := newLife(t)
		if topic == schemas.TopicRailResults {
			l.pass(5)
		}
		rec, err := decoded(topic, value)
		if err == nil {
			err = l.Step(rec)
		}
		if err != nil {
			require.ErrorAs(t, err, new(*schemas.Reject))
			return
		}
		l.keep()
		l.pass(28)
		for topic, rows := range l.events {
			require.NoError(t, insert(t.Context(), conn, tables[topic], rows))
		}
	})
}

// life is a customer with a collection, and the events so far, by topic.
type life struct {
	*arena.Arena
	t      *testing.T
	day    int // of November 2025
	events map[string][]*kgo.Record
}

func newLife(t *testing.T) *life {
	dated := rules.Default()
	l := &life{Arena: arena.New(processors.NewEngine(dated), dated), t: t, day: 3, events: map[string][]*kgo.Record{}}
	l.Now.At = sampleTime
	l.pass(4)
	for _, rec := range []processors.Record{
		&schemas.PolicyCommand{
			Action: schemas.PolicyCreate, TenantID: "acme", CustomerID: "C1", PolicyNumber: "P1",
			Terms: &schemas.PolicyTerms{PremiumCents: 15000, Status: schemas.PolicyActive, Rail: schemas.RailDebiCheck},
		},
		&schemas.ExecuteCommand{TenantID: "acme", CustomerID: "C1", PolicyNumber: "P1", PeriodMonth: "2025-11"},
	} {
		require.NoError(t, l.Step(rec))
		l.keep()
	}
	return l
}

// pass lets the days go by, each with its cut-off.
func (l *life) pass(to int) {
	for ; l.day < to; l.day++ {
		for cutoff := range 2 {
			require.NoError(l.t, l.Tick(civil.Date{Year: 2025, Month: 11, Day: l.day + 1}, cutoff))
			l.keep()
		}
	}
}

// keep takes the latest step's events.
func (l *life) keep() {
	keep(l, schemas.TopicTransactions, l.Out.Transactions)
	keep(l, schemas.TopicDeposits, l.Out.Deposits)
	keep(l, schemas.TopicDecisions, l.Out.Decisions)
	keep(l, schemas.TopicDebits, l.Out.Debits)
	keep(l, schemas.TopicCollections, l.Out.Collections)
	keep(l, schemas.TopicPolicies, l.Out.Policies)
}

func keep[E any](l *life, topic string, events []E) {
	for _, e := range events {
		l.events[topic] = append(l.events[topic], &kgo.Record{Value: encode(l.t, e)})
	}
}

// decoded is a record of the customer; whose it says it is does not matter here.
func decoded(topic string, value []byte) (processors.Record, error) {
	switch topic {
	case schemas.TopicFeedTransactions:
		tx, err := feeds.Transaction(value)
		tx.TenantID, tx.CustomerID = "acme", "C1"
		return &tx, err
	case schemas.TopicFeedIncomes:
		in, err := feeds.Income(value)
		in.TenantID, in.CustomerID = "acme", "C1"
		return &in, err
	}
	res, err := feeds.Result(value)
	return &res, err
}
