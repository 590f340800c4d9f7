package clickhouse

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/sinks/clickhouse/chtest"
)

func TestQueriesAreWhatTheyWere(t *testing.T) {
	require.Equal(t, `
SELECT topic, partition, max(next_offset), max(next_seq)
FROM sink_marks
WHERE {topic:String} IN ('', topic)
GROUP BY topic, partition`, queryMarks)
	require.Equal(t, `
WITH indexOf({periods:Array(String)}, period_month) AS i
SELECT sum(moved_cents), sumIf(moved_cents, period_month != {period:String}), toInt64(count())
FROM collections_log FINAL
WHERE tenant_id = {tenant:String} AND period_month IN {periods:Array(String)} AND moved_cents != 0
    AND seq >= {from:Array(Array(Int64))}[i][src_partition + 1]
    AND seq < {to:Array(Array(Int64))}[i][src_partition + 1]`, queryLedger)
	require.Equal(t, `
SELECT count() FROM (SELECT 1 FROM collections_log WHERE tenant_id = {tenant:String} AND period_month = {period:String}
    AND seq < {cut:Array(Int64)}[src_partition + 1] LIMIT 1)`, queryHasCollections)
	require.Equal(t, `SELECT groupArray(name) FROM system.settings WHERE name IN {names:Array(String)}`, querySettings)
	require.Equal(t, `
SELECT groupUniqArray(src_offset) FROM %s
WHERE src_partition = {partition:UInt32} AND src_offset BETWEEN {first:Int64} AND {last:Int64}`, queryStored)
	require.Equal(t, `SELECT engine FROM system.tables WHERE database = currentDatabase() AND name = {table:String}`,
		queryEngine)
	require.Equal(t, `
SELECT count() FROM system.processes
WHERE query_kind = 'Insert' AND startsWith(Settings['insert_deduplication_token'], {token:String})`, queryUnderWay)
}

func TestLedgerSums(t *testing.T) {
	conn := open(t, chtest.New(t))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	books(t, conn)
	books(t, conn)
	require.NoError(t, conn.Exec(ctx,
		"INSERT INTO sink_marks VALUES ('kasi.collections.v1', 0, 90, 20, now64(3)), ('kasi.collections.v1', 1, 93, 0, "+
			"now64(3)), ('kasi.collections.v1', 1, 92, 23, now64(3)), ('kasi.collections.v1', 1, 7, 2, now64(3))"))
	l := Ledger{conn}

	sums, err := l.Sum(ctx, "acme", "2025-10", octoberStatement().Coverage)
	require.NoError(t, err)
	require.Equal(t, schemas.LedgerSums{TotalCents: 30_000, Movements: 2}, sums)

	sums, err = l.Sum(ctx, "acme", "2025-11", novemberStatement().Coverage)
	require.NoError(t, err)
	require.Equal(t, schemas.LedgerSums{TotalCents: 20_001, AdjustmentsCents: -10_000, Movements: 5}, sums)

	// The next statement of November gets what came after the cut and nothing else.
	next := []schemas.Coverage{{Period: "2025-11", From: []int64{19, 23}, To: []int64{20, 23}}}
	sums, err = l.Sum(ctx, "acme", "2025-11", next)
	require.NoError(t, err)
	require.Equal(t, schemas.LedgerSums{TotalCents: -8_000, Movements: 1}, sums)

	sums, err = l.Sum(ctx, "other", "2025-11", novemberStatement().Coverage)
	require.NoError(t, err)
	require.Zero(t, sums)
	sums, err = l.Sum(ctx, "acme", "2025-11", nil)
	require.NoError(t, err)
	require.Zero(t, sums)

	for period, want := range map[schemas.Period]bool{"2025-10": true, "2025-11": true, "2025-12": false} {
		has, err := l.HasCollections(ctx, "acme", period, []int64{20, 23})
		require.NoError(t, err)
		require.Equal(t, want, has, period)
		has, err = l.HasCollections(ctx, "acme", period, []int64{0, 0})
		require.NoError(t, err)
		require.False(t, has, "what lies behind the cut is not there")
	}
	_, err = l.Sum(ctx, "acme", "2025-11", []schemas.Coverage{{Period: "2025-11", From: []int64{0}, To: []int64{1, 2}}})
	require.ErrorContains(t, err, "coverage of 2025-11")
}

