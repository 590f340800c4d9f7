package clickhouse

import (
	"context"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

const (
	queryEngine = `SELECT engine FROM system.tables WHERE database = currentDatabase() AND name = {table:String}`
	// queryUnderWay counts the inserts that the server is working on under a token or one made from it. A user sees his
	// own.
	queryUnderWay = `SELECT count() FROM system.processes WHERE query_kind = 'Insert' AND startsWith(Settings['insert_deduplication_token'], {token:String})`
)

// replace brings back rows whose token ClickHouse has and whose part it has lost: it writes the token down before it
// puts the part in its place, and was killed between the two, or its machine lost power. The token would hide every
// repetition for as long as the window holds, so the rows go in under another one.
//
// Nobody can bring them in twice. Where no insert under the token is at work, what such inserts wrote is visible, so a
// look after that tells what is lost; one that begins later meets the token. Two sinks that replace the same rows use
// the same other token. On a replicated table a look may be at a replica that is behind: there the rows are waited for.
func (s *sink) replace(ctx context.Context, c *chunk) error {
	name := schemas.SunkTopics[c.topic]
	var engine string
	if err := s.conn.QueryRow(ctx, queryEngine, clickhouse.Named("table", name)).Scan(&engine); err != nil {
		return fmt.Errorf("engine of %s: %w", name, err)
	}
	if strings.HasPrefix(engine, "Replicated") || strings.HasPrefix(engine, "Shared") {
		return fmt.Errorf("ClickHouse takes rows for stored, by their token, and does not show them: a replica that is " +
			"behind catches up")
	}
	working, err := s.underWay(ctx, c.token())
	if err != nil {
		return err
	}
	if working {
		return fmt.Errorf("an insert of the same rows is still at work in ClickHouse")
	}
	lost, err := s.missing(ctx, c)
	if err != nil || len(lost) == 0 {
		return err
	}
	c.replaced++ // the last other token may have been lost in the same way
	s.cfg.Log.Warn("sink: ClickHouse has the token of rows that it has lost; they go in under another one", "token",
		c.token(), "rows", len(lost), "time", c.replaced)
	if err := s.put(ctx, c, fmt.Sprintf("%s-again-%d", c.token(), c.replaced), lost); err != nil {
		return err
	}
	if lost, err = s.missing(ctx, c); err == nil && len(lost) > 0 {
		err = fmt.Errorf("offset %d is not in %s although ClickHouse took it", lost[0].Offset, name)
	}
	return err
}

func (s *sink) underWay(ctx context.Context, token string) (bool, error) {
	var n uint64
	if err := s.conn.QueryRow(ctx, queryUnderWay, clickhouse.Named("token", token)).Scan(&n); err != nil {
		return false, fmt.Errorf("inserts at work under %s: %w", token, err)
	}
	return n > 0, nil
}

// put inserts records of the chunk under a token.
func (s *sink) put(ctx context.Context, c *chunk, token string, records []*kgo.Record) error {
	t := s.tables[c.topic]
	return insert(s.withSettings(ctx, token), s.conn, t.insertQuery(), t.rows(records))
}
