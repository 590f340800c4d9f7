package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/segmentio/encoding/json"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/retry"
)

const (
	// depositsPerSecond is how many of the fed records must become debits.
	depositsPerSecond = 200
	// latencyCustomers is how many times the customers of the other parts there are. One part of them gets the deposits,
	// the others spend: who has spent today is not debited for what came today.
	latencyCustomers = 5
	// cutoffEvery is the pause between the starts of two cut-offs. A real day has one or a few; without it the wait for
	// the cut-off would be all that is measured.
	cutoffEvery = 100 * time.Millisecond
	// rowsEvery is the pause between two looks at the rows.
	rowsEvery = 50 * time.Millisecond
	// settling is how long the load has lasted when measuring begins: the Java of a broker that has just started compiles
	// for that long, on a third of a processor.
	settling = 20 * time.Second
)

// benchLatency runs the whole product on Apache Kafka, finds how much it takes, feeds half of that, and measures from a
// fed deposit to its debit and to the debit's row. Each customer gets one deposit, since his next debit would wait for
// the bank's answer.
func benchLatency(ctx context.Context, k *kafka, o *options, t *table) error {
	more := *o
	o = &more
	o.customers *= latencyCustomers // or each would have a hundred transactions on the one day, which his state remembers
	if err := k.anew(ctx, o); err != nil {
		return err
	}
	p, err := startProduct(ctx, k, o)
	if err != nil {
		return err
	}
	defer p.stop()
	if err := p.policies(ctx); err != nil {
		return err
	}
	say("finding the throughput of the whole product ...")
	if _, err := p.throughput(ctx, o.records/4); err != nil { // warm
		return err
	}
	full, err := p.throughput(ctx, o.records)
	if err != nil {
		return err
	}
	load := int(full / 2)
	if o.load > 0 {
		load = o.load
	}
	say("   %s feed records/s; feeding %d a second for %d s ...", thousands(full), load, o.seconds)
	l := &latency{
		product: p, load: load, length: time.Duration(o.seconds) * time.Second, fed: map[string]time.Time{},
		debit: map[string]time.Time{}, row: map[string]time.Time{},
	}
	if err := l.run(ctx); err != nil {
		return err
	}
	debits, rows := l.since(l.debit), l.since(l.row)
	t.section("Whole product at half load", "p50", "p99", "max", "deposits")
	t.row("fed deposit to debit record, read committed", quantile(debits, 50), quantile(debits, 99), quantile(debits, 100),
		fmt.Sprint(len(debits)))
	t.row("fed deposit to the debit's visible row in ClickHouse", quantile(rows, 50), quantile(rows, 99),
		quantile(rows, 100), fmt.Sprint(len(rows)))
	t.note("Half load: %d feed records a second, half of the %s that the product (all roles in one process; broker, "+
		"ClickHouse and feeder beside it) took from the feed to visible rows; "+
		"%d of them deposits that are debited at the next cut-off, %d customers; a cut-off every %v, so up to that much "+
		"of the latency is the wait for it; rows are looked for every %v. %d cut-offs passed.", load, thousands(full),
		depositsPerSecond, o.customers, cutoffEvery, rowsEvery, l.cutoffs)
	return nil
}

