package verify

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/records"
)

// failing are the checks that found something.
func (r *Report) failing() (names []string) {
	for _, c := range r.Checks {
		if c.Differences > 0 {
			names = append(names, c.Name)
		}
	}
	return names
}

func (r *Report) check(t *testing.T, name string) *Check {
	t.Helper()
	i := slices.IndexFunc(r.Checks, func(c *Check) bool { return c.Name == name })
	require.GreaterOrEqual(t, i, 0, "no check %q", name)
	return r.Checks[i]
}

// The product's own output passes; whatever is changed in it, the check it concerns says so.
func TestVerifier(t *testing.T) {
	o, cfg := playMonth(t)
	r, err := Run(t.Context(), o)
	require.NoError(t, err)
	for _, c := range r.Checks {
		require.Empty(t, c.Examples, c.Name)
		if c.Name != "clickhouse open_items" { // the month's bank leaves none
			require.Positive(t, c.Counted, "%s looked at nothing", c.Name)
		}
		require.Zero(t, c.InTransit, c.Name)
	}
	lines := ledgerOf(t, o)
	o.Ledger = lines
	r, err = Run(t.Context(), o)
	require.NoError(t, err)
	require.Empty(t, r.failing())
	require.EqualValues(t, len(lines), r.check(t, "bank's ledger").Counted)

	for name, plant := range tamperings(t) {
		t.Run(name, func(t *testing.T) {
			o := o
			o.Kafka = tampered{o.Kafka, plant.change()}
			r, err := Run(t.Context(), o)
			require.NoError(t, err)
			for _, want := range plant.fails {
				require.Contains(t, r.failing(), want)
			}
		})
	}
	t.Run("a tick written twice counts once", func(t *testing.T) {
		o := o
		o.Kafka = tampered{o.Kafka, once(schemas.TopicCalendar, nil, twice)()}
		r, err := Run(t.Context(), o)
		require.NoError(t, err)
		require.Empty(t, r.failing())
	})
	t.Run("answers", func(t *testing.T) { answersWhole(t, o.ClickHouse) })
	t.Run("ledger", func(t *testing.T) { tamperLedger(t, o, lines) })
	fed := fedOf(t, o)
	t.Run("acknowledged", func(t *testing.T) { acknowledgeMore(t, o, fed) })
	t.Run("removed", func(t *testing.T) { remove(t, o) })
	t.Run("clickhouse", func(t *testing.T) {
		tamperClickHouse(t, o, cfg.ClickHouseNative, cfg.Password)
		o.Fed, o.Wait = fed, 1
		r, err := Run(t.Context(), o)
		require.NoError(t, err)
		require.Equal(t, int64(1), r.check(t, "acknowledged").Differences, "the transaction that was stored twice")
		require.Contains(t, r.check(t, "acknowledged").Examples[0], "has 2 rows")
	})
}

// remove has retention take records of the outside topics, first some, then all: what rests on them is noted and is no
// difference. What is left must still fit.
func remove(t *testing.T, o Options) {
	source, ok := o.Kafka.(records.Source)
	require.True(t, ok)
	cl, err := source.Client()
	require.NoError(t, err)
	defer cl.Close()
	admin := kadm.NewClient(cl)
	outside := []string{schemas.TopicFeedTransactions, schemas.TopicRailResults, schemas.TopicFeedIncomes}
	for _, share := range []int64{2, 1} {
		ends, err := admin.ListEndOffsets(t.Context(), outside...)
		require.NoError(t, err)
		var removed int64
		cut := kadm.Offsets{}
		ends.Each(func(e kadm.ListedOffset) {
			cut.AddOffset(e.Topic, e.Partition, e.Offset/share, -1)
			removed += e.Offset / share
		})
		require.Positive(t, removed)
		_, err = admin.DeleteRecords(t.Context(), cut)
		require.NoError(t, err)
		r, err := Run(t.Context(), o)
		require.NoError(t, err)
		require.Empty(t, r.failing())
		require.Positive(t, r.check(t, "results applied").Unchecked)
		require.Positive(t, r.check(t, "clearing balance").Unchecked)
		for _, topic := range outside {
			require.Contains(t, strings.Join(r.Notes, "\n"), topic)
		}
	}
	p := once(schemas.TopicCollections, func(r *kgo.Record) bool { return fields(t, r).Change.Kind == paid }, lost)
	o.Kafka = tampered{o.Kafka, p()}
	r, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Contains(t, r.failing(), "statements")
}

