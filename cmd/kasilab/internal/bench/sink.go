package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	chsink "github.com/kasi-collections/kasi/sinks/clickhouse"
	"github.com/kasi-collections/kasi/streams/stage"
)

// benchSink sets the sink beside a raw insert of the blocks that it makes and beside ClickHouse's own Kafka engine.
// Four fifths of the rows are transactions, one fifth collections, the widest table.
func benchSink(ctx context.Context, k *kafka, o *options, t *table) error {
	ch, err := startClickHouse(ctx)
	if err != nil {
		return err
	}
	defer ch.stop()
	if err := k.anew(ctx, o); err != nil {
		return err
	}
	say("writing %d events ...", o.sinkRows)
	if err := k.events(ctx, o); err != nil {
		return err
	}
	blocks, err := os.CreateTemp("", "kasilab-blocks-")
	if err != nil {
		return err
	}
	defer remove(blocks)
	warm, all := uint64(o.sinkRows/5), uint64(o.sinkRows)

	var source string // a database that the sink has filled, from which the raw insert takes its rows
	sink := func(round int) (run, error) {
		database, err := ch.database(ctx)
		if err != nil {
			return run{}, err
		}
		source = database
		args := []string{"sink", k.brokers(), ch.server.NativeAddr(), database, blocks.Name()}
		if o.profile != "" && round > 0 {
			args = append(args, o.profile)
		}
		return ch.once(ctx, k, database, warm, all, args...)
	}
	raw := func(int) (run, error) {
		from := source
		database, err := ch.database(ctx)
		if err != nil {
			return run{}, err
		}
		return ch.once(ctx, k, database, warm, all, "raw", "-", ch.server.NativeAddr(), database, from, blocks.Name())
	}
	if _, err := sink(0); err != nil {
		return err
	}
	raws, sunk := &turn{name: "raw insert", do: raw}, &turn{name: "sink", do: sink}
	engine := &turn{name: "Kafka engine", do: func(int) (run, error) { return ch.engine(ctx, k, warm, all) }}
	if err := takeTurns(o.rounds, func() error { return errors.Join(k.clearGroups(ctx), ch.quiet(ctx, source)) }, raws,
		sunk, engine); err != nil {
		return err
	}
	t.section("Kafka to ClickHouse", "rows/s", "processor s a million rows (client + ClickHouse and broker)",
		"sink beside it")
	t.row("raw columnar insert of the same blocks, clickhouse-go (no Kafka)", rates(raws.runs), costs(raws.runs),
		ratio(sunk.runs, raws.runs))
	t.row("sink, exactly once", rates(sunk.runs), costs(sunk.runs), "1")
	t.row("ClickHouse's Kafka engine with materialized views (at least once)", rates(engine.runs), costs(engine.runs),
		ratio(sunk.runs, engine.runs))
	t.note("Sink: %d rows measured after %d warm ones, 4/5 transactions_log (19 columns), 1/5 collections_log (32 "+
		"columns); %s rows an insert on average. Kafka engine: %s.", all-warm, warm, perInsert(blocks.Name(), int(all)),
		engineSettings)
	return nil
}

// perInsert is how many rows the sink's blocks had on average.
func perInsert(blocks string, rows int) string {
	list, err := os.ReadFile(blocks)
	if err != nil {
		return "unknown" // it is only said beside the table
	}
	return fmt.Sprint(rows / max(1, strings.Count(string(list), "\n")))
}

// once is one run of a child that fills a database.
func (ch *clickHouse) once(ctx context.Context, k *kafka, database string, warm, all uint64, args ...string) (run,
	error,
) {
	c, err := spawn(ctx, args...)
	if err != nil {
		return run{}, err
	}
	r, err := ch.contend(ctx, k, c, database, warm, all)
	return r, errors.Join(err, c.stop())
}

