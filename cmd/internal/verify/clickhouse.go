package verify

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/records"
)

// table is a topic, the ClickHouse table that its events go to, and the columns whose cents are compared one by one.
type table struct {
	topic, name string
	columns     []string
	of          func(e *event) []cents
}

func amount(e *event) []cents { return []cents{e.Amount} }

func none(*event) []cents { return nil }

// tables are compared row by row, through a digest over event id, number and cents. The calendar has none of these and
// is counted only.
var tables = []table{
	{schemas.TopicTransactions, "transactions_log", []string{"amount_cents"}, amount},
	{schemas.TopicDeposits, "deposits_log", []string{"amount_cents"}, amount},
	{schemas.TopicDecisions, "decisions_log", []string{"amount_cents"}, amount},
	{schemas.TopicDebits, "debits_log", []string{"amount_cents"}, amount},
	{
		schemas.TopicPolicies, "policies_log",
		[]string{"premium_cents"},
		func(e *event) []cents { return []cents{e.Premium} },
	},
	{
		schemas.TopicCollections, "collections_log",
		[]string{"moved_cents", "due_cents", "collected_cents", "in_flight_cents"},
		func(e *event) []cents { return []cents{e.Change.Moved, e.Due, e.Collected, e.InFlight} },
	},
	{
		schemas.TopicSettlements, "settlements_log",
		[]string{
			"net_cents", "total_collections_cents", "adjustments_cents", "distribution_fee_cents", "collections_fee_cents",
			"total_fees_cents", "vat_cents", "brought_forward_cents", "payable_cents", "in_flight_cents",
		},
		func(e *event) []cents {
			return []cents{
				e.Net, e.Total, e.Adjustments, e.DistributionFee, e.CollectionsFee, e.TotalFees, e.VAT, e.BroughtForward,
				e.Payable, e.InFlight,
			}
		},
	},
	{schemas.TopicPayouts, "payouts_log", []string{"amount_cents"}, amount},
	{schemas.TopicOpenItems, "open_items_log", []string{"amount_cents"}, amount},
	{
		schemas.TopicExecutions, "executions_log",
		[]string{"collections_created", "unchanged", "refused"},
		func(e *event) []cents { return []cents{cents(e.Created), cents(e.Unchanged), cents(e.Refused)} },
	},
	{schemas.TopicOutcomes, "outcomes_log", nil, none},
	{schemas.TopicImports, "imports_log", nil, none},
	{schemas.TopicAudit, "audit_log", nil, none},
	{schemas.TopicCalendar, "calendar_log", nil, none},
}

// tallyKey is one run of numbers: outcomes are numbered per stage, everything else per topic and partition.
type tallyKey struct {
	topic     string
	partition int32
	stage     string
}

// tally is what one run of numbers holds.
type tally struct {
	rows, maxSeq int64
	sum          cents // of the first of the table's columns
	digest       uint64
	gaps         []string
	ticks        map[string]bool // of the calendar; one may be written twice, and counts once
}

// String names the run within its topic.
func (k tallyKey) String() string {
	if k.stage == "" {
		return fmt.Sprintf("partition %d", k.partition)
	}
	return fmt.Sprintf("partition %d (%s)", k.partition, k.stage)
}

func (b *books) tally(topic string, e *event) {
	i := slices.IndexFunc(tables, func(t table) bool { return t.topic == topic })
	key := tallyKey{topic: topic, partition: e.partition}
	if topic == schemas.TopicOutcomes {
		key.stage = e.Stage
	}
	t := b.tallies[key]
	if t == nil {
		t = &tally{}
		b.tallies[key] = t
	}
	if topic == schemas.TopicCalendar {
		if t.ticks == nil {
			t.ticks = map[string]bool{}
		}
		t.ticks[e.Date+"/"+strconv.Itoa(e.Cutoff)] = true
		t.rows = int64(len(t.ticks))
		return
	}
	t.rows++
	if e.Seq != t.maxSeq+1 && len(t.gaps) < maxExamples {
		t.gaps = append(t.gaps, fmt.Sprintf("%s partition %d offset %d: number %d follows %d", topic, e.partition, e.offset,
			e.Seq, t.maxSeq))
	}
	t.maxSeq = max(t.maxSeq, e.Seq)
	text := e.EventID + ":" + strconv.FormatInt(e.Seq, 10)
	for n, c := range tables[i].of(e) {
		if n == 0 {
			t.sum += c
		}
		text += ":" + strconv.FormatInt(int64(c), 10)
	}
	t.digest += xxhash.Sum64String(text)
}

// sequences checks the numbers on Kafka itself: a gap is a lost event, a repetition a second one.
func (b *books) sequences(c *Check) {
	for _, text := range b.unreadable {
		c.differ("%s", text)
	}
	for _, t := range b.tallies {
		c.Counted += t.rows
		for _, g := range t.gaps {
			c.differ("%s", g)
		}
	}
}

