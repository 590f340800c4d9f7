package sim

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	"github.com/kasi-collections/kasi/schemas"
)

// ledger is what ClickHouse is to the settle stage: the movements of kasi.collections.v1 that have arrived. It is away now and then.
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
func (l *ledger) Sum(ctx context.Context, tenant string, period schemas.Period, cov []schemas.Coverage) (schemas.LedgerSums, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var sums schemas.LedgerSums
	if err := l.look(ctx); err != nil {
		return sums, err
	}
	for _, c := range cov {
		for _, at := range l.reader.places {
			p, records := at.partition, l.reader.log[at]
			if at.topic != schemas.TopicCollections {
				continue
			}
			if int64(len(records))+1 < c.To[p] {
				return sums, errors.New("sim: the ledger has not come so far")
			}
			for i, rec := range records {
				var ev schemas.CollectionEvent
				if seq := int64(i) + 1; seq < c.From[p] || seq >= c.To[p] { // seq is dense; the oracle sees to that
					continue
				}
				if err := json.Unmarshal(rec.Value, &ev); err != nil {
					return sums, err
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
		for i, rec := range records {
			var ev schemas.CollectionEvent
			if at.topic != schemas.TopicCollections || int64(i)+1 >= cut[at.partition] {
				break
			}
			if err := json.Unmarshal(rec.Value, &ev); err != nil {
				return false, err
			}
			if ev.TenantID == tenant && ev.PeriodMonth == period {
				return true, nil
			}
		}
	}
	return false, nil
}
