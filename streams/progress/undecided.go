package progress

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kasi-collections/kasi/streams/retry"
)

// Undecided is a transaction that is neither committed nor aborted: nobody who reads committed records gets past its
// first one. Most are decided in a moment. One whose markers a broker has lost, or whose producer is gone and had asked
// for a long time-out, stays.
type Undecided struct {
	Place
	// Offset is its first record's.
	Offset int64
	// Producer and Epoch name the producer's session to the brokers.
	Producer int64
	Epoch    int16
	// Since is the timestamp of its producer's last record there.
	Since time.Time
	// Coordinator is the epoch of the coordinator that wrote the producer's last marker there, negative where none has.
	Coordinator int32
}

// String says what it is.
func (u Undecided) String() string {
	return fmt.Sprintf("%s partition %d: the transaction of producer %d (epoch %d) that begins at offset %d is undecided "+
		"since %s, and nobody reads past it", u.Topic, u.Partition, u.Producer, u.Epoch, u.Offset,
		u.Since.UTC().Format(time.RFC3339))
}

// WayOut says what an operator can do about a transaction of which no more than v is known.
func (u Undecided) WayOut(v Verdict) string {
	switch v.Outcome {
	case Committed, Aborted:
		return fmt.Sprintf("it was %s (%s): kasi kafka undecided --end", v.Outcome, v.Why)
	case Running:
		return fmt.Sprintf("it is its producer's to end (%s); where that is gone for good: kafka-transactions.sh "+
			"--bootstrap-server BROKER forceTerminateTransaction --transactional-id ID", v.Why)
	}
	why := strings.TrimSpace(string(v.Outcome) + " " + v.Why)
	return fmt.Sprintf("nothing proves how it ended (%s): kasi kafka undecided --end --topic %s --partition %d --as "+
		"committed, where its records count; with --as aborted they never will", why, u.Topic, u.Partition)
}

// Undecided are the transactions that hold back readers of the topics now, the first of each partition, in the order of
// their places; of OffsetsTopic as far as we may look.
func (g *Tracker) Undecided(ctx context.Context, topics ...string) ([]Undecided, error) {
	i := slices.Index(topics, OffsetsTopic)
	if i < 0 {
		return g.undecided(ctx, topics)
	}
	all, err := g.undecided(ctx, slices.Delete(slices.Clone(topics), i, i+1))
	if err != nil {
		return nil, err
	}
	of, err := g.undecided(ctx, []string{OffsetsTopic})
	if err != nil { // no group has committed yet, or we may not look
		return all, nil //nolint:nilerr // the others are what was asked for
	}
	return append(of, all...), nil
}

func (g *Tracker) undecided(ctx context.Context, topics []string) ([]Undecided, error) {
	if len(topics) == 0 {
		return nil, nil
	}
	stable, err := g.Ends(ctx, true, topics...)
	if err != nil {
		return nil, err
	}
	ends, err := g.Ends(ctx, false, topics...)
	if err != nil {
		return nil, err
	}
	held := kadm.TopicsSet{}
	for at, end := range ends {
		if stable[at] < end {
			held.Add(at.Topic, at.Partition)
		}
	}
	if len(held) == 0 {
		return nil, nil
	}
	described, err := g.Admin.DescribeProducers(ctx, held)
	if err != nil {
		return nil, fmt.Errorf("producers of undecided transactions: %w", err)
	}
	var all []Undecided
	for _, p := range described.SortedPartitions() {
		var first *kadm.DescribedProducer
		for _, of := range p.ActiveProducers.Sorted() {
			if of.CurrentTxnStartOffset >= 0 && (first == nil || of.CurrentTxnStartOffset < first.CurrentTxnStartOffset) {
				first = &of
			}
		}
		if first != nil {
			all = append(all, Undecided{
				Place: Place{p.Topic, p.Partition}, Offset: first.CurrentTxnStartOffset, Producer: first.ProducerID,
				Epoch: first.ProducerEpoch, Since: time.UnixMilli(first.LastTimestamp).UTC(),
				Coordinator: first.CoordinatorEpoch,
			})
		}
	}
	return all, nil
}

// WatchUndecided looks at the topics every so often until ctx ends. Of each transaction that has held back readers for
// longer than patience it calls look, again after growing pauses, and tells what look says of it, where that is news;
// an empty text says that it holds them back no more. A broker that does not answer is asked again.
func (g *Tracker) WatchUndecided(ctx context.Context, every, patience time.Duration, topics []string,
	look func(context.Context, Undecided) string, tell func(u Undecided, text string),
) {
	known := map[Undecided]*watched{}
	for retry.Pause(ctx, every) == nil {
		now, err := g.Undecided(ctx, topics...)
		if err != nil {
			continue
		}
		for _, u := range now {
			k := known[u]
			if k == nil {
				k = &watched{next: time.Now().Add(patience), pause: every}
				known[u] = k
			}
			if time.Now().Before(k.next) {
				continue
			}
			if text := look(ctx, u); text != k.text && ctx.Err() == nil {
				k.text = text
				tell(u, text)
			}
			k.pause *= 2
			k.next = time.Now().Add(k.pause)
		}
		for u, k := range known {
			if !slices.Contains(now, u) {
				delete(known, u)
				if k.text != "" {
					tell(u, "")
				}
			}
		}
	}
}

// watched is a transaction that WatchUndecided knows of.
type watched struct {
	next  time.Time // when to look at it again
	pause time.Duration
	text  string // what was told
}
