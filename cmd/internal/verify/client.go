package verify

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// House is a ClickHouse met over HTTP, as an analyst's tool meets it.
type House struct {
	URL, Database, User, Password string
	Client                        *http.Client
}

// query returns the rows of a SELECT as text cells.
func (h House) query(ctx context.Context, sql string) (rows [][]string, err error) {
	err = h.each(ctx, sql, func(cells []string) error {
		rows = append(rows, cells)
		return nil
	})
	return rows, err
}

// each gives the rows of a SELECT one by one. The server holds the answer back until it is whole: an error in its
// middle would come as a line of it.
func (h House) each(ctx context.Context, sql string, row func(cells []string) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, strings.NewReader(sql))
	if err != nil {
		return fmt.Errorf("clickhouse: %w", err)
	}
	q := req.URL.Query()
	q.Set("database", h.Database)
	q.Set("default_format", "TabSeparated")
	q.Set("wait_end_of_query", "1")
	req.URL.RawQuery = q.Encode()
	req.Header.Set("X-ClickHouse-User", h.User)
	req.Header.Set("X-ClickHouse-Key", h.Password)
	client := h.Client
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
		return fmt.Errorf("clickhouse at %s: HTTP %d: %s", h.URL, resp.StatusCode, strings.TrimSpace(string(body)))
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
