package verify

import (
	"slices"
	"time"
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

// The rules of CONTRACT 4.8 and 4.9 that decide what an answer after the first one does: an unpaid may come up to four
// banking days late on every rail, and a debit may be disputed for 40 days, 60 from 13 April 2026.
const (
	lateBankingDays = 4
	disputeDays     = 40
	disputeDaysNew  = 60
	disputeNewFrom  = "2026-04-13"
)

// book is a debit while its answers are gone through.
type book struct {
	at     standing
	paidOn string
}

// answer is what one result makes of a debit (CONTRACT 4.3, 4.9): the first final answer counts; a payment may come
// back, late or disputed, within its days; everything else changes nothing. forgotten says that the calendar is past
// the days in which a dispute counts, so it may have come too late to count.
func (bk book) answer(d *event, r *result, forgotten bool) []book {
	if r.Amount != nil && *r.Amount != d.Amount {
		return []book{bk}
	}
	switch {
	case bk.at == isPending:
		return []book{{map[string]standing{
			"PAID": isPaid, "UNPAID": isUnpaid, "REJECTED": isRejected,
			"DISPUTED": isDisputed,
		}[r.Status], r.Effective}}
	case bk.at == isPaid && r.Status == "UNPAID" && r.Effective > bk.paidOn && bankingDays(bk.paidOn, r.Effective,
		lateBankingDays) <= lateBankingDays:
		return orStays(book{at: isUnpaid}, bk, forgotten)
	case bk.at == isPaid && r.Status == "DISPUTED" && r.Effective <= addDays(d.ActionDate, window(r.Effective)):
		return orStays(book{at: isDisputed}, bk, forgotten)
	}
	return []book{bk}
}

func orStays(changed, bk book, maybe bool) []book {
	if maybe {
		return []book{changed, bk}
	}
	return []book{changed}
}

func window(effective string) int {
	if effective >= disputeNewFrom {
		return disputeDaysNew
	}
	return disputeDays
}

func addDays(date string, n int) string {
	t, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return ""
	}
	return t.AddDate(0, 0, n).Format(time.DateOnly)
}

// standings is how a debit may stand after its results. Results on one partition count in their order; how partitions
// of the outside topic mix, nobody outside can know, so each mixture is allowed. Results too young to be judged may
// have been taken in or not.
func standings(d *event, rs []*result, today string) []standing {
	lanes := map[int32][]*result{}
	var order []int32
	for _, r := range rs {
		if lanes[r.partition] == nil {
			order = append(order, r.partition)
		}
		lanes[r.partition] = append(lanes[r.partition], r)
	}
	forgotten := today > addDays(d.ActionDate, disputeDays)
	var out []standing
	seen := map[string]bool{}
	var walk func(bk book, at []int)
	walk = func(bk book, at []int) {
		key := string(bk.at) + bk.paidOn
		rest := true // nothing but young results is left
		for i, p := range order {
			key += "/" + string(rune('0'+at[i]))
			for _, r := range lanes[p][at[i]:] {
				rest = rest && r.fresh
			}
		}
		if seen[key] {
			return
		}
		seen[key] = true
		if rest && !slices.Contains(out, bk.at) {
			out = append(out, bk.at)
		}
		for i, p := range order {
			if at[i] == len(lanes[p]) {
				continue
			}
			next := slices.Clone(at)
			next[i]++
			for _, after := range bk.answer(d, lanes[p][at[i]], forgotten) {
				walk(after, next)
			}
		}
	}
	walk(book{at: isPending}, make([]int, len(order)))
	return out
}

// stands is how the collections' history says that each debit stands.
func (b *books) stands() map[string]standing {
	at := map[string]standing{}
	for _, e := range b.collections {
		switch e.Change.Kind {
		case instructed:
			if at[e.Change.DebitID] == "" {
				at[e.Change.DebitID] = isPending
			}
		case paid:
			at[e.Change.DebitID] = isPaid
		case unpaid, lateUnpaid:
			at[e.Change.DebitID] = isUnpaid
		case rejected:
			at[e.Change.DebitID] = isRejected
		case disputed, paidDisputed:
			at[e.Change.DebitID] = isDisputed
		}
	}
	return at
}

// resultsApplied derives each debit's standing from what the bank sent, and compares.
func (b *books) resultsApplied(c *Check) {
	at := b.stands()
	for _, d := range b.debits {
		c.Counted++
		want := standings(d, b.results[d.DebitID], b.today)
		have := at[d.DebitID]
		switch {
		case slices.Contains(want, have):
			if len(want) > 1 {
				c.InTransit++
			}
		case have == "" && d.fresh:
			c.InTransit++
		default:
			c.differ("debit %s of %s is %q; what the bank said makes it %v", d.DebitID, rands(d.Amount), have, want)
		}
	}
	used := map[string]bool{}
	for _, e := range b.collections {
		id := e.Change.ResultID
		if id == "" {
			continue
		}
		if !b.resultIDs[e.Change.DebitID][id] {
			c.differ("collection %s version %d rests on result %s, which the bank never sent for debit %s", e.Collection,
				e.Version, id, e.Change.DebitID)
		}
		if key := e.Change.DebitID + "/" + id; used[key] {
			c.differ("collection %s version %d applies result %s a second time", e.Collection, e.Version, id)
		} else {
			used[key] = true
		}
	}
}

// clearing balances what the bank was told against what the bank said of it, and against the collections' own figures.
func (b *books) clearing(c *Check) {
	at := b.stands()
	latest := map[string]*event{}
	for _, e := range b.collections {
		latest[e.Collection] = e
	}
	var told, succeeded, failed, taken, pending, collected, transit int64
	for _, d := range b.debits {
		c.Counted++
		told += d.Amount
		want := standings(d, b.results[d.DebitID], b.today)
		now := want[0]
		if have := at[d.DebitID]; slices.Contains(want, have) {
			now = have
		} else if have == "" && d.fresh {
			transit += d.Amount
			c.InTransit++
			continue
		}
		switch now {
		case isPaid:
			succeeded += d.Amount
		case isUnpaid, isRejected:
			failed += d.Amount
		case isDisputed:
			taken += d.Amount
		}
	}
	for _, e := range latest {
		pending += e.InFlight
		collected += e.Collected
	}
	if rest := told - succeeded - failed - taken - pending - transit; rest != 0 {
		c.differ("instructed %s - succeeded %s - failed %s - disputed %s - pending %s = %s", rands(told), rands(succeeded),
			rands(failed), rands(taken), rands(pending), rands(rest))
	}
	if collected != succeeded {
		c.differ("collections hold %s, the bank paid %s: difference %s", rands(collected), rands(succeeded),
			rands(collected-succeeded))
	}
}
