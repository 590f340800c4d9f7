package verify

import (
	"cmp"
	"slices"

	"github.com/kasi-collections/kasi/schemas"
)

// The facts behind versions of a collection.
const (
	created      = "CREATED"
	instructed   = "DEBIT_INSTRUCTED"
	paid         = "DEBIT_PAID"
	unpaid       = "DEBIT_UNPAID"
	rejected     = "DEBIT_REJECTED"
	lateUnpaid   = "LATE_UNPAID"
	disputed     = "DEBIT_DISPUTED"
	paidDisputed = "PAID_DISPUTED"
	reactivated  = "REACTIVATED"
	followed     = "POLICY_CHANGED"
)

// voided is the status of a collection that was taken back with its execution.
const voided = "VOIDED"

// noAnswer is the kind of an open item.
const noAnswer = "NO_ANSWER"

func (b *books) transactionsOnce(c *Check) {
	for h, n := range b.accepted {
		c.Counted += n
		if n > 1 {
			c.differ("a transaction (hash %x) was accepted %d times", h, n)
		}
	}
}

func (b *books) transactionsKept(c *Check) {
	for _, f := range b.fed {
		c.Counted++
		if b.accepted[f.hash] == 0 && !b.refused(f) && !b.deadFed[f.hash] {
			if b.gone[schemas.TopicDeadLetters] {
				c.Unchecked++
				continue
			}
			c.missing(f.fresh, "%s is neither accepted nor a dead letter", f.place)
		}
	}
}

func (b *books) debitsOnce(c *Check) {
	type attempt struct {
		collection string
		n          int
	}
	ids, attempts := map[string]bool{}, map[attempt]bool{}
	for _, d := range b.debits {
		c.Counted++
		c.must(!ids[d.DebitID], "debit %s was instructed twice", d.DebitID)
		c.must(!attempts[attempt{d.Collection, d.Attempt}], "collection %s has two debits of attempt %d", d.Collection,
			d.Attempt)
		ids[d.DebitID], attempts[attempt{d.Collection, d.Attempt}] = true, true
	}
	for a := range attempts {
		c.must(a.n <= 1 || attempts[attempt{a.collection, a.n - 1}], "collection %s has attempt %d but not the one before",
			a.collection, a.n)
	}
}

// debitsBooked compares what the bank was told with what the collections say it was told.
func (b *books) debitsBooked(c *Check) {
	told, booked := last(b.debits, debitID), map[string]bool{}
	for _, e := range b.collections {
		if e.Change.Kind != instructed {
			continue
		}
		c.Counted++
		d := told[e.Change.DebitID]
		switch {
		case booked[e.Change.DebitID]:
			c.differ("collection %s version %d instructs debit %s a second time", e.Collection, e.Version, e.Change.DebitID)
		case d == nil:
			c.missing(e.fresh, "collection %s instructs debit %s, which the bank was never sent", e.Collection, e.Change.DebitID)
		case d.Amount != e.Change.Amount || d.Collection != e.Collection:
			c.differ("debit %s is of %s for collection %s; the collection's history has %s for %s", d.DebitID, d.Amount,
				d.Collection, e.Change.Amount, e.Collection)
		}
		booked[e.Change.DebitID] = true
	}
	for _, d := range b.debits {
		if !booked[d.DebitID] {
			c.missing(d.fresh, "debit %s of %s was sent to the bank and is in no collection's history", d.DebitID, d.Amount)
		}
	}
}

func (b *books) versionsDense(c *Check) {
	for _, of := range []struct {
		what   string
		events []*event
		id     func(*event) string
	}{
		{"collection", b.collections, collectionID},
		{"policy", b.policies, policyID},
		{"statement", b.settlements, settlementID},
	} {
		events, was := slices.Clone(of.events), &event{}
		inOrder(events, of.id)
		for _, e := range events {
			c.Counted++
			id := of.id(e)
			if of.id(was) != id {
				was = &event{partition: e.partition, offset: -1, Customer: e.Customer}
			}
			moved := e.Customer != was.Customer // a policy, with what is collected for it
			if moved && e.fresh && e.Version > was.Version+1 {
				c.missing(true, "%s %s: version %d follows %d", of.what, id, e.Version, was.Version)
			} else {
				c.must(e.Version == was.Version+1, "%s %s: version %d follows %d (partition %d offset %d)", of.what, id, e.Version,
					was.Version, e.partition, e.offset)
			}
			c.must(moved || e.partition == was.partition, "%s %s is on partitions %d and %d", of.what, id, was.partition,
				e.partition)
			c.must(e.partition != was.partition || e.offset > was.offset, "%s %s: version %d lies before version %d "+
				"(partition %d offset %d)", of.what, id, e.Version, was.Version, e.partition, e.offset)
			was = e
		}
	}
}