// clickhouse compares every table with its topic, then the lines of the statements with their totals.
func (r *Report) clickhouse(ctx context.Context, b *books, o Options) {
	missing, err := waitForSink(ctx, b.ends, o)
	r.err = err
	if o.Fed != nil {
		r.run("acknowledged", "each transaction that its feed had acknowledged has one row, or is a dead letter",
			func(c *Check) error { return b.acknowledged(ctx, c, o) })
	}
	for _, t := range tables {
		r.run("clickhouse "+strings.TrimSuffix(t.name, "_log"), "rows, cents and numbers are those of "+t.topic,
			func(c *Check) error {
				for _, m := range missing[t.topic] {
					c.differ("%s", m)
				}
				return b.compare(ctx, c, o.ClickHouse, t)
			})
	}
	r.run("clickhouse lines", "the lines of each statement add up to it",
		func(c *Check) error { return b.lines(ctx, c, o.ClickHouse) })
	r.run("double entry", "each rand stands in the ledger, and statement = lines = ledger = payment",
		func(c *Check) error { return b.unlessMoved(ctx, c, b.doubleEntry) })
	r.run("current states", "collections, debits and policies as they are now are what the events make them",
		func(c *Check) error { return b.unlessMoved(ctx, c, b.currentStates) })
}

const queryMarks = "SELECT topic, partition, max(next_offset) FROM sink_marks GROUP BY topic, partition"

