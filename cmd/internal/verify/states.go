package verify

import (
	"context"
	"fmt"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/records"
)

// The views of things as they are now, by tenant and status: how many there are, and their money in cents.
var shown = []string{
	"SELECT concat('collections of ', tenant_id, ' for ', period_month, ' ', collection_status), count(), " +
		"sum(due_cents), sum(collected_cents), sum(in_flight_cents) FROM collections " +
		"GROUP BY tenant_id, period_month, collection_status",
	"SELECT concat('debits of ', tenant_id, ' for ', period_month, ' ', status), count(), sum(amount_cents), 0, 0 " +
		"FROM debits GROUP BY tenant_id, period_month, status",
	"SELECT concat('policies of ', tenant_id, ' ', status), count(), sum(premium_cents), 0, 0 FROM policies " +
		"GROUP BY tenant_id, status",
}

// totals are a count and up to three sums.
type totals [4]int64

func (f totals) String() string {
	return fmt.Sprintf("%d of %s, %s and %s", f[0], cents(f[1]), cents(f[2]), cents(f[3]))
}

// asTheyAre is what the events make of collections, debits and policies.
func (b *books) asTheyAre() map[string]totals {
	all := map[string]totals{}
	add := func(what string, sums ...cents) {
		f := all[what]
		f[0]++
		for i, s := range sums {
			f[i+1] += int64(s)
		}
		all[what] = f
	}
	for _, e := range highest(b.collections, collectionID) {
		add("collections of "+e.Tenant+" for "+e.Period+" "+e.Status, e.Due, e.Collected, e.InFlight)
	}
	for _, e := range highest(b.policies, func(e *event) string { return e.PolicyID }) {
		add("policies of "+e.Tenant+" "+string(e.PaymentStatus), e.Premium)
	}
	stands := b.stands()
	for id, e := range last(b.debits, debitID) {
		add("debits of "+e.Tenant+" for "+e.Period+" "+string(stands[id]), e.Amount)
	}
	return all
}

// currentStates compares what analysts read as it is now with what the events make it. The sink mends a table of
// current states where it lacks something; this looks at the money.
func (b *books) currentStates(ctx context.Context, c *Check, ch ClickHouse) error {
	want := b.asTheyAre()
	for _, sql := range shown {
		err := ch.each(ctx, sql, func(r row) {
			c.Counted++
			have := totals(r.n)
			c.must(have == want[r.name], "%s: the view shows %s; Kafka makes it %s", r.name, have, want[r.name])
			delete(want, r.name)
		})
		if err != nil {
			return err
		}
	}
	for name, f := range want {
		c.differ("%s: the view shows none; Kafka makes it %s", name, f)
	}
	return nil
}

// unlessMoved carries out a check that reads ClickHouse as it is now. Where it finds differences and the sink has gone
// on since Kafka was read, nobody can judge them: what was looked at counts as in transit.
func (b *books) unlessMoved(ctx context.Context, c *Check, do func(context.Context, *Check, ClickHouse) error) error {
	seen := Check{}
	err := do(ctx, &seen, b.o.ClickHouse)
	c.Counted += seen.Counted
	if err != nil || seen.Differences == 0 {
		return err
	}
	rows, err := b.o.ClickHouse.query(ctx, queryMarks)
	if err != nil {
		return err
	}
	for _, r := range rows {
		at := records.Place{Topic: r.name, Partition: int32(r.n[0])}
		if end, read := b.ends[at]; read && r.n[1] > end && moves[at.Topic] {
			c.InTransit += seen.Counted
			return nil
		}
	}
	c.Differences, c.Examples = c.Differences+seen.Differences, append(c.Examples, seen.Examples...)
	return nil
}

// moves are the topics that make what analysts read as it is now.
var moves = map[string]bool{
	schemas.TopicCollections: true, schemas.TopicDebits: true, schemas.TopicPolicies: true, schemas.TopicSettlements: true,
	schemas.TopicPayouts: true,
}

// highest are the events with the highest version of each id.
func highest(events []*event, id func(*event) string) map[string]*event {
	out := map[string]*event{}
	for _, e := range events {
		if at := out[id(e)]; at == nil || e.Version > at.Version {
			out[id(e)] = e
		}
	}
	return out
}
