package progress

import (
	"context"
	"fmt"
	"slices"
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
	// Since is when its producer wrote its last record there.
	Since time.Time
}

// String says what it is, and what an operator can do.
func (u Undecided) String() string {
	return fmt.Sprintf("%s partition %d: the transaction of producer %d (epoch %d) that begins at offset %d is undecided "+
		"since %s, and nobody reads past it; if its producer is gone for good: kafka-transactions.sh --bootstrap-server "+
		"BROKER abort --topic %s --partition %d --start-offset %d", u.Topic, u.Partition, u.Producer, u.Epoch, u.Offset,
		u.Since.UTC().Format(time.RFC3339), u.Topic, u.Partition, u.Offset)
}

// Undecided are the transactions that hold back readers of the topics now, the first of each partition, in the order of
// their places.
func (g *Tracker) Undecided(ctx context.Context, topics ...string) ([]Undecided, error) {
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
				Epoch: first.ProducerEpoch, Since: time.UnixMilli(first.LastTimestamp),
			})
		}
	}
	return all, nil
}

// WatchUndecided looks at the topics every so often until ctx ends, and tells of each transaction that has held back
// readers for longer than patience, once; over tells that it holds them back no more. A broker that does not answer is
// asked again.
func (g *Tracker) WatchUndecided(ctx context.Context, every, patience time.Duration, topics []string,
	tell func(u Undecided, over bool),
) {
	type seen struct {
		first time.Time
		told  bool
	}
	known := map[Undecided]seen{}
	for retry.Pause(ctx, every) == nil {
		now, err := g.Undecided(ctx, topics...)
		if err != nil {
			continue
		}
		for i := range now {
			now[i].Since = now[i].Since.UTC()
			k, before := known[now[i]]
			if !before {
				k.first = time.Now()
			}
			if !k.told && time.Since(k.first) > patience {
				k.told = true
				tell(now[i], false)
			}
			known[now[i]] = k
		}
		for u, k := range known {
			if !slices.Contains(now, u) {
				delete(known, u)
				if k.told {
					tell(u, true)
				}
			}
		}
	}
}