// waitForSink waits until the sink has reached the ends, and says where it has not.
func waitForSink(ctx context.Context, ends records.Ends, o Options) (map[string][]string, error) {
	for deadline := time.Now().Add(o.Wait); ; {
		rows, err := o.ClickHouse.query(ctx, queryMarks)
		if err != nil {
			return nil, err
		}
		at := records.Ends{}
		for _, r := range rows {
			at[records.Place{Topic: r.name, Partition: int32(r.n[0])}] = r.n[1]
		}
		missing := map[string][]string{}
		for p, end := range ends {
			sunk := slices.ContainsFunc(tables, func(t table) bool { return t.topic == p.Topic })
			if sunk && at[p] < end {
				missing[p.Topic] = append(missing[p.Topic],
					fmt.Sprintf("partition %d is in ClickHouse up to offset %d of %d after %s: is the sink running?", p.Partition,
						at[p], end, o.Wait))
			}
		}
		if len(missing) == 0 || time.Now().After(deadline) {
			return missing, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// compareSQL looks at the rows as they are stored, without FINAL: a duplicate is a difference even where readers would
// not see it. ends bounds it to what was read.
func (t table) compareSQL(ends []string) string {
	run, sum, digest := "''", "0", "concat(toString(event_id), ':', toString(seq)"
	if t.topic == schemas.TopicOutcomes {
		run = "toString(stage)"
	}
	if len(t.columns) > 0 {
		sum = "sum(" + t.columns[0] + ")"
	}
	for _, column := range t.columns {
		digest += ", ':', toString(" + column + ")"
	}
	rows := "count()"
	facts := fmt.Sprintf("uniqExact(seq), min(seq), max(seq), %s, reinterpretAsInt64(sumWithOverflow(xxHash64(%s))))", sum,
		digest)
	if t.topic == schemas.TopicCalendar {
		rows = "uniqExact(business_date, cutoff)"
		facts = rows + ", 1, " + rows + ", 0, 0"
	}
	return fmt.Sprintf("SELECT %s AS run, src_partition, %s, %s FROM %s GROUP BY src_partition, run", run, rows, facts,
		t.read("", ends))
}

// read is the table as far as the topic was read.
func (t table) read(final string, ends []string) string {
	return fmt.Sprintf("%s%s WHERE src_partition >= %d OR src_offset < [%s][src_partition + 1]", t.name, final,
		len(ends), strings.Join(ends, ", "))
}

// compare holds one table against its topic.
func (b *books) compare(ctx context.Context, c *Check, ch ClickHouse, t table) error {
	var ends []string
	for p := int32(0); ; p++ {
		end, ok := b.ends[records.Place{Topic: t.topic, Partition: p}]
		if !ok {
			break
		}
		ends = append(ends, fmt.Sprintf("toInt64(%d)", end))
	}
	rows, err := ch.query(ctx, t.compareSQL(ends))
	if err != nil {
		return err
	}
	seen := map[tallyKey]bool{}
	var stored int64
	for _, r := range rows {
		key := tallyKey{topic: t.topic, partition: int32(r.n[0]), stage: r.name}
		seen[key] = true
		stored += r.n[1]
		b.compareRun(c, key, tally{rows: r.n[1], maxSeq: r.n[4], sum: cents(r.n[5]), digest: uint64(r.n[6])}, r.n[2], r.n[3])
	}
	for key, k := range b.tallies {
		if key.topic != t.topic {
			continue
		}
		c.Counted += k.rows
		c.must(seen[key], "%s: %d records on Kafka, no row in ClickHouse", key, k.rows)
	}
	if t.topic == schemas.TopicCalendar {
		return nil // a tick that was written twice is one row once ClickHouse has merged
	}
	// The views, which resolve duplicates, show every row: two events under one sorting key would hide each other.
	if rows, err = ch.query(ctx, "SELECT '', count() FROM "+t.read(" FINAL", ends)); err != nil {
		return err
	}
	if n := rows[0].n[0]; n != stored {
		c.differ("readers see %d rows, %d are stored", n, stored)
	}
	return nil
}

// compareRun compares one run of numbers: the same rows and cents as on Kafka, each number once, none missing.
func (b *books) compareRun(c *Check, key tallyKey, have tally, unique, least int64) {
	want := b.tallies[key]
	if want == nil {
		want = &tally{}
	}
	c.must(have.rows == want.rows, "%s: %d rows in ClickHouse, %d records on Kafka", key, have.rows, want.rows)
	c.must(have.rows == unique && unique == have.maxSeq-least+1, "%s: %d rows with %d different numbers from %d to %d",
		key, have.rows, unique, least, have.maxSeq)
	if key.topic == schemas.TopicCalendar {
		return
	}
	c.must(have.maxSeq == want.maxSeq, "%s: numbers go up to %d in ClickHouse, to %d on Kafka", key, have.maxSeq,
		want.maxSeq)
	c.must(have.sum == want.sum, "%s: %s in ClickHouse, %s on Kafka: difference %s", key, have.sum, want.sum,
		have.sum-want.sum)
	c.must(have.digest == want.digest, "%s: the rows are not the records: ids, numbers or cents differ", key)
}

// lines compares the lines that an insurer downloads with the statement they belong to.
func (b *books) lines(ctx context.Context, c *Check, ch ClickHouse) error {
	rows, err := ch.query(ctx, "SELECT settlement_id, sum(amount_cents) FROM settlement_lines GROUP BY settlement_id")
	if err != nil {
		return err
	}
	sums := map[string]cents{}
	for _, r := range rows {
		sums[r.name] = cents(r.n[0])
	}
	for _, s := range b.settlements {
		if s.Version != 1 {
			continue
		}
		c.Counted++
		c.must(sums[s.SettlementID] == s.Total, "%s of %s: its lines add up to %s, it says %s", s.Number, s.Tenant,
			sums[s.SettlementID], s.Total)
	}
	return nil
}

// ClickHouse is a ClickHouse met over HTTP, as an analyst's tool meets it.
type ClickHouse struct {
	URL, Database, User, Password string
	Client                        *http.Client // nil means the usual one
}

// row is a row of an answer: its first column, and the others, which are integers.
type row struct {
	name string
	n    []int64
}

// query returns the rows of a SELECT.
func (ch ClickHouse) query(ctx context.Context, sql string) (rows []row, err error) {
	err = ch.each(ctx, sql, func(r row) { rows = append(rows, r) })
	return rows, err
}

// each gives the rows of a SELECT one by one. The server holds the answer back until it is whole: an error in its
// middle would come as a line of it.
func (ch ClickHouse) each(ctx context.Context, sql string, take func(row)) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, ch.URL, strings.NewReader(sql))
	if err != nil {
		return fmt.Errorf("clickhouse: %w", err)
	}
	q := req.URL.Query()
	q.Set("database", ch.Database)
	q.Set("default_format", "TabSeparated")
	q.Set("wait_end_of_query", "1")
	req.URL.RawQuery = q.Encode()
	req.Header.Set("X-ClickHouse-User", ch.User)
	req.Header.Set("X-ClickHouse-Key", ch.Password)
	resp, err := cmp.Or(ch.Client, http.DefaultClient).Do(req)
	if err != nil {
		return fmt.Errorf("clickhouse: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body) // what can be read of the reason
		return fmt.Errorf("clickhouse at %s: HTTP %d: %s", ch.URL, resp.StatusCode, strings.TrimSpace(string(body)))
	}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		cells := strings.Split(lines.Text(), "\t")
		r := row{cells[0], make([]int64, len(cells)-1)}
		for i, cell := range cells[1:] {
			if r.n[i], err = strconv.ParseInt(cell, 10, 64); err != nil {
				return fmt.Errorf("clickhouse answered %q where a number was expected", cell)
			}
		}
		take(r)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("clickhouse: %w", err)
	}
	return nil
}