// policies gives every customer a policy and an execution, and passes the day's first cut-off.
func (p *product) policies(ctx context.Context) error {
	at := time.Date(2025, 11, 3, 5, 0, 0, 0, schemas.Johannesburg)
	each := func(yield func(*kgo.Record) bool, of func(i int) *kgo.Record) {
		for i := range p.world.customers {
			if !yield(of(i)) {
				return
			}
		}
	}
	number := func(i int) string { return fmt.Sprintf("POL%07d", i) }
	if err := p.kafka.feed(ctx, func(yield func(*kgo.Record) bool) {
		each(yield, func(i int) *kgo.Record {
			r := p.world.record(schemas.KindPolicy, i, schemas.PolicyCommand{
				RequestID: "bench", Row: i + 1, Action: schemas.PolicyImport, TenantID: "acme", CustomerID: p.world.customer(i),
				PolicyNumber: number(i),
				Terms: &schemas.PolicyTerms{
					ProductCode: "FUNERAL_01", PremiumCents: 30_000, Status: schemas.PolicyActive,
					Rail: schemas.RailDebiCheck,
				},
			}, at)
			key := schemas.CustomerKey("acme", number(i))
			r.Topic, r.Key, r.Partition = schemas.TopicPolicyCommands, []byte(key), schemas.PartitionOf(schemas.RoutingHash(key),
				int32(p.world.partitions))
			return r
		})
	}); err != nil {
		return err
	}
	if err := p.until(ctx, "policies_log", p.world.customers); err != nil {
		return err
	}
	if err := p.kafka.feed(ctx, func(yield func(*kgo.Record) bool) {
		each(yield, func(i int) *kgo.Record {
			return p.world.record(schemas.KindExecute, i, schemas.ExecuteCommand{
				RequestID: "bench-x", ExecutionID: "bench-x", Row: i + 1, TenantID: "acme", CustomerID: p.world.customer(i),
				PolicyNumber: number(i), PeriodMonth: "2025-11",
			}, at)
		})
	}); err != nil {
		return err
	}
	if err := p.until(ctx, "collections_log", p.world.customers); err != nil {
		return err
	}
	return p.cutoff(ctx)
}

// throughput is feed records a second from the first one fed to the last one's row.
func (p *product) throughput(ctx context.Context, n int) (float64, error) {
	began := time.Now()
	if err := p.kafka.feed(ctx, func(yield func(*kgo.Record) bool) {
		for range n {
			if !yield(p.spending()) {
				return
			}
		}
	}); err != nil {
		return 0, err
	}
	p.fed += n
	if err := p.until(ctx, "transactions_log", p.fed); err != nil {
		return 0, err
	}
	return float64(n) / time.Since(began).Seconds(), nil
}

// spending is a record of the feed that decides nothing.
func (p *product) spending() *kgo.Record {
	p.n++
	earners := p.world.customers / latencyCustomers
	who := earners + p.random.IntN(p.world.customers-earners)
	tx := p.world.transaction(p.random, 1, who, p.day)
	return &kgo.Record{Topic: schemas.TopicFeedTransactions, Partition: int32(p.n % p.world.partitions), Value: encode(tx)}
}

// deposit is the irregular income of a customer.
func (p *product) deposit(who int) *kgo.Record {
	p.n++
	tx := p.world.transaction(p.random, 1, who, p.day)
	tx.Direction, tx.AmountCents, tx.Description, tx.Category = schemas.Credit, 8000, "PIECE JOB", "INCOME"
	return &kgo.Record{Topic: schemas.TopicFeedTransactions, Partition: int32(p.n % p.world.partitions), Value: encode(tx)}
}

// cutoff writes one more cut-off of the day to the timeline. It waits for no stage, as the calendar that follows the
// clock does not.
func (p *product) cutoff(ctx context.Context) error {
	p.cutoffs++
	var ticks []*kgo.Record
	p.world.tick(func(r *kgo.Record) bool { ticks = append(ticks, r); return true }, p.day.Format(time.DateOnly),
		p.cutoffs, p.day) // of that day: debits of a day that passed long ago are dated today, which may be a Sunday
	return p.kafka.client.ProduceSync(ctx, ticks...).FirstErr()
}

// latency is one measurement under load.
type latency struct {
	*product
	load   int
	length time.Duration

	mu              sync.Mutex
	began           time.Time
	fed, debit, row map[string]time.Time // by customer
}

// run feeds, passes cut-offs and watches debits and rows until every deposit's row is there.
func (l *latency) run(ctx context.Context) error {
	tail, err := kgo.NewClient(kgo.SeedBrokers(l.kafka.cluster.Brokers()...), kgo.ConsumeTopics(schemas.TopicDebits),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return err
	}
	defer tail.Close()
	l.began = time.Now()
	stop, cancel := context.WithTimeout(ctx, l.length+time.Minute)
	defer cancel()
	g, all := errgroup.WithContext(stop)
	done := make(chan struct{})
	g.Go(func() error { defer close(done); return l.feed(all) })
	g.Go(func() error { return l.pass(all, done, cancel) })
	g.Go(func() error { return l.watchDebits(all, tail) })
	g.Go(func() error { return l.watchRows(all) })
	err = g.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if len(l.row) == len(l.fed) && len(l.debit) == len(l.fed) {
		return nil
	}
	return errors.Join(fmt.Errorf("of %d deposits %d became debits and %d rows", len(l.fed), len(l.debit), len(l.row)),
		err)
}