// ledgerOf makes the bank's ledger out of the debits and the last result of each.
func ledgerOf(t *testing.T, o Options) []LedgerLine {
	b, err := readBooks(t.Context(), o)
	require.NoError(t, err)
	var text strings.Builder
	text.WriteString("debit_id,status,amount_cents\n")
	for _, d := range b.debits {
		status := "PENDING"
		if rs := b.results[d.DebitID]; len(rs) > 0 {
			status = rs[len(rs)-1].Status
		}
		fmt.Fprintf(&text, "%s,%s,%d\n", strings.ToUpper(d.DebitID), status, d.Amount)
	}
	lines, err := ReadLedger(strings.NewReader(text.String()))
	require.NoError(t, err)
	return lines
}

// fedOf makes what the feeds know out of what lies on their topic.
func fedOf(t *testing.T, o Options) map[TransactionKey]bool {
	text := "tenant_id,customer_id,transaction_id\n"
	ends, err := o.Kafka.Ends(t.Context(), schemas.TopicFeedTransactions)
	require.NoError(t, err)
	require.NoError(t, o.Kafka.Read(t.Context(), ends, func(r *kgo.Record) error {
		var e event
		if json.Unmarshal(r.Value, &e) == nil && e.TransactionID != "" {
			text += e.Tenant + "," + e.Customer + "," + e.TransactionID + "\n"
		}
		return nil
	}))
	fed, err := ReadFed(strings.NewReader(text))
	require.NoError(t, err)
	return fed
}

// acknowledgeMore lets a feed claim what Kafka has forgotten since.
func acknowledgeMore(t *testing.T, o Options, fed map[TransactionKey]bool) {
	o.Fed = fed
	defer func(n int) { sliceRows = n }(sliceRows)
	sliceRows = 7 // many slices
	r, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Empty(t, r.failing())
	require.EqualValues(t, len(fed), r.check(t, "acknowledged").Counted)
	o.Fed = maps.Clone(fed)
	o.Fed[42] = true
	r, err = Run(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, []string{"acknowledged"}, r.failing())
	require.Contains(t, r.check(t, "acknowledged").Examples[0], "has no row")
	_, err = ReadFed(strings.NewReader("customer_id\n"))
	require.ErrorContains(t, err, "the first line must be")
}

// An error in the middle of an answer is an error, not a row.
func answersWhole(t *testing.T, ch ClickHouse) {
	_, err := ch.query(t.Context(), "SELECT number FROM numbers(1000001)")
	require.ErrorContains(t, err, "Limit for result exceeded")
	rows, err := ch.query(t.Context(), "SELECT number FROM numbers(999999)")
	require.NoError(t, err)
	require.Len(t, rows, 999_999)
}

type tampering struct {
	fails  []string
	change func() func(*kgo.Record) []*kgo.Record
}

// once applies a change to the first record of a topic that fits, and to no other.
func once(topic string, fits func(*kgo.Record) bool,
	do func(*kgo.Record) []*kgo.Record,
) func() func(*kgo.Record) []*kgo.Record {
	return func() func(*kgo.Record) []*kgo.Record {
		done := false
		return func(r *kgo.Record) []*kgo.Record {
			if done || r.Topic != topic || fits != nil && !fits(r) {
				return []*kgo.Record{r}
			}
			done = true
			return do(r)
		}
	}
}

func lost(*kgo.Record) []*kgo.Record    { return nil }
func twice(r *kgo.Record) []*kgo.Record { return []*kgo.Record{r, r} }

