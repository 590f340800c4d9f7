package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"time"

	"cloud.google.com/go/civil"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams"
	"github.com/kasi-collections/kasi/streams/retry"
	"github.com/kasi-collections/kasi/streams/stage"
)

// historyPerState is how many transactions each restored customer has had.
const historyPerState = 20

// benchRestore writes the changelog of many customers, a fifth of them twice, and starts the collect stage on it.
func benchRestore(ctx context.Context, k *kafka, o *options, t *table) error {
	if err := k.anew(ctx, o); err != nil {
		return err
	}
	w := world{o.states, o.partitions}
	say("writing the states of %d customers ...", o.states)
	bytes, err := w.states(ctx, k)
	if err != nil {
		return err
	}
	var took []time.Duration
	var heap, resident int
	for range o.rounds {
		c, err := spawn(ctx, "restore", k.brokers(), fmt.Sprint(o.transaction), "0")
		if err != nil {
			return err
		}
		began := time.Now()
		out, err := c.says(ctx, regexp.MustCompile(`restored heap=(\d+) resident=(\d+) after=(\S+)`))
		if err = errors.Join(err, c.stop()); err != nil {
			return err
		}
		after, err := time.ParseDuration(out[3])
		if err != nil {
			return err
		}
		heap, _ = strconv.Atoi(out[1]) // the expression lets in digits alone
		resident, _ = strconv.Atoi(out[2])
		took = append(took, after)
		say("   ready after %v (%v with the start of the process and a collection of garbage)", after,
			time.Since(began).Round(time.Millisecond))
	}
	t.section("Restore of the collect stage", "customers", "bytes a state", "ready after", "customers/s",
		"heap a customer", "resident a customer")
	best := took[0]
	for _, d := range took {
		best = min(best, d)
	}
	t.row("from a compacted changelog, one instance", fmt.Sprint(o.states), fmt.Sprint(bytes/o.states),
		fmt.Sprint(best.Round(time.Millisecond)), thousands(float64(o.states)/best.Seconds()),
		fmt.Sprintf("%d bytes", heap/o.states), fmt.Sprintf("%d bytes", resident/o.states))
	t.note("Restore: each customer has a policy, an open collection and %d transactions; a fifth of the states lie in "+
		"the changelog twice; the best of %d runs; memory after a collection of garbage.", historyPerState, o.rounds)
	return nil
}

// states writes the rows of each customer, as the engine makes them, and at the end the facts that tell of all. It
// returns the bytes of the rows.
func (w world) states(ctx context.Context, k *kafka) (bytes int, err error) {
	e, random := processors.NewEngine(rules.Default()), newRandom()
	m := schemas.Moment{
		Date: civil.Date{Year: 2025, Month: time.November, Day: 20}, Cutoff: 1,
		At: monthBegins.Add(20 * 24 * time.Hour).UTC(),
	}
	var failed error
	facts := make([]stage.Facts, w.partitions)
	err = k.feed(ctx, func(yield func(*kgo.Record) bool) {
		for i := range w.customers {
			var out book.Outputs
			c := &book.Customer{}
			number := fmt.Sprintf("POL%07d", i)
			failed = errors.Join(
				e.Apply(c, &schemas.PolicyCommand{
					Action: schemas.PolicyImport, TenantID: "acme", CustomerID: w.customer(i), PolicyNumber: number,
					Terms: &schemas.PolicyTerms{
						ProductCode: "FUNERAL_01", PremiumCents: 15_000, Status: schemas.PolicyActive,
						Rail: schemas.RailDebiCheck,
					},
				}, m, &out),
				e.Apply(c, &schemas.ExecuteCommand{
					ExecutionID: "bench-x", TenantID: "acme", CustomerID: w.customer(i),
					PolicyNumber: number, PeriodMonth: "2025-11",
				}, m, &out))
			for n := range historyPerState {
				tx := w.transaction(random, n+i, i, monthBegins.Add(time.Duration(n)*20*time.Hour))
				failed = errors.Join(failed, e.Apply(c, &tx, m, &out))
			}
			rows, mass, err := w.rows(i, c, m.At)
			if failed = errors.Join(failed, err); failed != nil {
				return
			}
			bytes += int(mass.Bytes)
			total := &facts[rows[0].Partition]
			total.Mass.Rows += mass.Rows
			total.Mass.Bytes += mass.Bytes
			total.Mass.Sum += mass.Sum
			for _, r := range rows {
				if again := *r; !yield(r) || i%5 == 0 && !yield(&again) {
					return
				}
			}
			if i%100_000 == 99_999 {
				say("   %d", i+1)
			}
		}
		for p, f := range facts {
			f.Layout = stage.Layout
			r := w.record("", 0, f, m.At)
			r.Topic, r.Partition, r.Key, r.Headers = schemas.TopicStateCollect, int32(p), []byte(stage.FactsKey), stateHeaders
			if !yield(r) {
				return
			}
		}
	})
	return bytes, errors.Join(failed, err)
}

// stateHeaders tell a stage's record on a changelog from a stray one.
var stateHeaders = []kgo.RecordHeader{{Key: schemas.HeaderKind, Value: []byte(schemas.KindState)}}

// rows are the changelog's records of one customer.
func (w world) rows(i int, c *book.Customer, at time.Time) (rows []*kgo.Record, mass stage.Mass, err error) {
	s := streams.NewCustomers()
	*s.Edit(schemas.CustomerKey(c.Tenant, c.ID)) = *c
	_, err = s.Write(nil, 0, func(key string, value []byte) {
		if key != stage.FactsKey {
			r := w.record("", i, nil, at)
			r.Topic, r.Key, r.Value, r.Headers = schemas.TopicStateCollect, []byte(key), value, stateHeaders
			rows = append(rows, r)
		}
	})
	return rows, s.Now().Mass, err
}

// says waits until the child's output matches.
func (c *child) says(ctx context.Context, what *regexp.Regexp) ([]string, error) {
	for {
		b, err := os.ReadFile(c.log.Name())
		if err != nil {
			return nil, err
		}
		if found := what.FindStringSubmatch(string(b)); found != nil {
			return found, nil
		}
		if c.gone() {
			return nil, fmt.Errorf("it ended before it said %s", what)
		}
		if err := retry.Pause(ctx, look); err != nil {
			return nil, err
		}
	}
}
