package verify

import (
	"slices"
	"time"

	"github.com/rickar/cal/v2"
	"github.com/rickar/cal/v2/za"
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
	days := disputeDays
	if r.Effective >= disputeNewFrom {
		days = disputeDaysNew
	}
	changed := bk
	switch {
	case bk.at == isPending:
		return []book{{answers[r.Status], r.Effective}}
	case bk.at == isPaid && r.Status == "UNPAID" && r.Effective > bk.paidOn &&
		bankingDays(bk.paidOn, r.Effective, lateBankingDays) <= lateBankingDays:
		changed = book{at: isUnpaid}
	case bk.at == isPaid && r.Status == "DISPUTED" && r.Effective <= addDays(d.ActionDate, days):
		changed = book{at: isDisputed}
	}
	if forgotten && changed != bk {
		return []book{changed, bk}
	}
	return []book{changed}
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
		id, now := e.Change.DebitID, facts[e.Change.Kind]
		if now != "" && (now != isPending || at[id] == "") {
			at[id] = now
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
		c.must(sent, "collection %s version %d rests on result %s, which the bank never sent for debit %s", e.Collection,
			e.Version, id, e.Change.DebitID)
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
		want := standings(d, b.results[d.DebitID], b.today)
		now := want[0]
		if have := at[d.DebitID]; slices.Contains(want, have) {
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

// proclaimed are the holidays that no rule gives.
var proclaimed = []string{"2021-11-01", "2023-12-15", "2024-05-29"}

// bankingDays counts the banking days after a, up to and including b (both YYYY-MM-DD), and stops counting beyond most.
func bankingDays(a, b string, most int) int {
	from, err1 := time.Parse(time.DateOnly, a)
	to, err2 := time.Parse(time.DateOnly, b)
	if err1 != nil || err2 != nil {
		return most + 1
	}
	n := 0
	for d := from.AddDate(0, 0, 1); !d.After(to) && n <= most; d = d.AddDate(0, 0, 1) {
		if banking(d) {
			n++
		}
	}
	return n
}

func banking(d time.Time) bool {
	day := d.Format(time.DateOnly)
	if d.Weekday() == time.Saturday || d.Weekday() == time.Sunday || slices.Contains(proclaimed, day) {
		return false
	}
	return !slices.ContainsFunc(za.Holidays, func(h *cal.Holiday) bool {
		actual, observed := h.Calc(d.Year())
		return day == actual.Format(time.DateOnly) || day == observed.Format(time.DateOnly)
	})
}
