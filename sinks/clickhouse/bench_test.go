package clickhouse

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/sinks/clickhouse/chtest"
)

const benchRows = 50_000

func benchRecords(b *testing.B, topic string, n int) []*kgo.Record {
	rs := make([]*kgo.Record, n)
	for i := range rs {
		rs[i] = &kgo.Record{
			Topic: topic, Offset: int64(i), Value: encode(b, sample(topic, 0, int64(i+1))),
			Timestamp: sampleTime,
		}
	}
	return rs
}

// BenchmarkInsert sets the sink's insert path (JSON to columns to ClickHouse) beside a raw columnar insert of the same
// block, and beside the driver's row by row appending, in the same run. One operation is one block of 50,000 rows.
func BenchmarkInsert(b *testing.B) {
	for _, topic := range []string{schemas.TopicTransactions, schemas.TopicCollections} {
		conn := open(b, chtest.New(b))
		table := tables()[topic]
		records := benchRecords(b, topic, benchRows)
		kept := keepColumns(b, table, records)
		n := 0
		run := func(name string, op func(ctx context.Context)) {
			b.Run(schemas.SunkTopics[topic]+"/"+name, func(b *testing.B) {
				for b.Loop() {
					n++
					op(withSettings(context.Background(), insertSettings(0), fmt.Sprint("bench-", n)))
				}
				b.ReportMetric(float64(benchRows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			})
		}
		run("raw", func(ctx context.Context) {
			batch, err := conn.PrepareBatch(ctx, table.insertQuery())
			require.NoError(b, err)
			for i, values := range kept {
				require.NoError(b, batch.Column(i).Append(values))
			}
			require.NoError(b, batch.Send())
		})
		run("sink", func(ctx context.Context) {
			require.NoError(b, insert(ctx, conn, table, records))
		})
		run("read-only", func(context.Context) { require.NoError(b, table.fill(nowhere{}, records)) })
		run("read-and-fill", func(ctx context.Context) {
			batch, err := conn.PrepareBatch(ctx, table.insertQuery())
			require.NoError(b, err)
			require.NoError(b, table.fill(batch, records))
			require.NoError(b, batch.Abort())
		})
		run("row-by-row-fill-only", func(ctx context.Context) {
			batch, err := conn.PrepareBatch(ctx, table.insertQuery())
			require.NoError(b, err)
			row := make([]any, len(kept))
			for r := range benchRows {
				for i, values := range kept {
					row[i] = at(values, r)
				}
				require.NoError(b, batch.Append(row...))
			}
			require.NoError(b, batch.Abort())
		})
	}
}

// keepColumns gathers the slices that fill appends.
func keepColumns(b *testing.B, t table, records []*kgo.Record) []any {
	k := &keeper{kept: make([]any, len(t.columnNames()))}
	require.NoError(b, t.fill(k, records))
	return k.kept
}

type keeper struct {
	driver.Batch
	kept []any
}

type keptColumn struct {
	driver.BatchColumn
	k *keeper
	i int
}

func (k *keeper) Column(i int) driver.BatchColumn { return keptColumn{k: k, i: i} }

func (c keptColumn) Append(v any) error {
	if c.k.kept[c.i] == nil {
		c.k.kept[c.i] = reflect.Zero(reflect.TypeOf(v)).Interface()
	}
	// the sink uses v again
	c.k.kept[c.i] = reflect.AppendSlice(reflect.ValueOf(c.k.kept[c.i]), reflect.ValueOf(v)).Interface()
	return nil
}

// nowhere is a batch that keeps nothing.
type nowhere struct{ driver.Batch }

func (nowhere) Column(int) driver.BatchColumn { return nowhereColumn{} }

type nowhereColumn struct{ driver.BatchColumn }

func (nowhereColumn) Append(any) error { return nil }

// BenchmarkSink reads 200,000 collection events through kfake: fetch, plan, insert, mark, commit.
func BenchmarkSink(b *testing.B) {
	const records = 200_000
	for b.Loop() {
		b.StopTimer()
		w := newWorld(b, 4)
		for range records / 4 / 5_000 {
			w.write(5_000, schemas.TopicCollections)
		}
		b.StartTimer()
		s := w.start(w.config(), defaults())
		w.untilCaughtUp(5 * time.Millisecond)
		b.StopTimer()
		s.end()
		w.exact()
		b.StartTimer()
	}
	b.ReportMetric(records*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkLatency is the time from a stage's commit of a small transaction over five topics to the sink's commit, the
// sink being idle before.
func BenchmarkLatency(b *testing.B) {
	w := newWorld(b, 4)
	s := w.start(w.config(), defaults())
	w.write(1)
	w.caughtUp()
	for b.Loop() {
		b.StopTimer()
		w.write(3, schemas.TopicTransactions, schemas.TopicDeposits, schemas.TopicDecisions, schemas.TopicDebits,
			schemas.TopicCollections)
		b.StartTimer()
		w.untilCaughtUp(time.Millisecond)
	}
	b.StopTimer()
	s.end()
}

// BenchmarkSmallInsert is what an insert of five rows costs ClickHouse, whatever its size, in its own processor time
// (cpu-ms/op): under load most inserts are small. Merges are not in it. "any threads" is the same without
// max_threads=1. On an ext4 without a journal, making the files may take as much as half of it (DESIGN.md):
// TMPDIR=/dev/shm leaves that out.
func BenchmarkSmallInsert(b *testing.B) {
	const topic, rows = schemas.TopicCollections, 5
	conn := open(b, chtest.New(b))
	ctx := context.Background()
	require.NoError(b, conn.Exec(ctx, "SYSTEM STOP MERGES "+schemas.SunkTopics[topic]))
	require.NoError(b, conn.Exec(ctx,
		"ALTER TABLE "+schemas.SunkTopics[topic]+" MODIFY SETTING parts_to_delay_insert = 100000, parts_to_throw_insert "+
			"= 100000"))
	one, err := settingsFor(ctx, conn, clickhouse.Native)
	require.NoError(b, err)
	several := maps.Clone(one)
	delete(several, "max_threads")
	table := tables()[topic]
	records := benchRecords(b, topic, rows)
	n := 0
	for name, settings := range map[string]clickhouse.Settings{"as it is": one, "any threads": several} {
		b.Run(name, func(b *testing.B) {
			require.NoError(b, conn.Exec(ctx, "TRUNCATE TABLE "+schemas.SunkTopics[topic]))
			before := serverTime(b, conn)
			for b.Loop() {
				n++
				require.NoError(b, insert(withSettings(ctx, settings, fmt.Sprint("small-", n)), conn, table, records))
			}
			b.ReportMetric((serverTime(b, conn)-before).Seconds()*1000/float64(b.N), "cpu-ms/op")
		})
	}
}

// serverTime is the processor time that ClickHouse says its threads have used for queries.
func serverTime(b *testing.B, conn driver.Conn) time.Duration {
	var us uint64
	require.NoError(b, conn.QueryRow(context.Background(),
		"SELECT sum(value) FROM system.events WHERE event = 'OSCPUVirtualTimeMicroseconds'").Scan(&us))
	return time.Duration(us) * time.Microsecond
}

func at(values any, i int) any {
	switch v := values.(type) {
	case []string:
		return v[i]
	case []int64:
		return v[i]
	case []uint32:
		return v[i]
	case []*int64:
		return v[i]
	case []time.Time:
		return v[i]
	case []*time.Time:
		return v[i]
	default:
		return uuids(values)[i]
	}
}

func uuids(values any) []uuid.UUID { return values.([]uuid.UUID) }

// untilCaughtUp looks every so often whether the sink has committed everything.
func (w *world) untilCaughtUp(every time.Duration) {
	look := time.NewTicker(every)
	defer look.Stop()
	for w.behind() != "" {
		<-look.C
	}
}

// BenchmarkLook asks which rows of a range are stored, as a repetition does: in a table of a million rows of 8
// partitions merged into one part, and 40,000 that came after, where repetitions lie; and of the merged part's last
// ones. A bare SELECT 1 stands beside it.
func BenchmarkLook(b *testing.B) {
	const old, late, partitions, each = 1_000_000, 40_000, 8, 5_000
	conn := open(b, chtest.New(b))
	ctx := context.Background()
	put := func(from, n int) {
		require.NoError(b, conn.Exec(ctx, fmt.Sprintf(`
INSERT INTO collections_log
    (tenant_id, period_month, collection_id, version, customer_id, src_partition, src_offset)
SELECT 'acme', '2025-11', reinterpretAsUUID(sipHash128(number %% 300000)), number, 'C', number %% %d, intDiv(number, %d)
FROM numbers(%d, %d)`,
			partitions, partitions, from, n)))
	}
	put(0, old)
	require.NoError(b, conn.Exec(ctx, "OPTIMIZE TABLE collections_log FINAL"))
	require.NoError(b, conn.Exec(ctx, "SYSTEM STOP MERGES collections_log"))
	put(old, late)
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, conn.QueryRow(ctx, "SELECT 1").Scan(new(uint8)))
		}
	})
	for name, last := range map[string]int64{"late": (old+late)/partitions - 1, "merged": old/partitions - 1} {
		c := &chunk{
			topicPartition: topicPartition{schemas.TopicCollections, 3}, first: last - each + 1, last: last,
			records: make([]*kgo.Record, each),
		}
		for i := range c.records {
			c.records[i] = &kgo.Record{Offset: c.first + int64(i)}
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				rest, err := (&sink{conn: conn}).missing(ctx, c)
				require.NoError(b, err)
				require.Empty(b, rest)
			}
		})
	}
}

