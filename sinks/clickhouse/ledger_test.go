package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
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
WITH indexOf({periods:Array(String)}, period_month) AS i,
    tenant_id = {tenant:String} AND i > 0 AND moved_cents != 0
        AND seq >= {from:Array(Array(Int64))}[i][src_partition + 1]
        AND seq < {to:Array(Array(Int64))}[i][src_partition + 1] AS covered
SELECT src_partition, toInt64(count()), toInt64(groupBitmap(toUInt64(seq))),
    sumIf(moved_cents, covered), sumIf(moved_cents, covered AND period_month != {period:String}),
    toInt64(countIf(covered)), countIf(tenant_id = {tenant:String} AND period_month = {period:String}) > 0
FROM collections_log%s
WHERE seq >= 1 AND seq < {until:Array(Int64)}[src_partition + 1]
GROUP BY src_partition
SETTINGS short_circuit_function_evaluation = 'force_enable'`, queryLedger)
	require.Equal(t, `
SELECT sumIf(cents, cents < 0), sum(cents)
FROM
(
    SELECT sum(moved_cents) AS cents
    FROM collections_log FINAL
    WHERE tenant_id = {tenant:String} AND period_month = {period:String} AND moved_cents != 0
        AND seq >= {from:Array(Int64)}[src_partition + 1] AND seq < {to:Array(Int64)}[src_partition + 1]
    GROUP BY collection_id, change_debit_id
)`, queryReturned)
	require.Equal(t, `
SELECT toInt64(countIf(cents > 0)), sum(cents)
FROM
(
    SELECT argMax(in_flight_cents, version) AS cents
    FROM collections_log
    WHERE tenant_id = {tenant:String} AND period_month IN {periods:Array(String)}
        AND seq < {to:Array(Array(Int64))}[indexOf({periods:Array(String)}, period_month)][src_partition + 1]
    GROUP BY period_month, collection_id
)`, queryInFlight)
	require.Equal(t, `
SELECT src_partition, toInt64(count()), toInt64(groupBitmap(toUInt64(seq)))
FROM %s
WHERE seq >= 1 AND seq < {until:Array(Int64)}[src_partition + 1]
GROUP BY src_partition`, queryCount)
	require.Equal(t, `