// tamperings are the changes to Kafka, each with the checks that must find it.
func tamperings(t *testing.T) map[string]tampering {
	kind := func(k string) func(*kgo.Record) bool {
		return func(r *kgo.Record) bool { return fields(t, r).Change.Kind == k }
	}
	set := func(do func(m map[string]any)) func(*kgo.Record) []*kgo.Record {
		return func(r *kgo.Record) []*kgo.Record { return []*kgo.Record{edited(t, r, do)} }
	}
	change := func(m map[string]any) map[string]any { return m["change"].(map[string]any) }
	add := func(m map[string]any, name string, n float64) { m[name] = m[name].(float64) + n }
	accepted := once(schemas.TopicTransactions, nil, twice)
	first := func(r *kgo.Record) bool { return fields(t, r).Version == 1 }
	return map[string]tampering{
		"transaction accepted twice": {[]string{"transactions once", "sequences", "clickhouse transactions"}, accepted},
		"transaction lost": {[]string{"transactions kept", "sequences"}, once(schemas.TopicTransactions, nil,
			lost)},
		"dead letter lost": {[]string{"transactions kept"}, once(schemas.TopicDeadLetters,
			func(r *kgo.Record) bool { return strings.Contains(headers(r), schemas.TopicFeedTransactions) }, lost)},
		"collected is not what the bank paid": {
			[]string{"bank's ledger", "moved = collected"},
			func() func(*kgo.Record) []*kgo.Record {
				return func(r *kgo.Record) []*kgo.Record {
					if r.Topic != schemas.TopicCollections || !kind(paid)(r) {
						return []*kgo.Record{r}
					}
					return []*kgo.Record{edited(t, r, func(m map[string]any) { add(m, "collected_cents", 1) })}
				}
			},
		},
		"debit sent twice": {[]string{"debits once", "clearing balance"}, once(schemas.TopicDebits, nil, twice)},
		"debit not sent":   {[]string{"debits booked", "clearing balance"}, once(schemas.TopicDebits, nil, lost)},
		"debit of another amount": {
			[]string{"debits booked", "clearing balance", "clickhouse debits"}, once(schemas.TopicDebits, nil,
				set(func(m map[string]any) { add(m, "amount_cents", 1) })),
		},
		"second debit in flight": {[]string{"one in flight", "versions dense"}, once(schemas.TopicCollections,
			kind(instructed), func(r *kgo.Record) []*kgo.Record {
				return []*kgo.Record{
					r,
					edited(t, r, func(m map[string]any) { change(m)["debit_id"] = "0123456789abcdef0123456789abcdef" }),
				}
			})},
		"version lost": {[]string{"versions dense"}, once(schemas.TopicCollections, first, lost)},
		"more than due": {[]string{"within due", "one in flight"}, once(schemas.TopicCollections, kind(instructed),
			set(func(m map[string]any) {
				add(m, "in_flight_cents", m["due_cents"].(float64)+1)
			}))},
		"due changed": {[]string{"within due"}, once(schemas.TopicCollections, kind(paid),
			set(func(m map[string]any) { add(m, "due_cents", 100) }))},
		"movement lost": {
			[]string{"sequences", "statements", "results applied", "clearing balance"},
			once(schemas.TopicCollections, kind(paid), lost),
		},
		"a changed cent": {
			[]string{"moved = collected", "statements", "clickhouse collections"},
			once(schemas.TopicCollections, kind(paid), set(func(m map[string]any) { add(change(m), "moved_cents", 1) })),
		},
		"collected changed": {[]string{"moved = collected"}, once(schemas.TopicCollections, kind(paid),
			set(func(m map[string]any) {
				add(m, "collected_cents", -1)
			}))},
		"unpaid said, paid booked": {[]string{"results applied", "clearing balance"}, func() func(*kgo.Record) []*kgo.Record {
			var debit string
			return func(r *kgo.Record) []*kgo.Record {
				if r.Topic != schemas.TopicRailResults || resultOf(t, r).Status != "PAID" || debit != "" &&
					resultOf(t, r).DebitID != debit {
					return []*kgo.Record{r}
				}
				debit = resultOf(t, r).DebitID
				return set(func(m map[string]any) { m["status"] = "UNPAID" })(r)
			}
		}},
		"paid without an answer": {[]string{"results applied", "clearing balance"}, func() func(*kgo.Record) []*kgo.Record {
			var debit string
			return func(r *kgo.Record) []*kgo.Record {
				if r.Topic != schemas.TopicRailResults || resultOf(t, r).Status != "PAID" || debit != "" &&
					resultOf(t, r).DebitID != debit {
					return []*kgo.Record{r}
				}
				debit = resultOf(t, r).DebitID
				return nil
			}
		}},
		"statement a cent off": {[]string{"statements", "clickhouse settlements"}, once(schemas.TopicSettlements, first,
			set(func(m map[string]any) { add(m, "net_cents", 1) }))},
		"VAT a cent off": {[]string{"statements"}, once(schemas.TopicSettlements, first,
			set(func(m map[string]any) { add(m, "vat_cents", 1) }))},
		"figures change later": {[]string{"statements"}, once(schemas.TopicSettlements,
			func(r *kgo.Record) bool { return !first(r) }, set(func(m map[string]any) { add(m, "total_fees_cents", 1) }))},
		"movement in two statements": {[]string{"settled once"}, once(schemas.TopicSettlements, first,
			func(r *kgo.Record) []*kgo.Record {
				return []*kgo.Record{r, edited(t, r, func(m map[string]any) { m["settlement_id"], m["sequence"] = "other", 2 })}
			})},
		"statement left out": {[]string{"settled once"}, once(schemas.TopicSettlements, first,
			set(func(m map[string]any) { m["sequence"] = 2 }))},
		"total of another": {[]string{"clickhouse lines", "statements"}, once(schemas.TopicSettlements, first,
			set(func(m map[string]any) { add(m, "total_collections_cents", 5) }))},
		"no JSON": {[]string{"sequences"}, once(schemas.TopicDecisions, nil,
			func(r *kgo.Record) []*kgo.Record { c := *r; c.Value = []byte("{"); return []*kgo.Record{&c} })},
		"another price": {[]string{"priced again"}, once(schemas.TopicDecisions,
			func(r *kgo.Record) bool { return strings.Contains(string(r.Value), `"situation"`) },
			set(func(m map[string]any) { add(m["inputs"].(map[string]any), "lowest_cents", 1) }))},
		"tracked for longer": {[]string{"tracking"}, once(schemas.TopicDebits,
			func(r *kgo.Record) bool { return fields(t, r).TrackingUntil != "" },
			set(func(m map[string]any) { m["tracking_until"] = "2025-12-01" }))},
		"tick lost":     {[]string{"clickhouse calendar"}, once(schemas.TopicCalendar, nil, lost)},
		"outcome lost":  {[]string{"clickhouse outcomes"}, once(schemas.TopicOutcomes, nil, lost)},
		"deposit lost":  {[]string{"clickhouse deposits"}, once(schemas.TopicDeposits, nil, lost)},
		"decision lost": {[]string{"clickhouse decisions"}, once(schemas.TopicDecisions, nil, lost)},
		"premium changed": {[]string{"clickhouse policies"}, once(schemas.TopicPolicies, nil,
			set(func(m map[string]any) { add(m, "collection_amount_cents", 1) }))},
	}
}