// BenchmarkLedger asks for a settlement's sum, and for the count alone, over five million events of which a tenth moved
// money. It prints what the queries needed of ClickHouse's memory.
func BenchmarkLedger(b *testing.B) {
	const rows, partitions = 5_000_000, 8
	conn := open(b, chtest.New(b))
	ctx := context.Background()
	require.NoError(b, conn.Exec(ctx, fmt.Sprintf(`
		INSERT INTO collections_log (tenant_id, period_month, collection_id, version, event_id, moved_cents, seq,
			src_partition, src_offset)
		SELECT ['acme', 'other'][number %% 5 = 0 ? 2 : 1], ['2025-10', '2025-11'][number %% 2 + 1],
			reinterpretAsUUID(sipHash128(intDiv(number, 5))), number %% 5 + 1, generateUUIDv4(),
			number %% 10 = 3 ? 15000 : 0, intDiv(number, %d) + 1, number %% %d, intDiv(number, %d)
		FROM numbers(%d)`, partitions, partitions, partitions, rows)))
	until := slices.Repeat([]int64{rows/partitions + 1}, partitions)
	for p, seq := range until {
		require.NoError(b, conn.Exec(ctx, "INSERT INTO sink_marks VALUES (?, ?, ?, ?, now64(3))", schemas.TopicCollections, p,
			seq, seq))
	}
	cov := []schemas.Coverage{
		{Period: "2025-11", From: make([]int64, partitions), To: until},
		{Period: "2025-10", From: make([]int64, partitions), To: until},
	}
	for name, ask := range map[string]func() error{
		"count": func() error { return Whole(ctx, conn, schemas.TopicCollections, until) },
		"sum": func() error {
			_, err := Ledger{conn}.Sum(ctx, "acme", "2025-11", cov)
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				require.NoError(b, ask())
			}
		})
	}
	require.NoError(b, conn.Exec(ctx, "SYSTEM FLUSH LOGS"))
	var memory uint64
	require.NoError(b, conn.QueryRow(ctx, "SELECT max(memory_usage) FROM system.query_log WHERE current_database = "+
		"currentDatabase() AND query LIKE '%groupBitmap%'").Scan(&memory))
	b.Logf("at most %d MiB", memory>>20)
}
