package streams

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/stage"
)

// benchPartitions is the partition count of the benchmarks.
const benchPartitions = 4

// passTask is the least a stage can do: one output for each record, no state but the facts.
type passTask struct{ *stage.Store[counted] }

func newPassTask() (stage.Task, stage.Memory) {
	s := stage.NewStore(stage.JSONCodec(func(c *counted) *counted { d := *c; return &d }))
	return passTask{s}, s
}

func (passTask) Take(b *stage.Batch, rec *kgo.Record) error {
	b.Emit(schemas.TopicTransactions, string(rec.Key), rec.Value, rec.Timestamp)
	return nil
}

// benchInput makes n transactions of so many customers, days apart, in the order of time.
func benchInput(b *testing.B, n, customers int) []*kgo.Record {
	b.Helper()
	out := make([]*kgo.Record, 0, n+benchPartitions)
	start := time.Date(2025, 11, 3, 6, 0, 0, 0, time.UTC)
	tick, err := json.Marshal(schemas.Tick{Date: "2025-12-31"})
	require.NoError(b, err)
	for p := range int32(benchPartitions) {
		out = append(out, &kgo.Record{
			Topic: schemas.TopicTimeline, Partition: p, Key: []byte("tick"), Value: tick, Timestamp: start,
			Headers: []kgo.RecordHeader{{Key: schemas.HeaderKind, Value: []byte(schemas.KindTick)}},
		})
	}
	for i := range n {
		tx := schemas.Transaction{
			TransactionID: fmt.Sprintf("tx-%08d", i), TenantID: "acme", CustomerID: fmt.Sprintf("CUST%06d", i%customers),
			BookedAt:    start.Add(time.Duration(i) * 50 * 24 * time.Hour / time.Duration(n)).In(schemas.Johannesburg),
			AmountCents: schemas.Cents(1000 + i%90000), Direction: schemas.Debit,
			AccountID: "ACC1", Currency: "ZAR", Description: "CARD PURCHASE SHOPRITE SOWETO", Category: "GROCERIES",
		}
		if i%17 == 0 {
			tx.Direction, tx.Description, tx.Category = schemas.Credit, "SALARY ACME MINING", "INCOME"
		}
		value, err := json.Marshal(tx)
		require.NoError(b, err)
		key := schemas.CustomerKey(tx.TenantID, tx.CustomerID)
		out = append(out, &kgo.Record{
			Topic: schemas.TopicTimeline, Partition: schemas.PartitionOf(schemas.RoutingHash(key), benchPartitions),
			Key: []byte(key), Value: value, Timestamp: tx.BookedAt,
			Headers: []kgo.RecordHeader{{Key: schemas.HeaderKind, Value: []byte(schemas.KindTransaction)}},
		})
	}
	return out
}

// BenchmarkStage measures records a second through whole transactions, on one in-process broker: a bare loop of kgo for
// comparison, our loop with a processor that does nothing, with one that keeps a small state, and with the engine. Run
// it with -benchtime=1x; each size is a full run.
func BenchmarkStage(b *testing.B) {
	engine := processors.NewEngine(rules.Default())
	for _, bc := range []struct {
		name      string
		customers int
		run       func(context.Context, stage.Config, func()) error
	}{
		{"bare", 10_000, runBare},
		{"pass", 10_000, func(ctx context.Context, cfg stage.Config, ready func()) error {
			return stage.Run(ctx, cfg, row("collect"), newPassTask, ready)
		}},
		{"count", 10_000, func(ctx context.Context, cfg stage.Config, ready func()) error {
			return stage.Run(ctx, cfg, row("collect"), newCountTask, ready)
		}},
		{"engine-1000-customers", 1_000, func(ctx context.Context, cfg stage.Config, ready func()) error {
			return Run(ctx, cfg, "collect", Needs{Engine: engine}, ready)
		}},
		{"engine-10000-customers", 10_000, func(ctx context.Context, cfg stage.Config, ready func()) error {
			return Run(ctx, cfg, "collect", Needs{Engine: engine}, ready)
		}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			const n = 300_000
			for b.Loop() {
				b.StopTimer()
				h := newFakeHarness(b, benchPartitions)
				h.produce(benchInput(b, n, bc.customers)...)
				b.StartTimer()
				start, cpu := time.Now(), cpuTime()
				stopStage := h.start(func(ctx context.Context, ready func()) error { return bc.run(ctx, h.cfg, ready) })
				h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
				took, used := time.Since(start), cpuTime()-cpu
				b.StopTimer()
				stopStage()
				var state, written int64
				for _, p := range h.cluster.PartitionInfos(schemas.TopicTransactions) {
					written += p.HighWatermark
				}
				require.GreaterOrEqual(b, written, int64(n), "every record must have come through")
				for _, p := range h.cluster.PartitionInfos(schemas.TopicStateCollect) {
					state += p.NumBytes
				}
				b.ReportMetric(n/took.Seconds(), "records/s")
				b.ReportMetric(float64(used.Nanoseconds())/n, "cpu-ns/record")
				b.ReportMetric(float64(state)/(1<<20), "changelog-MiB")
				b.StartTimer()
			}
		})
	}
}

