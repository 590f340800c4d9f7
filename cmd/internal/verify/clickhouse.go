package verify

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/records"
)

// clickhouse compares every table with its topic, then the lines of the statements with their totals.
func (r *Report) clickhouse(ctx context.Context, b *books, o Options) error {
	missing, err := waitForSink(ctx, b.ends, o)
	if err != nil {
		return err
	}
	if o.Fed != nil {
		if err := r.run("acknowledged", "each transaction that its feed had acknowledged has one row, or is a dead letter",
			func(c *Check) error { return b.acknowledged(ctx, c, o) }); err != nil {
			return err
		}
	}
	for _, t := range tables {
		if err := r.run("clickhouse "+strings.TrimSuffix(t.name, "_log"), "rows, cents and numbers are those of "+t.topic,
			func(c *Check) error {
				for _, m := range missing[t.topic] {
					c.differ("%s", m)
				}
				return b.compare(ctx, c, o.ClickHouse, t)
			}); err != nil {
			return err
		}
	}
	return r.run("clickhouse lines", "the lines of each statement add up to it",
		func(c *Check) error { return b.lines(ctx, c, o.ClickHouse) })
}

// waitForSink waits until the sink has reached the ends, and says where it has not.
func waitForSink(ctx context.Context, ends records.Ends, o Options) (map[string][]string, error) {
	deadline := time.NewTimer(o.Wait)
	defer deadline.Stop()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		rows, err := o.ClickHouse.query(ctx,
			"SELECT topic, partition, max(next_offset) FROM sink_marks GROUP BY topic, partition")
		if err != nil {
			return nil, err
		}
		at := records.Ends{}
		for _, row := range rows {
			n, err := numbers(row[1:])
			if err != nil {
				return nil, err
			}
			at[records.Place{Topic: row[0], Partition: int32(n[0])}] = n[1]
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
		if len(missing) == 0 {
			return nil, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-deadline.C:
			return missing, nil
		case <-again.C:
		}
	}
}

func numbers(cells []string) ([]int64, error) {
	out := make([]int64, len(cells))
	for i, cell := range cells {
		n, err := strconv.ParseInt(cell, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("clickhouse answered %q where a number was expected", cell)
		}
		out[i] = n
	}
	return out, nil
}

// compareSQL looks at the rows as they are stored, without FINAL: a duplicate is a difference even where readers would
// not see it. ends bounds it to what was read.
func (t table) compareSQL(ends []string) string {
	stage, unique, sum, digest := "''", "uniqExact(seq), min(seq), max(seq)", "0",
		"concat(toString(event_id), ':', toString(seq)"
	switch t.topic {
	case schemas.TopicOutcomes:
		stage = "toString(stage)"
	case schemas.TopicCalendar:
		unique, digest = "count(), 1, count()", "concat(''"
	}
	if len(t.cents) > 0 {
		sum = "sum(" + t.cents[0] + ")"
	}
	for _, cents := range t.cents {
		digest += ", ':', toString(" + cents + ")"
	}
	if t.topic == schemas.TopicCalendar {
		digest = "0"
	} else {
		digest = "sumWithOverflow(xxHash64(" + digest + ")))"
	}
	return fmt.Sprintf("SELECT src_partition, %s AS run, count(), %s, %s, %s FROM %s WHERE src_partition >= %d OR "+
		"src_offset < [%s][src_partition + 1] GROUP BY src_partition, run",
		stage, unique, sum, digest, t.name, len(ends), strings.Join(ends, ", "))
}

// compare holds one table against its topic.
func (b *books) compare(ctx context.Context, c *Check, ch ClickHouse, t table) error {
	var ends []string
	for p := int32(0); ; p++ {
		end, ok := b.ends[records.Place{Topic: t.topic, Partition: p}]
		if !ok {
			break
		}
		ends = append(ends, "toInt64("+strconv.FormatInt(end, 10)+")")
	}
	rows, err := ch.query(ctx, t.compareSQL(ends))
	if err != nil {
		return err
	}
	seen := map[tallyKey]bool{}
	var stored int64
	for _, row := range rows {
		n, err := numbers(append([]string{row[0]}, row[2:7]...))
		if err != nil {
			return err
		}
		digest, err := strconv.ParseUint(row[7], 10, 64)
		if err != nil {
			return fmt.Errorf("clickhouse answered %q where a digest was expected", row[7])
		}
		key := tallyKey{topic: t.topic, partition: int32(n[0]), stage: row[1]}
		seen[key] = true
		stored += n[1]
		b.compareRun(c, key, tally{rows: n[1], maxSeq: n[4], sum: n[5], digest: digest}, n[2], n[3])
	}
	for key, k := range b.tallies {
		if key.topic == t.topic {
			c.Counted += k.rows
			if !seen[key] {
				c.differ("partition %d%s: %d records on Kafka, no row in ClickHouse", key.partition, ofStage(key), k.rows)
			}
		}
	}
	return b.compareFinal(ctx, c, ch, t, ends, stored)
}