func headers(r *kgo.Record) (all string) {
	for _, h := range r.Headers {
		all += string(h.Value) + "\n"
	}
	return all
}

func resultOf(t *testing.T, r *kgo.Record) result {
	t.Helper()
	b := books{results: map[string][]*result{}}
	b.takeResult(r, false)
	for _, rs := range b.results {
		return *rs[0]
	}
	return result{}
}

func tamperLedger(t *testing.T, o Options, lines []LedgerLine) {
	paidAt := slices.IndexFunc(lines, func(l LedgerLine) bool { return l.Status == "PAID" })
	for want, change := range map[string]func([]LedgerLine) []LedgerLine{
		"in the bank's ledger twice": func(l []LedgerLine) []LedgerLine { return append(l, l[0]) },
		"never instructed":           func(l []LedgerLine) []LedgerLine { l[0].DebitID = "x"; return l },
		"is not in the bank's":       func(l []LedgerLine) []LedgerLine { return l[1:] },
		"instructed R":               func(l []LedgerLine) []LedgerLine { l[0].Cents++; return l },
		"difference R":               func(l []LedgerLine) []LedgerLine { l[paidAt].Status = "RETURNED"; return l },
	} {
		o.Ledger = change(slices.Clone(lines))
		r, err := Run(t.Context(), o)
		require.NoError(t, err)
		require.Equal(t, []string{"bank's ledger"}, r.failing(), want)
		require.Contains(t, strings.Join(r.check(t, "bank's ledger").Examples, "\n"), want)
	}
}

