package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/schemas"
)

// The queries of an insert. Each is compared whole in a test and run against known rows.
const (
	// queryStored asks which offsets of a range are in a table. It reads two columns of the parts that hold such offsets
	// (BenchmarkLook).
	queryStored = `
SELECT groupUniqArray(src_offset) FROM %s
WHERE src_partition = {partition:UInt32} AND src_offset BETWEEN {first:Int64} AND {last:Int64}`

	queryEngine = `SELECT engine FROM system.tables WHERE database = currentDatabase() AND name = {table:String}`

	// queryUnderWay counts the inserts that the server is working on under a token or one made from it. A user sees his
	// own.
	queryUnderWay = `
SELECT count() FROM system.processes
WHERE query_kind = 'Insert' AND startsWith(Settings['insert_deduplication_token'], {token:String})`

	querySettings = `SELECT groupArray(name) FROM system.settings WHERE name IN {names:Array(String)}`
)

// insertAll writes the rows of the chunks, a few inserts at a time. All share one time limit, because a rebalance waits
// for them.
func (s *sink) insertAll(ctx context.Context, cs []*chunk) error {
	ctx, cancel := context.WithTimeout(ctx, s.tuning.insertTimeout)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(s.tuning.workers)
	errs := make([]error, len(cs))
	for i, c := range cs {
		g.Go(func() error {
			if errs[i] = s.insertChunk(ctx, c); errs[i] == nil {
				c.step = stepInserted
			}
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs: one chunk's failure does not end the others
	return errors.Join(errs...)
}

func (s *sink) insertChunk(ctx context.Context, c *chunk) error {
	if len(c.records) == 0 {
		return nil
	}
	table := schemas.SunkTopics[c.topic]
	if err := s.send(s.bounded(ctx), c); err != nil {
		c.maybeStored = true
		if s.cfg.Observer != nil {
			s.cfg.Observer.InsertFailed(table)
		}
		return fmt.Errorf("%s: %w", c.token(), err)
	}
	if s.cfg.Observer != nil {
		oldest := slices.MinFunc(c.records, func(a, b *kgo.Record) int { return a.Timestamp.Compare(b.Timestamp) })
		s.cfg.Observer.Inserted(table, len(c.records), oldest.Timestamp)
	}
	return nil
}

// bounded limits one try of an insert. Its context runs out by itself and is not cancelled when the insert has ended:
// clickhouse-go (2.50) watches the context from a goroutine that may not have heard yet that the insert is over. That
// goroutine would close a connection that another insert has taken from the pool.
func (s *sink) bounded(ctx context.Context) context.Context {
	ctx, cancel := context.WithTimeout(ctx, s.tuning.insertTimeout)
	context.AfterFunc(ctx, cancel)
	return ctx
}

// send brings a chunk's records into its table. A chunk that may be stored already is looked up first, and only what is
// missing is inserted.
//
// ClickHouse may accept such an insert and still miss rows: it knows the token and has lost the rows, or a replica is
// behind. So the chunk is looked up once more, because no mark may promise rows that are not there.
func (s *sink) send(ctx context.Context, c *chunk) error {
	if !s.mayBeStored(c) {
		return s.put(ctx, c, c.token(), c.records)
	}
	records, err := s.missing(ctx, c)
	if err != nil || len(records) == 0 {
		return err
	}
	if err := s.put(ctx, c, c.token(), records); err != nil {
		return err
	}
	if records, err = s.missing(ctx, c); err != nil || len(records) == 0 {
		return err
	}
	return s.reinsert(ctx, c)
}

// mayBeStored tells whether the chunk's rows may be in ClickHouse already, or on their way from another sink. The other
// sink is possible where Kafka took our plan longer ago than a session: this process was paused, and others may have
// taken over.
func (s *sink) mayBeStored(c *chunk) bool {
	return c.maybeStored || time.Since(c.plannedAt) > s.tuning.session
}

// missing gives the records of a chunk that are not in its table yet.
//
// The token alone is not enough for a repetition: ClickHouse forgets it after as many other inserts into the table as
// the deduplication window holds. It still guards what the query cannot see, an insert that is on its way at this
// moment: the tokens of two inserts under way at once are both in the window.
func (s *sink) missing(ctx context.Context, c *chunk) ([]*kgo.Record, error) {
	var offsets []int64
	query := fmt.Sprintf(queryStored, schemas.SunkTopics[c.topic])
	err := s.conn.QueryRow(ctx, query, clickhouse.Named("partition", uint32(c.partition)),
		clickhouse.Named("first", c.first), clickhouse.Named("last", c.last)).Scan(&offsets)
	if err != nil {
		return nil, fmt.Errorf("look for offsets %d to %d: %w", c.first, c.last, err)
	}
	stored := make(map[int64]bool, len(offsets))
	for _, o := range offsets {
		stored[o] = true
	}
	return slices.DeleteFunc(slices.Clone(c.records), func(r *kgo.Record) bool { return stored[r.Offset] }), nil
}

// reinsert brings back rows whose token ClickHouse has and whose part it has lost. ClickHouse writes the token down
// before it puts the part in its place, and it was killed between the two, or its machine lost power. The token would
// hide every repetition for as long as the window holds it, so the rows go in under another token.
//
// No row goes in twice. Where no insert under the token is at work, all that such inserts wrote is visible, so a look
// after that tells what is lost. An insert that begins later meets the token. Two sinks that reinsert the same rows use
// the same other token. On a replicated table the look may meet a replica that is behind, so the rows are waited for.
func (s *sink) reinsert(ctx context.Context, c *chunk) error {
	table := schemas.SunkTopics[c.topic]
	var engine string
	if err := s.conn.QueryRow(ctx, queryEngine, clickhouse.Named("table", table)).Scan(&engine); err != nil {
		return fmt.Errorf("engine of %s: %w", table, err)
	}
	if strings.HasPrefix(engine, "Replicated") || strings.HasPrefix(engine, "Shared") {
		return fmt.Errorf("ClickHouse takes rows for stored, by their token, and does not show them: a replica that is " +
			"behind catches up")
	}
	if working, err := s.underWay(ctx, c.token()); err != nil {
		return err
	} else if working {
		return fmt.Errorf("an insert of the same rows is still at work in ClickHouse")
	}
	lost, err := s.missing(ctx, c)
	if err != nil || len(lost) == 0 {
		return err
	}
	c.reinserts++ // the last other token may have been lost in the same way
	s.cfg.Log.Warn("sink: ClickHouse has the token of rows that it has lost; they go in under another one", "token",
		c.token(), "rows", len(lost), "time", c.reinserts)
	if err := s.put(ctx, c, fmt.Sprintf("%s-again-%d", c.token(), c.reinserts), lost); err != nil {
		return err
	}
	if lost, err = s.missing(ctx, c); err == nil && len(lost) > 0 {
		err = fmt.Errorf("offset %d is not in %s although ClickHouse took it", lost[0].Offset, table)
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
	return insert(s.withSettings(ctx, token), s.conn, s.tables[c.topic], records)
}

// insertSettings are stated with every insert, because servers differ. Since 26.2 the default of async_insert is 1, and
// an asynchronous insert is acknowledged and deduplicated under other rules. Over HTTP the answer waits for the end of
// the insert, so that a late error is an error. The native protocol always waits, and does not know that setting.
func insertSettings(p clickhouse.Protocol) clickhouse.Settings {
	s := clickhouse.Settings{
		"async_insert":       0,
		"insert_deduplicate": 1,
		// One block has no work for a second thread, and to start one is a fifth of what a small insert costs
		// (BenchmarkSmallInsert).
		"max_threads": 1,
		// The server builds the dictionaries of LowCardinality columns. The driver would do it by reflection, value by
		// value.
		"low_cardinality_allow_in_native_format": 0,
	}
	if p == clickhouse.HTTP {
		s["wait_end_of_query"] = 1
	}
	return s
}

// settingsFor completes insertSettings by asking the server: it refuses what it does not know. deduplicate_insert
// overrides insert_deduplicate.
func settingsFor(ctx context.Context, conn driver.Conn, p clickhouse.Protocol) (clickhouse.Settings, error) {
	var known []string
	names := []string{"deduplicate_insert"}
	if err := conn.QueryRow(ctx, querySettings, clickhouse.Named("names", names)).Scan(&known); err != nil {
		return nil, fmt.Errorf("read system.settings: %w", err)
	}
	s := insertSettings(p)
	if len(known) > 0 {
		s["deduplicate_insert"] = "enable"
	}
	return s, nil
}

func (s *sink) withSettings(ctx context.Context, token string) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return withSettings(ctx, s.settings, token)
}

// withSettings makes a context whose inserts carry the settings and, unless it is empty, the token.
func withSettings(ctx context.Context, settings clickhouse.Settings, token string) context.Context {
	s := maps.Clone(settings)
	if token != "" {
		s["insert_deduplication_token"] = token
	}
	return clickhouse.Context(ctx, clickhouse.WithSettings(s))
}
