// Package demo shows Kasi at work. It plays everybody around the product (an insurer, 1,000 customers, their payrolls,
// the grant agency and the bank) and talks to it as outside parties do, over Kafka and HTTP only; nothing here knows
// what the engine will decide. Month is November 2025 with simulated customers, Real a replay of real bank
// transactions. The bank keeps its own book, and both runs end by comparing it with what the product says, to the
// cent.
package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/feed"
	"github.com/kasi-collections/kasi/streams/records"
	"github.com/kasi-collections/kasi/streams/retry"
)

// Product says where a running Kasi is and how it is spoken to.
type Product struct {
	// BaseURL of the REST API without /v1, such as http://127.0.0.1:8080, and the tenant's key.
	BaseURL, APIKey string
	// Tenant that the key belongs to; empty means demo.
	Tenant  string
	Brokers []string
	KgoOpts []kgo.Opt // TLS, SASL
	// ClickHouseURL is ClickHouse's HTTP address, such as http://127.0.0.1:8123.
	ClickHouseURL, AnalystPassword string
	// Advancer returns when the debits that the days caused can be read from Kafka. It need not wait for ClickHouse: where
	// a figure is read from there, the demonstration waits by itself.
	Advancer feed.Advancer
	// Patience bounds how long a call is repeated that found nobody, was cut off or was answered with 503: an operator's,
	// whose product is being restarted. 0 means not at all.
	Patience time.Duration
	// Out gets the result, Progress what is shown on the way; nil means Out. Terminal tells that Progress is a terminal,
	// for bars instead of lines.
	Out, Progress io.Writer
	Terminal      bool
}

// withDefaults fills what may be left out, and refuses what may not.
func (p Product) withDefaults() (Product, error) {
	p.Tenant = cmp.Or(p.Tenant, "demo")
	if p.Progress == nil {
		p.Progress = p.Out
	}
	var f faults
	f.unlessf(p.BaseURL != "", "BaseURL is not set")
	f.unlessf(len(p.Brokers) > 0, "Brokers is not set")
	f.unlessf(p.ClickHouseURL != "", "ClickHouseURL is not set")
	f.unlessf(p.Advancer != nil, "Advancer is not set")
	f.unlessf(p.Out != nil, "Out is not set")
	return p, errors.Join(f...)
}

// faults are all that is wrong, not only the first.
type faults []error

func (f *faults) unlessf(ok bool, format string, args ...any) {
	if !ok {
		*f = append(*f, fmt.Errorf("demo: "+format, args...))
	}
}

// source is the product's Kafka.
func (p Product) source() records.Source { return records.Source{Brokers: p.Brokers, Opts: p.KgoOpts} }

// parties are those who speak to the product: the insurer over HTTP, the feeds and the bank over Kafka.
type parties struct {
	insurer *insurer
	push    *feed.Producer
	debits  *tail
}

// parties opens them, and refuses data that holds collections of the period already.
func (p Product) parties(ctx context.Context, period schemas.Period) (s parties, err error) {
	s.insurer = newInsurer(p.BaseURL, p.APIKey, p.Patience)
	before, err := s.insurer.report(ctx, period)
	if err != nil {
		return s, err
	}
	if len(before) > 0 {
		return s, fmt.Errorf("demo: %s holds %d collections already: the month is played on an empty data directory", period,
			len(before))
	}
	if s.debits, err = newTail(ctx, p.source(), schemas.TopicDebits, true); err != nil {
		return s, err
	}
	s.push, err = feed.NewProducer(p.Brokers, p.KgoOpts...)
	return s, err
}

func (s parties) close() {
	if s.debits != nil {
		s.debits.cl.Close()
	}
	if s.push != nil {
		s.push.Close()
	}
}

// tail reads a topic up to whatever has been committed when it is asked, as an outside party that polls for its day's
// work.
type tail struct {
	topic string
	cl    *kgo.Client
	next  map[int32]int64 // first offset of each partition not yet read
}

