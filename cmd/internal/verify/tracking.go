package verify

import "time"

// trackingDays is for how many days after its action date the bank may present a debit of a rail until it is paid
// (CONTRACT 4.8). A rail that is not here tracks nothing.
var trackingDays = map[string]int{"DEBICHECK": 10, "RM": 10}

// lastDay is the last day on which the bank may present a debit.
func (e *event) lastDay() string { return max(e.ActionDate, e.TrackingUntil) }

// tracked checks that each debit is tracked for no longer than its rail allows, within the month, and that nobody
// missed its answer before its days were over. That it stays in flight until its answer is what the other checks find.
func (b *books) tracked(c *Check) {
	told := last(b.debits, debitID)
	for _, d := range b.debits {
		c.Counted++
		if d.TrackingUntil == "" {
			continue
		}
		until, err := time.Parse(time.DateOnly, d.TrackingUntil)
		weekend := err == nil && (until.Weekday() == time.Saturday || until.Weekday() == time.Sunday)
		c.must(d.TrackingUntil > d.ActionDate && d.TrackingUntil <= addDays(d.ActionDate, trackingDays[d.Rail]),
			"debit %s of %s is tracked until %s on %s, which allows %d days", d.DebitID, d.ActionDate, d.TrackingUntil, d.Rail,
			trackingDays[d.Rail])
		c.must(err == nil && !weekend && d.TrackingUntil[:7] == d.ActionDate[:min(7, len(d.ActionDate))],
			"debit %s of %s is tracked until %s: no banking day of that month", d.DebitID, d.ActionDate, d.TrackingUntil)
		c.must(len(b.said(d)) <= 1, "debit %s is tracked until %s and was answered on %v: it has one result", d.DebitID,
			d.TrackingUntil, b.said(d))
	}
	for _, item := range b.items {
		if d := told[item.DebitID]; d != nil && item.Kind == noAnswer {
			c.must(item.Since > d.lastDay(), "debit %s: its answer was missed on %s, and the bank presents it until %s",
				item.DebitID, item.Since, d.lastDay())
		}
	}
}

// said are the dates within a debit's tracking on which the bank said that there is no money. It may say it once: what
// it finds on the days between is no result.
func (b *books) said(d *event) (dates []string) {
	seen := map[string]bool{}
	for _, r := range b.results[d.DebitID] {
		if r.Status == "UNPAID" && !r.maybe && r.counts(d) && r.Effective <= d.TrackingUntil && !seen[r.Effective] {
			seen[r.Effective] = true
			dates = append(dates, r.Effective)
		}
	}
	return dates
}