// feed produces at the rate of the load, in slices of 10 ms.
func (l *latency) feed(ctx context.Context) error {
	const slice = 10 * time.Millisecond
	tick := time.NewTicker(slice)
	defer tick.Stop()
	sent, deposits := 0, 0
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		passed := time.Since(l.began)
		if passed > l.length || deposits == l.world.customers/latencyCustomers {
			return l.kafka.client.Flush(ctx)
		}
		for ; sent < int(passed.Seconds()*float64(l.load)); sent++ {
			r := l.spending()
			if deposits < int(passed.Seconds()*depositsPerSecond) {
				r = l.deposit(deposits)
				l.note(l.fed, l.world.customer(deposits))
				deposits++
			}
			l.kafka.client.Produce(ctx, r, nil)
		}
	}
}

// pass lets cut-offs pass, and ends the measurement when all deposits have come through.
func (l *latency) pass(ctx context.Context, fed <-chan struct{}, end context.CancelFunc) error {
	tick := time.NewTicker(cutoffEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if err := l.cutoff(ctx); err != nil {
			return err
		}
		select {
		case <-fed:
			l.mu.Lock()
			done := len(l.row) == len(l.fed) && len(l.debit) == len(l.fed)
			l.mu.Unlock()
			if done {
				end()
				return nil
			}
		default:
		}
	}
}

func (l *latency) watchDebits(ctx context.Context, tail *kgo.Client) error {
	for {
		f := tail.PollFetches(ctx)
		if err := f.Err(); err != nil {
			return err
		}
		f.EachRecord(func(r *kgo.Record) {
			var d schemas.DebitInstruction
			if json.Unmarshal(r.Value, &d) == nil {
				l.note(l.debit, d.CustomerID)
			}
		})
	}
}

// watchRows asks ClickHouse for new debits, 20 times a second: asked without a pause, it would do little else.
func (l *latency) watchRows(ctx context.Context) error {
	at := make([]int64, l.world.partitions)
	for {
		var where []string
		for p, next := range at {
			where = append(where, fmt.Sprintf("src_partition = %d AND src_offset >= %d", p, next))
		}
		rows, err := l.conn.Query(ctx,
			"SELECT customer_id, src_partition, src_offset FROM debits_log WHERE "+strings.Join(where, " OR "))
		if err != nil {
			return err
		}
		if err := l.newRows(rows, at); err != nil {
			return err
		}
		if err := retry.Pause(ctx, rowsEvery); err != nil {
			return err
		}
	}
}

func (l *latency) newRows(rows driver.Rows, at []int64) error {
	defer rows.Close()
	for rows.Next() {
		var customer string
		var partition uint32
		var offset int64
		if err := rows.Scan(&customer, &partition, &offset); err != nil {
			return err
		}
		at[partition] = max(at[partition], offset+1)
		l.note(l.row, customer)
	}
	return rows.Err()
}

// note keeps when something was first seen.
func (l *latency) note(in map[string]time.Time, customer string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := in[customer]; !known {
		in[customer] = time.Now()
	}
}

// since is how long after its feeding each deposit was seen, sorted, without those fed while the load was new.
func (l *latency) since(seen map[string]time.Time) []time.Duration {
	var out []time.Duration
	for customer, fed := range l.fed {
		if fed.Sub(l.began) >= settling {
			out = append(out, seen[customer].Sub(fed))
		}
	}
	slices.Sort(out)
	return out
}

// newRandom gives every run the same choices.
func newRandom() *rand.Rand { return rand.New(rand.NewPCG(4, 2)) }

func tempDir() (string, error) { return os.MkdirTemp("", "kasilab-product-") }