// tamperClickHouse changes rows of the real ClickHouse, each time in another table, so that no change hides another.
func tamperClickHouse(t *testing.T, o Options, addr, password string) {
	conn, err := clickhouse.Open(&clickhouse.Options{Addr: []string{addr}, Auth: clickhouse.Auth{
		Database: "kasi",
		Username: "kasi", Password: password,
	}})
	require.NoError(t, err)
	defer conn.Close()
	// A merge in the background would take a planted duplicate out again before it is looked for. (Where rows are changed
	// in place merges must go on: they do the changing.)
	for _, table := range []string{"deposits_log", "transactions_log", "policies_log"} {
		require.NoError(t, conn.Exec(t.Context(), "SYSTEM STOP MERGES "+table))
	}
	// The sink would bring back what is lost, and set its marks anew.
	for _, table := range []string{
		"collections_log", "outcomes_log", "sink_marks", "collections_now", "debits_now", "policies_now",
	} {
		require.NoError(t, conn.Exec(t.Context(), "ALTER TABLE "+table+" ADD CONSTRAINT never CHECK 0"))
	}
	var broken []string
	for _, plant := range []struct{ check, sql, says string }{
		{
			"clickhouse deposits",
			"INSERT INTO deposits_log SELECT * FROM deposits_log ORDER BY seq LIMIT 1 SETTINGS insert_deduplicate = 0",
			"different numbers",
		},
		{
			"clickhouse collections",
			"DELETE FROM collections_log WHERE change_kind = 'DEBIT_PAID' AND seq IN (SELECT min(seq) FROM collections_log " +
				"WHERE change_kind = 'DEBIT_PAID')", "rows in ClickHouse",
		},
		{
			"clickhouse debits",
			"ALTER TABLE debits_log UPDATE amount_cents = amount_cents + 1 WHERE attempt = 1 AND seq = 1 SETTINGS " +
				"mutations_sync = 1", "difference R 0.0",
		},
		{
			"clickhouse decisions",
			"ALTER TABLE decisions_log UPDATE amount_cents = if(seq = 1, amount_cents + 1, amount_cents - 1) WHERE seq <= 2 " +
				"SETTINGS mutations_sync = 1", "the rows are not the records",
		},
		{
			"clickhouse transactions",
			"INSERT INTO transactions_log SELECT * REPLACE (toUInt32(99) AS src_partition) FROM transactions_log LIMIT 1 " +
				"SETTINGS insert_deduplicate = 0", "partition 99",
		},
		{
			"clickhouse policies",
			"INSERT INTO policies_log SELECT * REPLACE (seq + 1000000 AS seq) FROM policies_log ORDER BY seq LIMIT 1 " +
				"SETTINGS insert_deduplicate = 0", "readers see",
		},
		{"clickhouse outcomes", "TRUNCATE TABLE outcomes_log", "no row in ClickHouse"},
		{
			"current states", "ALTER TABLE collections_now UPDATE collected_cents = collected_cents - 1 " +
				"WHERE collected_cents > 0 SETTINGS mutations_sync = 1", "the view shows",
		},
		{"current states", "TRUNCATE TABLE debits_now", "the view shows none"},
		{
			"current states", "ALTER TABLE policies_now UPDATE status = 'lapsed' WHERE 1 SETTINGS mutations_sync = 1",
			"policies of demo lapsed",
		},
	} {
		require.NoError(t, conn.Exec(t.Context(), plant.sql), plant.check)
		broken = append(broken, plant.check)
		r, err := Run(t.Context(), o)
		require.NoError(t, err)
		require.Subset(t, r.failing(), broken)
		require.Contains(t, strings.Join(r.check(t, plant.check).Examples, "\n"), plant.says)
	}
	require.NoError(t, conn.Exec(t.Context(), "TRUNCATE TABLE sink_marks"))
	o.Wait = 1
	r, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Contains(t, strings.Join(r.check(t, "clickhouse calendar").Examples, "\n"), "is the sink running?")
	require.Contains(t, strings.Join(r.check(t, "clickhouse lines").Examples, "\n"), "its lines add up to",
		"a movement is gone from ClickHouse")
}

