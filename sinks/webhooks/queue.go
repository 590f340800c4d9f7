package webhooks

import (
	"container/heap"
	"encoding/json"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// delivery is one that waits, or is under way.
type delivery struct {
	schemas.WebhookDelivery
	offset int64
	due    time.Time
	at     int  // its place among those that are due; -1 where it is not there
	whole  bool // the last attempt failed of the webhook, not of this delivery
	again  bool // it was asked for again while it was under way
	busy   bool
	gone   bool // it does not wait any more
}

func decode(r *kgo.Record, d *schemas.WebhookDelivery) bool {
	return json.Unmarshal(r.Value, d) == nil && d.DeliveryID != ""
}

// tried notes an attempt: delivered, to be tried again after a pause, or failed for good.
func (d *delivery) tried(out outcome, now time.Time, pauses []time.Duration, patience time.Duration) {
	d.Attempts++
	d.StatusCode, d.Error, d.NextAttemptAt, d.whole = out.status, out.why, "", out.whole
	d.At = now.UTC().Truncate(time.Millisecond)
	last := d.Since.Add(patience)
	switch {
	case out.delivered:
		d.Status = schemas.DeliveryDelivered
	case !now.Before(last):
		d.Status = schemas.DeliveryFailed
	default:
		d.Status = schemas.DeliveryRetrying
		d.due = now.Add(max(out.after, pauses[min(d.Attempts, len(pauses))-1]))
		if d.due.After(last) {
			d.due = last // once more at the very end
		}
		d.NextAttemptAt = d.due.UTC().Format(time.RFC3339)
	}
}

// change is how the delivery stands, as its topic has it. The first change has the payload.
func (d *delivery) change() schemas.WebhookDelivery {
	change := d.WebhookDelivery
	change.Payload = ""
	return change
}

// queue is the deliveries of one webhook that wait: a line for each object, of which the first is due at some time. It
// also knows whether the webhook as a whole fails: then one attempt at a time is made, after growing pauses.
type queue struct {
	pauses   []time.Duration
	patience time.Duration

	read  int64 // offset after the last record that was read
	order []*delivery
	dead  int // in order
	byID  map[string]*delivery
	lines map[string][]*delivery
	dues  dues
	busy  int

	failures int       // of the webhook as a whole, in a row
	asked    int       // how often it was asked since it fails
	opens    time.Time // when the next attempt is made, while it fails
}

const (
	// failsAfter is how many failures in a row, of different attempts, say that it is the webhook that fails.
	failsAfter = 3
	// opensMost bounds the pause between two attempts of a webhook that fails.
	opensMost = time.Minute
)

func newQueue(at int64, pauses []time.Duration, patience time.Duration) queue {
	return queue{
		pauses: pauses, patience: patience, read: at, byID: map[string]*delivery{}, lines: map[string][]*delivery{},
	}
}

// add lets a delivery wait until it is due, and those of its object before it are through. One that waits already is
// tried anew.
func (q *queue) add(offset int64, d schemas.WebhookDelivery, due time.Time) {
	if was := q.byID[d.DeliveryID]; was != nil {
		q.anew(was, d.Since, due)
		return
	}
	last := &delivery{WebhookDelivery: d, offset: offset, due: due, at: -1}
	q.order, q.byID[d.DeliveryID] = append(q.order, last), last
	q.lines[d.ObjectID] = append(q.lines[d.ObjectID], last)
	if len(q.lines[d.ObjectID]) == 1 {
		q.dues.put(last)
	}
}

// anew lets a delivery be tried from the beginning.
func (q *queue) anew(d *delivery, since, due time.Time) {
	if d.busy {
		d.again = true // its attempt may be the one that does it
		return
	}
	d.Since, d.Attempts, d.due, d.again = since, 0, due, false
	if d.at >= 0 {
		q.dues.put(d)
	}
}

// answersAgain lets what failed of the webhook as a whole be tried now.
func (q *queue) answersAgain(now time.Time) {
	q.failures, q.asked = 0, 0
	for _, line := range q.lines {
		if first := line[0]; first.at >= 0 && first.whole { // another's may be under way
			first.due, first.whole = now, false
			heap.Fix(&q.dues, first.at)
		}
	}
}

// pick takes the next delivery that is to be tried now; nil where there is none.
func (q *queue) pick(now time.Time) *delivery {
	down := q.failures >= failsAfter
	if len(q.dues) == 0 || q.dues[0].due.After(now) || q.busy >= parallel ||
		down && (q.busy > 0 || q.opens.After(now)) {
		return nil
	}
	d := heap.Pop(&q.dues).(*delivery)
	d.busy = true
	q.busy++
	return d
}

// wakes is when pick may find something, if nothing else happens before.
func (q *queue) wakes(now time.Time) time.Time {
	if len(q.dues) == 0 || q.busy >= parallel {
		return now.Add(time.Hour)
	}
	at := q.dues[0].due
	if q.failures >= failsAfter {
		if q.busy > 0 {
			return now.Add(time.Hour)
		}
		if q.opens.After(at) {
			at = q.opens
		}
	}
	return at
}

// putBack takes back an attempt whose outcome nobody knows.
func (q *queue) putBack(d *delivery) {
	d.busy = false
	q.busy--
}

// ended notes the outcome of an attempt.
func (q *queue) ended(d *delivery, out outcome, now time.Time) {
	q.putBack(d)
	switch {
	case out.whole:
		q.failures++
		if q.failures >= failsAfter && q.busy == 0 { // else others are under way, which count as one
			q.opens = now.Add(min(opensMost, q.pauses[min(q.asked, len(q.pauses)-1)]))
			q.asked++
		}
	case q.failures > 0:
		q.answersAgain(now)
	}
	if d.Status != schemas.DeliveryRetrying {
		q.remove(d)
		return
	}
	if d.again {
		q.anew(d, now, now)
	}
	q.dues.put(d)
}

// remove takes a delivery out, and lets the next one of its object follow.
func (q *queue) remove(d *delivery) {
	d.gone, d.Payload = true, ""
	delete(q.byID, d.DeliveryID)
	line := q.lines[d.ObjectID]
	for i := range line {
		if line[i] == d {
			line = append(line[:i:i], line[i+1:]...)
			break
		}
	}
	if len(line) == 0 {
		delete(q.lines, d.ObjectID)
	} else {
		q.lines[d.ObjectID] = line
	}
	q.dues.drop(d)
	if len(line) > 0 && !line[0].busy && line[0].at < 0 {
		q.dues.put(line[0])
	}
	q.dead++
	for len(q.order) > 0 && q.order[0].gone {
		q.order = q.order[1:]
		q.dead--
	}
	if q.dead > len(q.order)/2+1000 {
		live := make([]*delivery, 0, len(q.order)-q.dead)
		for _, d := range q.order {
			if !d.gone {
				live = append(live, d)
			}
		}
		q.order, q.dead = live, 0
	}
}

// expired are the deliveries that have waited for as long as may be and are not under way. Each was due at its end, but
// others stood before it.
func (q *queue) expired(now time.Time) (list []*delivery) {
	for _, d := range q.order {
		if !d.gone && !d.busy && !now.Before(d.Since.Add(q.patience+expiredGrace)) {
			list = append(list, d)
		}
	}
	return list
}

// expiredGrace lets the last attempt come first.
const expiredGrace = time.Minute

// mark is the offset before which nothing waits.
func (q *queue) mark() int64 {
	if len(q.order) > 0 {
		return q.order[0].offset
	}
	return q.read
}

func (q *queue) waiting() int { return len(q.byID) }

// oldest is when the oldest delivery that waits was asked for; zero where none waits.
func (q *queue) oldest() time.Time {
	if len(q.order) > 0 {
		return q.order[0].Since
	}
	return time.Time{}
}

// dues are the first ones of the objects' lines that are not under way, the earliest first.
type dues []*delivery

func (h dues) Len() int           { return len(h) }
func (h dues) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h dues) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push implements heap.Interface.
func (h *dues) Push(x any) {
	d := x.(*delivery)
	d.at = len(*h)
	*h = append(*h, d)
}

// Pop implements heap.Interface.
func (h *dues) Pop() any {
	last := len(*h) - 1
	d := (*h)[last]
	(*h)[last], *h, d.at = nil, (*h)[:last], -1
	return d
}

// put adds a delivery, or moves it to where its time puts it.
func (h *dues) put(d *delivery) {
	if d.at >= 0 {
		heap.Fix(h, d.at)
		return
	}
	heap.Push(h, d)
}

// drop takes a delivery out where it is there.
func (h *dues) drop(d *delivery) {
	if d.at >= 0 {
		heap.Remove(h, d.at)
	}
}