func ofStage(key tallyKey) string {
	if key.stage == "" {
		return ""
	}
	return " (" + key.stage + ")"
}

// compareRun compares one run of numbers: the same rows and cents as on Kafka, each number once, none missing.
func (b *books) compareRun(c *Check, key tallyKey, have tally, unique, least int64) {
	want := b.tallies[key]
	if want == nil {
		want = &tally{}
	}
	at := fmt.Sprintf("partition %d%s", key.partition, ofStage(key))
	if have.rows != want.rows {
		c.differ("%s: %d rows in ClickHouse, %d records on Kafka", at, have.rows, want.rows)
	}
	if have.rows != unique || unique != have.maxSeq-least+1 {
		c.differ("%s: %d rows with %d different numbers from %d to %d", at, have.rows, unique, least, have.maxSeq)
	}
	if key.topic == schemas.TopicCalendar {
		return
	}
	if have.maxSeq != want.maxSeq {
		c.differ("%s: numbers go up to %d in ClickHouse, to %d on Kafka", at, have.maxSeq, want.maxSeq)
	}
	if have.sum != want.sum {
		c.differ("%s: %s in ClickHouse, %s on Kafka: difference %s", at, rands(have.sum), rands(want.sum),
			rands(have.sum-want.sum))
	}
	if have.digest != want.digest {
		c.differ("%s: the rows are not the records: ids, numbers or cents differ", at)
	}
}

// compareFinal checks that the views, which resolve duplicates, show every row: two events under one sorting key would
// hide each other.
func (b *books) compareFinal(ctx context.Context, c *Check, ch ClickHouse, t table, ends []string, stored int64) error {
	if t.topic == schemas.TopicCalendar {
		return nil // a tick may be written twice, and counts once
	}
	rows, err := ch.query(ctx,
		fmt.Sprintf("SELECT count() FROM %s FINAL WHERE src_partition >= %d OR src_offset < [%s][src_partition + 1]", t.name,
			len(ends), strings.Join(ends, ", ")))
	if err != nil {
		return err
	}
	n, err := numbers(rows[0])
	if err != nil {
		return err
	}
	if n[0] != stored {
		c.differ("readers see %d rows, %d are stored", n[0], stored)
	}
	return nil
}

// lines compares the lines that an insurer downloads with the statement they belong to.
func (b *books) lines(ctx context.Context, c *Check, ch ClickHouse) error {
	rows, err := ch.query(ctx, "SELECT settlement_id, sum(amount_cents) FROM settlement_lines GROUP BY settlement_id")
	if err != nil {
		return err
	}
	sums := map[string]int64{}
	for _, row := range rows {
		n, err := numbers(row[1:])
		if err != nil {
			return err
		}
		sums[row[0]] = n[0]
	}
	for _, s := range b.settlements {
		if s.Version != 1 {
			continue
		}
		c.Counted++
		if sums[s.SettlementID] != s.Total {
			c.differ("%s of %s: its lines add up to %s, it says %s", s.Number, s.Tenant, rands(sums[s.SettlementID]),
				rands(s.Total))
		}
	}
	return nil
}

// ClickHouse is a ClickHouse met over HTTP, as an analyst's tool meets it.
type ClickHouse struct {
	URL, Database, User, Password string
	Client                        *http.Client
}

// query returns the rows of a SELECT as text cells.
func (ch ClickHouse) query(ctx context.Context, sql string) (rows [][]string, err error) {
	err = ch.each(ctx, sql, func(cells []string) error {
		rows = append(rows, cells)
		return nil
	})
	return rows, err
}

// each gives the rows of a SELECT one by one. The server holds the answer back until it is whole: an error in its
// middle would come as a line of it.
func (ch ClickHouse) each(ctx context.Context, sql string, row func(cells []string) error) error {
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
	client := ch.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
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
		if err := row(strings.Split(lines.Text(), "\t")); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("clickhouse: %w", err)
	}
	return nil
}