// events writes what the stages would, in transactions of theirs.
func (k *kafka) events(ctx context.Context, o *options) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(k.cluster.Brokers()...), kgo.TransactionalID("kasilab"),
		kgo.ProducerLinger(0), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.WithCompressor(stage.Compressor()), kgo.MaxBufferedRecords(1<<20))
	if err != nil {
		return err
	}
	defer cl.Close()
	w, random := world{o.customers, o.partitions}, rand.New(rand.NewPCG(4, 2))
	seq := map[string]map[int32]int64{schemas.TopicTransactions: {}, schemas.TopicCollections: {}}
	for i := 0; i < o.sinkRows; {
		if err := cl.BeginTransaction(); err != nil {
			return err
		}
		for range min(o.transaction, o.sinkRows-i) {
			topic := schemas.TopicTransactions
			if i%5 == 4 {
				topic = schemas.TopicCollections
			}
			p := int32(i / 5 % o.partitions)
			seq[topic][p]++
			at := monthBegins.Add(time.Duration(i) * time.Second)
			meta := schemas.Meta{
				EventID: schemas.FactID("bench", fmt.Sprint(i)), Seq: seq[topic][p],
				BusinessDate: at.Format(time.DateOnly), At: at.UTC(),
			}
			r := &kgo.Record{
				Topic: topic, Partition: p, Key: []byte(schemas.CustomerKey("acme", w.customer(i))),
				Value: w.event(topic, random, i, meta), Timestamp: at,
			}
			if schemas.Inside[topic] {
				r.Headers = []kgo.RecordHeader{{Key: schemas.HeaderKind, Value: []byte(schemas.KindEvent)}}
			}
			cl.Produce(ctx, r, nil)
			i++
		}
		if err := errors.Join(cl.Flush(ctx), cl.EndTransaction(ctx, kgo.TryCommit)); err != nil {
			return err
		}
	}
	return nil
}

func (w world) event(topic string, random *rand.Rand, i int, meta schemas.Meta) []byte {
	who := random.IntN(w.customers)
	if topic == schemas.TopicTransactions {
		return encode(schemas.TransactionEvent{Meta: meta, Transaction: w.transaction(random, i, who,
			meta.At.In(schemas.Johannesburg)), BookedDate: meta.BusinessDate})
	}
	policy := fmt.Sprintf("POL%07d", who)
	id := schemas.PolicyID("acme", policy)
	return encode(schemas.CollectionEvent{
		Meta: meta, CollectionID: schemas.CollectionID(id, "2025-11"), TenantID: "acme", CustomerID: w.customer(who),
		PolicyID: id, PolicyNumber: policy,
		ExternalCustomerRef: fmt.Sprintf("EXT%07d", who), ProductCode: "FUNERAL_01", PeriodMonth: "2025-11",
		ExecutionID: "bench-x", Version: int64(i), DueCents: 15_000,
		InFlightCents: 15_000, Status: schemas.Unpaid, FirstAttemptDate: meta.BusinessDate,
		LastAttemptDate: meta.BusinessDate, Attempts: 1,
		Change: schemas.Change{
			Kind: schemas.ChangeInstructed, DebitID: schemas.DebitID("acme", w.customer(who), id, i),
			AmountCents: 15_000,
		},
	})
}

// runSink is the real sink; args are ClickHouse's address, the database, a file for the blocks it makes, and then one
// for a profile.
func runSink(ctx context.Context, brokers, args []string) error {
	stop, err := profiled(args[3:])
	if err != nil {
		return err
	}
	defer stop()
	f, err := os.Create(args[2])
	if err != nil {
		return err
	}
	defer f.Close()
	kept := &blockList{to: bufio.NewWriter(f)}
	err = chsink.Run(ctx, chsink.Config{
		Brokers: brokers, ClickHouse: childClickHouse(args[0], args[1]),
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Observer: kept,
	}, func() {})
	return errors.Join(err, kept.to.Flush())
}

func childClickHouse(addr, database string) *clickhouse.Options {
	return &clickhouse.Options{Addr: []string{addr}, Auth: clickhouse.Auth{
		Database: database, Username: "kasi",
		Password: clickHousePassword,
	}}
}

// blockList writes down the blocks that the sink inserts.
type blockList struct {
	mu sync.Mutex
	to *bufio.Writer
}

// Inserted implements chsink.Observer.
func (b *blockList) Inserted(table string, rows int, _ time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprintln(b.to, table, rows)
}

// InsertFailed implements chsink.Observer.
func (b *blockList) InsertFailed(string) {}

// Missing implements chsink.Observer.
func (b *blockList) Missing(string, int32, int64) {}

// Troubled implements chsink.Observer.
func (b *blockList) Troubled(_, _, _, _ string) {}

// Refilled implements chsink.Observer.
func (b *blockList) Refilled(string, int) {}