SELECT src_partition, before + 1, seq - 1, offset_before + 1, src_offset
FROM
(
    SELECT src_partition, seq, src_offset, lagInFrame(seq, 1, toInt64(0)) OVER w AS before,
        lagInFrame(src_offset, 1, toInt64(-1)) OVER w AS offset_before
    FROM
    (
        SELECT src_partition, seq, src_offset FROM %s
        WHERE seq >= 1 AND seq < {until:Array(Int64)}[src_partition + 1]
        UNION ALL
        SELECT toUInt32(number), {until:Array(Int64)}[number + 1], {ends:Array(Int64)}[number + 1]
        FROM numbers(length({until:Array(Int64)})) WHERE {until:Array(Int64)}[number + 1] > 0
    )
    WINDOW w AS (PARTITION BY src_partition ORDER BY seq ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
)
WHERE seq > before + 1
ORDER BY src_partition, seq
LIMIT {most:UInt32}`, queryHoles)
	require.Equal(t, `
SELECT maxIf(src_offset, seq < {from:Int64}) + (countIf(seq < {from:Int64}) > 0), minIf(src_offset, seq > {to:Int64})
FROM %s WHERE src_partition = {partition:UInt32}`, queryAround)
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
	before(t, conn)
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

	further := append(novemberStatement().Coverage, schemas.Coverage{
		Period: "2025-12", From: []int64{20, 23}, To: []int64{20, 23},
	})
	again, err := l.Sum(ctx, "acme", "2025-11", further)
	require.NoError(t, err)
	require.Equal(t, sums, again, "each period has its own cut")

	// The next statement of November gets what came after the cut and nothing else.
	next := []schemas.Coverage{{Period: "2025-11", From: []int64{19, 23}, To: []int64{20, 23}}}
	sums, err = l.Sum(ctx, "acme", "2025-11", next)
	require.NoError(t, err)
	require.Equal(t, schemas.LedgerSums{TotalCents: -8_000, AdjustmentsCents: -8_000, Movements: 1}, sums,
		"it takes back what the first one counted")

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

// Debits with the bank at the cut are named, those of covered periods alone. Money that comes and goes within one
// statement is no adjustment.
func TestLedgerNamesWhatIsInFlight(t *testing.T) {
	conn := open(t, chtest.New(t))
	nov, dec := month{"POL-A", "2025-11", 10_000}, month{"POL-A", "2025-12", 10_000}
	with := func(m month, version int64, inFlight schemas.Cents, kind schemas.ChangeKind, debit string,
		moved schemas.Cents,
	) schemas.CollectionEvent {
		e := m.event(version, kind, debit, moved, moved, schemas.Unpaid)
		e.InFlightCents = inFlight
		return e
	}
	store(t, conn, schemas.TopicCollections, 0, 0, numbered(1,
		with(nov, 1, 0, schemas.ChangeCreated, "", 0),
		with(nov, 2, 10_000, schemas.ChangeInstructed, "d1", 0),
		with(dec, 1, 7_000, schemas.ChangeInstructed, "d2", 0),
		with(nov, 3, 0, schemas.ChangePaid, "d1", 10_000), // 4
		with(nov, 4, 0, schemas.ChangeLateUnpaid, "d1", -10_000),
		with(nov, 5, 9_000, schemas.ChangeInstructed, "d3", 0), // 6
	)...)
	require.NoError(t, conn.Exec(t.Context(), "INSERT INTO sink_marks VALUES ('kasi.collections.v1', 0, 6, 7, now64(3))"))
	under := func(sums schemas.LedgerSums) schemas.LedgerSums {
		sums.InFlightDebits, sums.InFlightCents = 1, 9_000
		return sums
	}
	for _, c := range []struct {
		period    schemas.Period
		from, to  int64
		want      schemas.LedgerSums
		otherwise string
	}{
		{"2025-11", 0, 4, schemas.LedgerSums{InFlightDebits: 1, InFlightCents: 10_000}, "the debit of December is not its"},
		{"2025-11", 0, 5, schemas.LedgerSums{TotalCents: 10_000, Movements: 1}, "answered"},
		{"2025-11", 3, 7, under(schemas.LedgerSums{Movements: 2}), "came and went, and another is under way"},
		{
			"2025-11", 5, 7, under(schemas.LedgerSums{TotalCents: -10_000, AdjustmentsCents: -10_000, Movements: 1}),
			"came before",
		},
	} {
		cov := []schemas.Coverage{{Period: c.period, From: []int64{c.from}, To: []int64{c.to}}}
		sums, err := Ledger{conn}.Sum(t.Context(), "acme", c.period, cov)
		require.NoError(t, err)
		require.Equal(t, c.want, sums, c.otherwise)
	}
}

// before stores what came before the books: numbers below 10 of partition 0 and below 20 of partition 1.
func before(t *testing.T, conn driver.Conn) {
	t.Helper()
	for partition, below := range []int{10, 20} {
		require.NoError(t, conn.Exec(context.Background(), fmt.Sprintf("INSERT INTO collections_log (tenant_id, "+
			"period_month, collection_id, version, event_id, seq, src_partition, src_offset) SELECT 'another', '2025-09', "+
			"generateUUIDv4(), 1, generateUUIDv4(), number + 1, %d, number - 100 FROM numbers(%d)", partition, below-1)))
	}
}

// A sum is made over everything up to its bounds, each event once, or not at all.
func TestNoSumOverAHole(t *testing.T) {
	conn := open(t, chtest.New(t))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	books(t, conn)
	before(t, conn)
	require.NoError(t, conn.Exec(ctx,
		"INSERT INTO sink_marks VALUES ('kasi.collections.v1', 0, 90, 20, now64(3)), ('kasi.collections.v1', 1, 93, 23, "+
			"now64(3))"))
	l := Ledger{conn}
	lost := func(where string, partition int32, from, to int64) {
		t.Helper()
		require.NoError(t, conn.Exec(ctx, "CREATE TABLE kept AS collections_log"))
		require.NoError(t, conn.Exec(ctx, "INSERT INTO kept SELECT * FROM collections_log WHERE "+where))
		require.NoError(t, conn.Exec(ctx, "DELETE FROM collections_log WHERE "+where))
		want := &schemas.Hole{Topic: schemas.TopicCollections, Partition: partition, From: from, To: to}
		_, err := l.Sum(ctx, "acme", "2025-11", novemberStatement().Coverage)
		var hole *schemas.Hole
		require.ErrorAs(t, err, &hole)
		require.Equal(t, want, hole)
		_, err = l.HasCollections(ctx, "acme", "2025-11", []int64{20, 23})
		require.ErrorAs(t, err, &hole)
		require.Equal(t, want, hole)
		require.ErrorAs(t, Whole(ctx, conn, schemas.TopicCollections, []int64{20, 23}), &hole)
		require.Equal(t, want, hole)
		require.NoError(t, conn.Exec(ctx, "INSERT INTO collections_log SELECT * FROM kept"))
		require.NoError(t, conn.Exec(ctx, "DROP TABLE kept SYNC"))
		require.NoError(t, Whole(ctx, conn, schemas.TopicCollections, []int64{20, 23}))
		sums, err := l.Sum(ctx, "acme", "2025-11", novemberStatement().Coverage)
		require.NoError(t, err)
		require.Equal(t, schemas.LedgerSums{TotalCents: 20_001, AdjustmentsCents: -10_000, Movements: 5}, sums)
	}
	lost("src_partition = 0 AND seq IN (14, 17, 18)", 0, 14, 14) // the first of two
	lost("src_partition = 0 AND seq = 18", 0, 18, 18)            // the last
	lost("src_partition = 1", 1, 1, 22)                          // all
	lost("tenant_id = 'another' AND src_partition = 1", 1, 1, 19)
	// What lies behind the bounds is not asked for.
	require.NoError(t, conn.Exec(ctx, "DELETE FROM collections_log WHERE src_partition = 0 AND seq = 19"))
	sums, err := l.Sum(ctx, "acme", "2025-10", octoberStatement().Coverage)
	require.NoError(t, err)
	require.Equal(t, schemas.LedgerSums{TotalCents: 30_000, Movements: 2}, sums)
	// Two events of one number.
	require.NoError(t, conn.Exec(ctx, "INSERT INTO collections_log (tenant_id, period_month, collection_id, version, "+
		"event_id, seq, src_partition, src_offset) SELECT 'acme', '2025-10', generateUUIDv4(), 1, "+
		"generateUUIDv4(), 11, 0, 7"))
	_, err = l.Sum(ctx, "acme", "2025-10", octoberStatement().Coverage)
	require.ErrorContains(t, err, "two events of kasi.collections.v1 partition 0 have one number")
	err = Whole(ctx, conn, schemas.TopicCollections, []int64{14})
	require.Equal(t, &schemas.Twins{Topic: schemas.TopicCollections}, err)
	// A row that is stored twice is one event.
	require.NoError(t, conn.Exec(ctx, "DELETE FROM collections_log WHERE src_offset = 7 AND seq = 11"))
	require.NoError(t, conn.Exec(ctx, "INSERT INTO collections_log SELECT * FROM collections_log WHERE "+
		"src_partition = 0 AND seq = 12 SETTINGS insert_deduplicate = 0"))
	require.NoError(t, Whole(ctx, conn, schemas.TopicCollections, []int64{14}))
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
	before(t, conn)
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

// What a statement covers may end later for an earlier period than for its own: the ledger waits for the greatest bound
// of each partition, not for that of the period named last.
func TestLedgerWaitsForTheGreatestBound(t *testing.T) {
	require.Equal(t, []int64{9, 8, 3}, furthest([][]int64{{9, 2}, {1, 8, 3}, nil}))
	require.Equal(t, []int64{9, 8, 3}, furthest([][]int64{nil, {1, 8, 3}, {9, 2}}))
}