// newTail starts at the topic's end (atEnd) or at its beginning.
func newTail(ctx context.Context, src records.Source, topic string, atEnd bool) (*tail, error) {
	// Control records count, or the last transaction's marker would look like a record that never comes.
	cl, err := src.Client(kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	list := kadm.NewClient(cl).ListStartOffsets
	if atEnd {
		list = kadm.NewClient(cl).ListCommittedOffsets
	}
	next, err := offsets(ctx, topic, list)
	if err != nil {
		cl.Close()
		return nil, err
	}
	start := map[int32]kgo.Offset{}
	for p, o := range next {
		start[p] = kgo.NewOffset().At(o)
	}
	cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: start})
	return &tail{topic, cl, next}, nil
}

// offsetsPatience bounds how long offsets asks a broker that does not answer, since it is being started again.
const offsetsPatience = 30 * time.Second

func offsets(ctx context.Context, topic string,
	list func(context.Context, ...string) (kadm.ListedOffsets, error),
) (map[int32]int64, error) {
	listed, err := retry.Constant(ctx, offsetsPatience, 100*time.Millisecond, func() (kadm.ListedOffsets, error) {
		listed, err := list(ctx, topic)
		return listed, cmp.Or(err, listed.Error())
	})
	if err != nil {
		return nil, fmt.Errorf("demo: list the offsets of %s: %w", topic, err)
	}
	at := map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) { at[o.Partition] = o.Offset })
	if len(at) == 0 {
		return nil, fmt.Errorf("demo: topic %s does not exist: start kasi first", topic)
	}
	return at, nil
}

// read returns every record committed by now that has not been read before.
func (t *tail) read(ctx context.Context) ([]*kgo.Record, error) {
	ends, err := offsets(ctx, t.topic, kadm.NewClient(t.cl).ListCommittedOffsets)
	if err != nil {
		return nil, err
	}
	var got []*kgo.Record
	behind := func() bool {
		maps.DeleteFunc(ends, func(p int32, end int64) bool { return t.next[p] >= end })
		return len(ends) > 0
	}
	for behind() {
		fetches := t.cl.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if errs := fetches.Errors(); len(errs) > 0 {
			return nil, fmt.Errorf("demo: read %s partition %d: %w", t.topic, errs[0].Partition, errs[0].Err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			t.next[r.Partition] = r.Offset + 1
			if !r.Attrs.IsControl() {
				got = append(got, r)
			}
		})
	}
	return got, nil
}

// debits reads what the bank has been told since the last call, in an order that does not depend on partitions.
func (t *tail) debits(ctx context.Context, tenant string) ([]schemas.DebitInstruction, error) {
	all, err := t.read(ctx)
	if err != nil {
		return nil, err
	}
	var debits []schemas.DebitInstruction
	for _, r := range all {
		var d schemas.DebitInstruction
		if json.Unmarshal(r.Value, &d) != nil {
			continue // somebody else's: the sink sets it aside
		}
		if d.TenantID == tenant {
			debits = append(debits, d)
		}
	}
	slices.SortStableFunc(debits, func(a, b schemas.DebitInstruction) int {
		return cmp.Or(cmp.Compare(a.CustomerID, b.CustomerID), cmp.Compare(a.PolicyNumber, b.PolicyNumber),
			cmp.Compare(a.PeriodMonth, b.PeriodMonth), cmp.Compare(a.Attempt, b.Attempt))
	})
	return debits, nil
}

// figures is one row of an answer: a name and numbers.
type figures struct {
	name string
	n    []int64
}

// figures asks ClickHouse over HTTP as an analyst's own tool does, and returns the rows of a SELECT whose first column
// is a name; the others are integers. The parameters fill {name:Type} places, beside tenant. A failed one is repeated
// for as long as patience lasts.
func (p Product) figures(ctx context.Context, sql string, params map[string]string) ([]figures, error) {
	return retry.Constant(ctx, p.Patience, retryPause, func() ([]figures, error) { return p.once(ctx, sql, params) })
}