func policyID(e *event) string { return e.PolicyID }

// inOrder sorts events by what they are of and by their versions. A policy that moves to another customer may go to
// another partition, so the order of a topic is not enough.
func inOrder(events []*event, id func(*event) string) {
	slices.SortFunc(events, func(x, y *event) int {
		return cmp.Or(cmp.Compare(id(x), id(y)), cmp.Compare(x.Version, y.Version), cmp.Compare(x.partition, y.partition),
			cmp.Compare(x.offset, y.offset))
	})
}

// oneInFlight goes through each collection's history in the order of its events.
func (b *books) oneInFlight(c *Check) {
	open := map[string]change{} // by collection
	for _, e := range b.collections {
		o := open[e.Collection]
		switch e.Change.Kind {
		case instructed:
			c.Counted++
			c.must(o.DebitID == "", "collection %s: debit %s was instructed while %s was with the bank", e.Collection,
				e.Change.DebitID, o.DebitID)
			open[e.Collection] = e.Change
		case paid, unpaid, rejected, disputed:
			if o.DebitID == e.Change.DebitID {
				delete(open, e.Collection)
			}
		}
		want := open[e.Collection].Amount
		c.must(e.InFlight == want, "collection %s version %d: %s in flight; its history says %s", e.Collection, e.Version,
			e.InFlight, want)
	}
}

func (b *books) withinDue(c *Check) {
	due, status := map[string]cents{}, map[string]string{}
	for _, e := range b.collections {
		c.Counted++
		c.must(e.Collected >= 0 && e.InFlight >= 0 && e.Collected+e.InFlight <= e.Due,
			"collection %s version %d: %s collected and %s in flight of %s", e.Collection, e.Version, e.Collected, e.InFlight,
			e.Due)
		was, ok := due[e.Collection]
		// Before its period begins a collection follows its policy; one that was taken back is made anew.
		mayChange := e.Change.Kind == followed && e.BusinessDate < e.Period+"-01" ||
			e.Change.Kind == reactivated && status[e.Collection] == voided
		c.must(!ok || was == e.Due || mayChange, "collection %s version %d: due changed from %s to %s", e.Collection,
			e.Version, was, e.Due)
		due[e.Collection], status[e.Collection] = e.Due, e.Status
		c.must(e.Status != voided || e.Collected == 0 && e.InFlight == 0, "collection %s version %d was taken back with %s "+
			"collected and %s in flight", e.Collection, e.Version, e.Collected, e.InFlight)
		c.must((e.Status == "PAID_FULL") == (e.Collected >= e.Due) || e.Status == "CANCELLED",
			"collection %s version %d is %s with %s of %s collected", e.Collection, e.Version, e.Status, e.Collected, e.Due)
	}
}

// movedIsCollected also checks that each fact moved what such a fact moves.
func (b *books) movedIsCollected(c *Check) {
	sum, net := map[string]cents{}, map[string]cents{} // by collection, by debit
	for _, e := range b.collections {
		c.Counted++
		ch := &e.Change
		want := cents(0)
		switch ch.Kind {
		case paid:
			want = ch.Amount
		case lateUnpaid, unpaid, rejected, disputed:
			want = -net[ch.DebitID]
		}
		c.must(ch.Moved == want && (ch.Kind != lateUnpaid || want != 0),
			"collection %s version %d: %s of debit %s moved %s; expected %s", e.Collection, e.Version, ch.Kind, ch.DebitID,
			ch.Moved, want)
		if ch.DebitID != "" {
			net[ch.DebitID] += ch.Moved
		}
		sum[e.Collection] += ch.Moved
		c.must(sum[e.Collection] == e.Collected, "collection %s version %d: movements sum to %s, collected is %s",
			e.Collection, e.Version, sum[e.Collection], e.Collected)
	}
}
