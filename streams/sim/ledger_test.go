package sim

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	"github.com/kasi-collections/kasi/schemas"
)

// ledger is what ClickHouse is to the settle stage: the movements of kasi.collections.v1 that have arrived. It is away
// now and then.
type ledger struct {
	mu      sync.Mutex
	reader  *reader
	weather *weather // nil: never away
}

var errAway = errors.New("sim: the ledger is away")

func (l *ledger) look(ctx context.Context) error {
	if l.weather != nil && l.weather.strikes("ledger", "ledger away", 150) {
		return errAway
	}
	if l.weather == nil {
		return nil // holds all there is
	}
	return l.reader.poll(ctx)
}

// Sum implements streams.Ledger.
func (l *ledger) Sum(ctx context.Context, tenant string, period schemas.Period,
	cov []schemas.Coverage,
) (schemas.LedgerSums, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var sums schemas.LedgerSums
	if err := l.look(ctx); err != nil {
		return sums, err
	}
	for _, c := range cov {
		for at, records := range l.reader.log {
			p := at.partition
			if at.topic != schemas.TopicCollections {
				continue
			}
			if l.weather != nil && int64(len(records)) < c.To[p]-1 { // seq is dense
				return sums, errors.New("sim: the ledger has not come so far")
			}
			for _, rec := range records {
				var ev schemas.CollectionEvent
				if err := json.Unmarshal(rec.Value, &ev); err != nil {
					return sums, err
				}
				if ev.Seq < c.From[p] || ev.Seq >= c.To[p] {
					continue
				}
				if ev.TenantID != tenant || ev.PeriodMonth != c.Period || ev.Change.MovedCents == 0 {
					continue
				}
				sums.Movements++
				sums.TotalCents += ev.Change.MovedCents
				if c.Period != period {
					sums.AdjustmentsCents += ev.Change.MovedCents
				}
			}
		}
	}
	return sums, nil
}

// HasCollections implements streams.Ledger.
func (l *ledger) HasCollections(ctx context.Context, tenant string, period schemas.Period, cut []int64) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.look(ctx); err != nil {
		return false, err
	}
	for at, records := range l.reader.log {
		for _, rec := range records {
			var ev schemas.CollectionEvent
			if at.topic != schemas.TopicCollections {
				break
			}
			if err := json.Unmarshal(rec.Value, &ev); err != nil {
				return false, err
			}
			if ev.Seq >= cut[at.partition] {
				break
			}
			if ev.TenantID == tenant && ev.PeriodMonth == period {
				return true, nil
			}
		}
	}
	return false, nil
}

// cut is where a settlement asked for now ends, by partition: behind the last number that has arrived.
func (l *ledger) cut(ctx context.Context, partitions int32) ([]int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	cut := make([]int64, partitions)
	err := l.reader.poll(ctx)
	for p := range cut {
		cut[p] = int64(len(l.reader.log[place{schemas.TopicCollections, int32(p)}])) + 1 // seq is dense
	}
	return cut, err
}
