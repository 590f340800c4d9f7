package strategy

import (
	"github.com/cespare/xxhash/v2"

	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/schemas"
)

// onFixedSchedule tells whether the customer is one of the share that is collected from on the planned day, whatever is
// known: by a hash of the customer's id, so that it is the same customers each month. Nobody on a social grant is among
// them, whom a debit of the planned day would harm.
func (c *cutoff) onFixedSchedule() bool {
	of := c.Params.HoldoutPercent
	return of > 0 && xxhash.Sum64String("holdout:"+schemas.CustomerKey(c.Tenant, c.ID))%100 < uint64(of) && !c.protected()
}

// fixedSchedule makes one debit on the planned day, at the latest on the period's last banking day.
func (c *cutoff) fixedSchedule(k *book.Collection, most schemas.Cents) Ruling {
	switch day := min(k.Plan, c.LastBanking); {
	case k.Attempts > 0 || k.Period < c.Period:
		return Ruling{Reason: WhyScheduleDone}
	case c.Today < day:
		return Ruling{Reason: WhyAwaitFirstAttempt, Next: day}
	}
	return Ruling{Reason: WhyFixedSchedule, Amount: most, Blind: true}
}