// What another wrote on an event's topic and the sink has set aside is a note. Where nobody set it aside, it is a
// difference.
func TestRecordsSetAsideAreNotes(t *testing.T) {
	dead := &kgo.Record{Topic: schemas.TopicDeadLetters, Headers: []kgo.RecordHeader{
		{Key: "__connect.errors.topic", Value: []byte(schemas.TopicDebits)},
		{Key: "__connect.errors.partition", Value: []byte("1")},
		{Key: "__connect.errors.offset", Value: []byte("7")},
	}}
	for _, letters := range [][]*kgo.Record{nil, {dead}} {
		b := &books{deadPlaces: map[string]bool{}, deadFed: map[uint64]bool{}}
		require.NoError(t, b.take(&kgo.Record{Topic: schemas.TopicDebits, Partition: 1, Offset: 7, Value: []byte("no JSON")}))
		for _, r := range letters {
			require.NoError(t, b.take(r))
		}
		b.takePlain()
		require.Len(t, b.notes, len(letters))
		require.Len(t, b.unreadable, 1-len(letters))
	}
}

// A file that is refused as a whole is one dead letter, for each of its lines.
func TestAFileRefusedWhole(t *testing.T) {
	file := func(header string, at int64) *kgo.Record {
		return &kgo.Record{
			Topic: schemas.TopicFeedTransactions, Offset: at,
			Value: []byte(header + "\nt1,demo,c1,x\nt2,demo,c1,y\n"),
		}
	}
	from := func(offset, entry string) *kgo.Record {
		header := func(name, value string) kgo.RecordHeader {
			return kgo.RecordHeader{Key: "__connect.errors." + name, Value: []byte(value)}
		}
		return &kgo.Record{Value: []byte("x"), Headers: []kgo.RecordHeader{
			header("topic", schemas.TopicFeedTransactions), header("partition", "0"), header("offset", offset),
			header("entry", entry),
		}}
	}
	b := &books{accepted: map[uint64]int64{}, deadPlaces: map[string]bool{}, deadFed: map[uint64]bool{}}
	b.takeFed(file("transaction_id,tenant_id,customer_id,transaction_id", 0), &event{}, false, false)
	b.takeFed(file("transaction_id,tenant_id,customer_id,account_id", 1), &event{}, false, false)
	b.takeDead(from("0", ""))
	b.takeDead(from("1", "2"))
	c := &Check{}
	b.transactionsKept(c)
	require.EqualValues(t, 4, c.Counted)
	require.Len(t, c.Examples, 1)
	require.Contains(t, c.Examples[0], "/0/1/1 is neither")
}