// The token of the chunk, not its rows, decides what is a repetition: a release that renders a column differently
// repeats its predecessor's chunk safely.
func TestTokenDecidesWhatIsARepetition(t *testing.T) {
	conn := open(t, chtest.New(t))
	ctx := context.Background()
	settings, err := settingsFor(ctx, conn, clickhouse.Native)
	require.NoError(t, err)
	require.Equal(t, clickhouse.Settings{
		"async_insert": 0, "insert_deduplicate": 1, "max_threads": 1,
		"deduplicate_insert": "enable", "low_cardinality_allow_in_native_format": 0,
	}, settings)
	s := &sink{conn: conn, tables: tables(), settings: settings, tuning: quick()}
	put := func(first int64, explanation string) uint64 {
		d := sample(schemas.TopicDecisions, 0, 1).(schemas.DecisionEvent)
		d.Explanation = explanation
		// It is not looked up: the token alone decides.
		tp := topicPartition{topic: schemas.TopicDecisions}
		c := &chunk{topicPartition: tp, first: first, last: first, plannedAt: time.Now()}
		c.records = []*kgo.Record{{Topic: c.topic, Value: encode(t, d)}}
		require.NoError(t, s.insertChunk(ctx, c))
		var n uint64
		require.NoError(t, conn.QueryRow(ctx, "SELECT count() FROM decisions_log").Scan(&n))
		return n
	}
	require.NoError(t, conn.Exec(ctx, "SYSTEM STOP MERGES decisions_log"))
	require.EqualValues(t, 1, put(7, "one wording"))
	require.EqualValues(t, 1, put(7, "another wording"))
	require.EqualValues(t, 2, put(8, "one wording"))
}

// A sum is not made before all that it counts has arrived.
func TestLedgerWaitsForTheMarks(t *testing.T) {
	conn := open(t, chtest.New(t))
	ctx := context.Background()
	l := Ledger{conn}
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := l.Sum(short, "acme", "2025-10", octoberStatement().Coverage)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "kasi.collections.v1 partition 0 is in ClickHouse up to number 0 of 11")

	type answer struct {
		sums schemas.LedgerSums
		err  error
	}
	got := make(chan answer, 1)
	long, cancelLong := context.WithTimeout(ctx, 20*time.Second)
	defer cancelLong()
	go func() {
		sums, err := l.Sum(long, "acme", "2025-10", octoberStatement().Coverage)
		got <- answer{sums, err}
	}()
	require.NoError(t, conn.Exec(ctx,
		"INSERT INTO sink_marks VALUES ('kasi.collections.v1', 0, 5, 12, now64(3)), ('kasi.collections.v1', 1, 99, 20, "+
			"now64(3))"))
	books(t, conn)
	require.Empty(t, got, "one partition is still behind")
	require.NoError(t, conn.Exec(ctx, "INSERT INTO sink_marks VALUES ('kasi.collections.v1', 1, 90, 21, now64(3))"))
	a := <-got
	require.NoError(t, a.err)
	require.Equal(t, schemas.LedgerSums{TotalCents: 30_000, Movements: 2}, a.sums)
}

// TestLastAnswer checks that a wait that ends during a query still says how far the sink was at the query before.
func TestLastAnswer(t *testing.T) {
	t.Parallel()
	short := errors.New("partition 2 is in ClickHouse up to number 5 of 9")
	require.ErrorIs(t, lastAnswer(short, context.DeadlineExceeded), short)
	require.ErrorIs(t, lastAnswer(short, context.DeadlineExceeded), context.DeadlineExceeded)
	require.Equal(t, short, lastAnswer(short, nil))
	require.Equal(t, context.DeadlineExceeded, lastAnswer(nil, context.DeadlineExceeded))
}
