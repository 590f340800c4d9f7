package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/retry"
)

// analyst queries ClickHouse over HTTP as an analyst's own tool does.
type analyst struct {
	url, user, password string
	patience            time.Duration
	http                *http.Client
}

// query returns the rows of a SELECT as text cells. The parameters fill {name:Type} places. A failed one is repeated
// for as long as patience lasts.
func (a *analyst) query(ctx context.Context, sql string, params map[string]string) ([][]string, error) {
	return retry.Constant(ctx, a.patience, retryPause, func() ([][]string, error) { return a.once(ctx, sql, params) })
}

func (a *analyst) once(ctx context.Context, sql string, params map[string]string) ([][]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url, strings.NewReader(sql))
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
	req.Header.Set("X-ClickHouse-User", a.user)
	req.Header.Set("X-ClickHouse-Key", a.password)
	resp, err := a.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("demo: clickhouse: %w", err)
	}
	b, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
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

// number is the one integer a query answers.
func (a *analyst) number(ctx context.Context, sql string, params map[string]string) (int64, error) {
	rows, err := a.query(ctx, sql, params)
	if err != nil {
		return 0, err
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return 0, fmt.Errorf("demo: clickhouse answered %d rows to %q; expected one number", len(rows), sql)
	}
	n, err := strconv.ParseInt(rows[0][0], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("demo: clickhouse answered %q: %w", rows[0][0], err)
	}
	return n, nil
}

// collected is what the collections view says was collected: of one period, or of all where the period is empty.
func (a *analyst) collected(ctx context.Context, tenant string, p schemas.Period) (schemas.Cents, error) {
	n, err := a.number(ctx, `SELECT sum(collected_cents) FROM collections
WHERE tenant_id = {tenant:String} AND ({period:String} = '' OR period_month = {period:String})`,
		map[string]string{"tenant": tenant, "period": string(p)})
	return schemas.Cents(n), err
}

// arrivalPatience bounds how long ClickHouse may make no progress at all.
const arrivalPatience = time.Minute

// arrived waits until ClickHouse holds everything that lies on Kafka now. Only then do its figures mean something: the
// calendar may be days ahead of the sink.
func (p Product) arrived(ctx context.Context) error {
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(p.Brokers...)}, p.KgoOpts...)...)
	if err != nil {
		return fmt.Errorf("demo: kafka client: %w", err)
	}
	defer cl.Close()
	missing := map[string]int64{} // topic and partition, to the offset that ClickHouse must have reached
	for topic := range schemas.SunkTopics {
		ends, err := offsets(ctx, topic, kadm.NewClient(cl).ListCommittedOffsets)
		if err != nil {
			return err
		}
		for partition, end := range ends {
			if end > 0 {
				missing[fmt.Sprintf("%s/%d", topic, partition)] = end
			}
		}
	}
	a, last := p.analyst(), ""
	deadline := time.Now().Add(arrivalPatience)
	for {
		rows, err := a.query(ctx,
			"SELECT concat(topic, '/', toString(partition)), max(next_offset) FROM sink_marks GROUP BY topic, partition "+
				"ORDER BY topic, partition", nil)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if n, err := integers(row[1:]); err == nil && n[0] >= missing[row[0]] {
				delete(missing, row[0])
			}
		}
		if len(missing) == 0 {
			return nil
		}
		if now := fmt.Sprint(rows); now != last {
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