// cpuTime is the processor time of the whole process, broker included: on a busy machine it says more than the clock.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// runBare is a consume-transform-produce loop with nothing around it, as franz-go's documentation shows it.
func runBare(ctx context.Context, cfg stage.Config, ready func()) error {
	s, err := kgo.NewGroupTransactSession(cfg.Client(
		kgo.ConsumerGroup(schemas.GroupCollect), kgo.ConsumeTopics(schemas.TopicTimeline),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.TransactionalID("bare"), kgo.ProducerLinger(0),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MaxBufferedRecords(1<<20),
	)...)
	if err != nil {
		return err
	}
	defer s.Close()
	ready()
	for {
		fetches := s.PollRecords(ctx, cmp.Or(cfg.MaxRecords, stage.DefaultMaxRecords))
		if ctx.Err() != nil {
			return nil
		}
		if err := s.Begin(); err != nil {
			return err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			s.Produce(ctx, &kgo.Record{
				Topic: schemas.TopicTransactions, Partition: r.Partition, Key: r.Key, Value: r.Value,
				Timestamp: r.Timestamp,
			}, nil)
		})
		if _, err := s.End(context.Background(), kgo.TryCommit); err != nil {
			return err
		}
	}
}

// BenchmarkRestore measures how long a start takes: the changelog of 10,000 customers in 300,000 transactions, written
// and read by the real stage.
func BenchmarkRestore(b *testing.B) {
	h := newFakeHarness(b, benchPartitions)
	h.produce(benchInput(b, 300_000, 10_000)...)
	stopStage := h.start(runCollect(h.cfg))
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	stopStage()
	for b.Loop() {
		st, slots := row("collect"), map[int32]stage.Memory{}
		for p := range int32(benchPartitions) {
			_, m := collectTasks()
			slots[p] = m
		}
		start, cpu := time.Now(), cpuTime()
		require.NoError(b, stage.Restore(h.ctx(), h.cfg, st, slots))
		keys, bytes := 0, int64(0)
		for _, m := range slots {
			keys, bytes = keys+m.Keys(), bytes+m.Bytes()
		}
		b.ReportMetric(float64(keys)/time.Since(start).Seconds(), "keys/s")
		b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/float64(keys), "cpu-ns/key")
		b.ReportMetric(float64(bytes)/float64(keys), "bytes/key")
	}
}

// BenchmarkTick measures the passing of a month over 10,000 customers with open collections on one partition, without
// Kafka.
func BenchmarkTick(b *testing.B) {
	const customers = 10_000
	for b.Loop() {
		b.StopTimer()
		m := newMonth(b, 1)
		m.tick("2025-11-01", 0)
		for i := range customers {
			m.policy(fmt.Sprintf("C%05d", i), 15000)
			m.execute(fmt.Sprintf("C%05d", i))
		}
		tk, mem := collectTasks()
		st := row("collect")
		takeAll(b, st, tk, mem, 1, m.records...)
		b.StartTimer()
		start := time.Now()
		out := 0
		for day := 1; day <= 30; day++ {
			m.records = nil
			m.tick(fmt.Sprintf("2025-11-%02d", day), 0)
			m.tick(fmt.Sprintf("2025-11-%02d", day), 1)
			out += len(takeAll(b, st, tk, mem, 1, m.records...))
		}
		b.ReportMetric(60*customers/time.Since(start).Seconds(), "customer-ticks/s")
		b.ReportMetric(float64(out), "outputs")
	}
}
