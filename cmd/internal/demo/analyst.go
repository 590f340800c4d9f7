package demo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/records"
	"github.com/kasi-collections/kasi/streams/retry"
)

// analystUser is the ClickHouse user of those who only read.
const analystUser = "analyst"

// query asks ClickHouse over HTTP as an analyst's own tool does, and returns the rows of a SELECT as text cells. The
// parameters fill {name:Type} places. A failed one is repeated for as long as patience lasts.
func (p Product) query(ctx context.Context, sql string, params map[string]string) ([][]string, error) {
	return retry.Constant(ctx, p.Patience, retryPause, func() ([][]string, error) { return p.once(ctx, sql, params) })
}

func (p Product) once(ctx context.Context, sql string, params map[string]string) ([][]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.ClickHouseURL, strings.NewReader(sql))
	if err != nil {
		return nil, fmt.Errorf("demo: clickhouse: %w", err)
	}
	q := req.URL.Query()
	q.Set("database", "kasi")
	q.Set("default_format", "TabSeparated")
	for name, v := range params {
		q.Set("param_"+name, v)
	}
	req.URL.RawQuery = q.Encode()
	req.Header.Set("X-ClickHouse-User", analystUser)
	req.Header.Set("X-ClickHouse-Key", p.AnalystPassword)
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	b, err := content(resp, err)
	if err != nil {
		return nil, fmt.Errorf("demo: clickhouse: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("demo: clickhouse: HTTP %d: %s", resp.StatusCode, b)
	}
	var rows [][]string
	for line := range strings.Lines(string(b)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return rows, nil
}

// figures is one row of an answer: a name and numbers.
type figures struct {
	name string
	n    []int64
}

// figures returns the rows of a SELECT whose first column is a name; the others are integers.
func (p Product) figures(ctx context.Context, sql string) ([]figures, error) {
	rows, err := p.query(ctx, sql, map[string]string{"tenant": p.Tenant})
	out := make([]figures, len(rows))
	for i, row := range rows {
		n, bad := integers(row[1:])
		out[i], err = figures{row[0], n}, errors.Join(err, bad)
	}
	return out, err
}

// number is the one integer a query answers.
func (p Product) number(ctx context.Context, sql string, params map[string]string) (int64, error) {
	rows, err := p.query(ctx, sql, params)
	if err != nil {
		return 0, err
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return 0, fmt.Errorf("demo: clickhouse answered %d rows to %q; expected one number", len(rows), sql)
	}
	n, err := integers(rows[0])
	return n[0], err
}

func integers(cells []string) ([]int64, error) {
	n := make([]int64, len(cells))
	for i, c := range cells {
		var err error
		if n[i], err = strconv.ParseInt(c, 10, 64); err != nil {
			return n, fmt.Errorf("demo: clickhouse answered %q where a number was expected: %w", c, err)
		}
	}
	return n, nil
}

// collected is what the collections view says was collected: of one period, or of all where the period is empty.
func (p Product) collected(ctx context.Context, of schemas.Period) (schemas.Cents, error) {
	n, err := p.number(ctx, `SELECT sum(collected_cents) FROM collections
WHERE tenant_id = {tenant:String} AND ({period:String} = '' OR period_month = {period:String})`,
		map[string]string{"tenant": p.Tenant, "period": string(of)})
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
			"sink_marks GROUP BY place ORDER BY place")
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