func (p Product) once(ctx context.Context, sql string, params map[string]string) ([]figures, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.ClickHouseURL, strings.NewReader(sql))
	if err != nil {
		return nil, fmt.Errorf("demo: clickhouse: %w", err)
	}
	q := req.URL.Query()
	q.Set("database", "kasi")
	q.Set("default_format", "TabSeparated")
	q.Set("param_tenant", p.Tenant)
	for name, v := range params {
		q.Set("param_"+name, v)
	}
	req.URL.RawQuery = q.Encode()
	req.Header.Set("X-ClickHouse-User", "analyst")
	req.Header.Set("X-ClickHouse-Key", p.AnalystPassword)
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	b, err := content(resp, err)
	if err != nil {
		return nil, fmt.Errorf("demo: clickhouse: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("demo: clickhouse: HTTP %d: %s", resp.StatusCode, b)
	}
	var rows []figures
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		row := figures{cells[0], make([]int64, len(cells)-1)}
		for i, c := range cells[1:] {
			if row.n[i], err = strconv.ParseInt(c, 10, 64); err != nil {
				return nil, fmt.Errorf("demo: clickhouse answered %q where a number was expected: %w", c, err)
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// number is the one integer that a query answers beside an empty name.
func (p Product) number(ctx context.Context, sql string, params map[string]string) (int64, error) {
	rows, err := p.figures(ctx, sql, params)
	if err != nil {
		return 0, err
	}
	if len(rows) != 1 || len(rows[0].n) != 1 {
		return 0, fmt.Errorf("demo: clickhouse answered %d rows to %q; expected one number", len(rows), sql)
	}
	return rows[0].n[0], nil
}

// collected is what the collections view says was collected: of one period, or of all where the period is empty.
func (p Product) collected(ctx context.Context, of schemas.Period) (schemas.Cents, error) {
	n, err := p.number(ctx, `SELECT '', sum(collected_cents) FROM collections
WHERE tenant_id = {tenant:String} AND ({period:String} = '' OR period_month = {period:String})`,
		map[string]string{"period": string(of)})
	return schemas.Cents(n), err
}

// arrivalPatience bounds how long ClickHouse may make no progress at all.
const arrivalPatience = time.Minute

// arrived waits until ClickHouse holds everything that lies on Kafka now. Only then do its figures mean something: the
// calendar may be days ahead of the sink.
func (p Product) arrived(ctx context.Context) error {
	ends, err := retry.Constant(ctx, offsetsPatience, 100*time.Millisecond, func() (records.Ends, error) {
		return p.source().Ends(ctx, slices.Collect(maps.Keys(schemas.SunkTopics))...)
	})
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	missing := map[string]int64{} // topic and partition, to the offset that ClickHouse must have reached
	for at, end := range ends {
		if end > 0 {
			missing[fmt.Sprintf("%s/%d", at.Topic, at.Partition)] = end
		}
	}
	last := ""
	deadline := time.Now().Add(arrivalPatience)
	for {
		marks, err := p.figures(ctx, "SELECT concat(topic, '/', toString(partition)) AS place, max(next_offset) FROM "+
			"sink_marks GROUP BY place ORDER BY place", nil)
		if err != nil {
			return err
		}
		for _, m := range marks {
			if m.n[0] >= missing[m.name] {
				delete(missing, m.name)
			}
		}
		if len(missing) == 0 {
			return nil
		}
		if now := fmt.Sprint(marks); now != last {
			last, deadline = now, time.Now().Add(arrivalPatience)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("demo: ClickHouse has taken nothing over for %s; it still misses what Kafka holds of %v: is "+
				"the sink running?", arrivalPatience, missing)
		}
		if err := retry.Pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}
