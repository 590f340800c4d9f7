package verify

import (
	"slices"
	"time"

	"github.com/kasi-collections/kasi/schemas"
)

// standing is how a debit stands with the bank.
type standing string

const (
	isPending  standing = "pending"
	isPaid     standing = "paid"
	isUnpaid   standing = "unpaid"
	isRejected standing = "rejected"
	isDisputed standing = "disputed"
)

// answers are the statuses of results, and what the first one makes of a debit.
var answers = map[string]standing{"PAID": isPaid, "UNPAID": isUnpaid, "REJECTED": isRejected, "DISPUTED": isDisputed}

// facts are the kinds of change that say how a debit stands.
var facts = map[string]standing{
	instructed: isPending, paid: isPaid, unpaid: isUnpaid, lateUnpaid: isUnpaid, rejected: isRejected,
	disputed: isDisputed, paidDisputed: isDisputed,
}

// A debit may be disputed for 40 days after its action date, or the last day of its tracking; 60 from 13 April 2026
// (CONTRACT 4.9).
const (
	disputeDays    = 40
	disputeDaysNew = 60
	disputeNewFrom = "2026-04-13"
)

// counts tells whether an answer is one that the debit can have (CONTRACT 4.3, 4.9). Another is refused.
func (r *result) counts(d *event) bool {
	days := disputeDays
	if r.Effective >= disputeNewFrom {
		days = disputeDaysNew
	}
	return (r.Amount == nil || *r.Amount == d.Amount) && r.Effective >= d.ActionDate &&
		(r.Status != "DISPUTED" || r.Effective <= addDays(d.lastDay(), days))
}

func addDays(date string, n int) string {
	t, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return ""
	}
	return t.AddDate(0, 0, n).Format(time.DateOnly)
}

// weight orders standings: of several answers to one debit, in whatever order they came, the heaviest counts (CONTRACT
// 4.3). Of UNPAID and REJECTED the one counts that means the worse, which is not looked into here.
var weight = map[standing]int{isPending: 0, isPaid: 1, isUnpaid: 2, isRejected: 2, isDisputed: 3}

// standings is how a debit may stand after its results. Those that are young or dead letters may count or not. Where
// results are gone from Kafka, any may have been among them.
func standings(d *event, rs []*result, gone bool) []standing {
	at := []standing{isPending}
	if gone {
		at = append(at, isPaid, isUnpaid, isRejected, isDisputed)
	}
	for _, maybe := range []bool{false, true} {
		for _, r := range rs {
			if !r.counts(d) || r.maybe != maybe {
				continue
			}
			said := answers[r.Status]
			after := slices.Clone(at)
			if !maybe {
				after = slices.DeleteFunc(after, func(s standing) bool { return weight[s] < weight[said] })
			}
			if slices.ContainsFunc(at, func(s standing) bool { return weight[s] <= weight[said] }) &&
				!slices.Contains(after, said) {
				after = append(after, said)
			}
			at = after
		}
	}
	return at
}

// stands is how the collections' history says that each debit stands.
func (b *books) stands() map[string]standing {
	at := map[string]standing{}
	for _, e := range b.collections {
		id, now := e.Change.DebitID, facts[e.Change.Kind]
		if now != "" && (now != isPending || at[id] == "") {
			at[id] = now
		}
	}
	return at
}

// restsOnGone tells that a debit does not stand as the results that are left say, and may stand so by others that were
// removed from Kafka.
func (b *books) restsOnGone(d *event, want []standing, have standing) bool {
	return b.gone[schemas.TopicRailResults] && !slices.Contains(want, have) &&
		slices.Contains(standings(d, b.results[d.DebitID], true), have)
}

// resultsApplied derives each debit's standing from what the bank sent, and compares.
func (b *books) resultsApplied(c *Check) {
	at := b.stands()
	for _, d := range b.debits {
		c.Counted++
		want := standings(d, b.results[d.DebitID], false)
		have := at[d.DebitID]
		switch {
		case b.restsOnGone(d, want, have):
			c.Unchecked++
		case slices.Contains(want, have):
			if len(want) > 1 {
				c.InTransit++
			}
		default:
			c.missing(have == "" && d.fresh, "debit %s of %s is %q; what the bank said makes it %v", d.DebitID, d.Amount, have,
				want)
		}
	}
	used := map[string]bool{}
	for _, e := range b.collections {
		id := e.Change.ResultID
		if id == "" {
			continue
		}
		sent := slices.ContainsFunc(b.results[e.Change.DebitID], func(r *result) bool { return r.ResultID == id })
		if gone := b.gone[schemas.TopicRailResults]; gone && !sent {
			c.Unchecked++
		} else {
			c.must(sent, "collection %s version %d rests on result %s, which the bank never sent for debit %s", e.Collection,
				e.Version, id, e.Change.DebitID)
		}
		key := e.Change.DebitID + "/" + id
		c.must(!used[key], "collection %s version %d applies result %s a second time", e.Collection, e.Version, id)
		used[key] = true
	}
}

// clearing balances what the bank was told against what the bank said of it, and against the collections' own figures.
func (b *books) clearing(c *Check) {
	at := b.stands()
	sums := map[standing]cents{} // by what the bank made of the debits
	var told, pending, collected, transit cents
	for _, d := range b.debits {
		c.Counted++
		told += d.Amount
		want := standings(d, b.results[d.DebitID], false)
		now := want[0]
		if have := at[d.DebitID]; b.restsOnGone(d, want, have) {
			now = have
			c.Unchecked++
		} else if slices.Contains(want, have) {
			now = have
		} else if have == "" && d.fresh {
			transit += d.Amount
			c.InTransit++
			continue
		}
		sums[now] += d.Amount
	}
	for _, e := range last(b.collections, collectionID) {
		pending += e.InFlight
		collected += e.Collected
	}
	succeeded, failed, taken := sums[isPaid], sums[isUnpaid]+sums[isRejected], sums[isDisputed]
	rest := told - succeeded - failed - taken - pending - transit
	c.must(rest == 0, "instructed %s - succeeded %s - failed %s - disputed %s - pending %s = %s", told, succeeded, failed,
		taken, pending, rest)
	c.must(collected == succeeded, "collections hold %s, the bank paid %s: difference %s", collected, succeeded,
		collected-succeeded)
}
