package book

import (
	"slices"

	"github.com/kasi-collections/kasi/schemas"
)

// Execution makes the collections of one period for all active policies of the customer, where they are missing, or
// takes back those of an earlier execution. It answers with counts, not with outcomes: a million policies are one
// command.
func (b *Book) Execution(cmd *schemas.ExecutionCommand) error {
	if err := b.claim(cmd.TenantID, b.ID); err != nil {
		return err
	}
	now := schemas.PeriodOf(b.moment.BusinessDate())
	b.Prune(now) // so that when pruning ran last makes no difference to the answer
	if cmd.Voids != "" {
		b.void(cmd.Voids)
		return nil
	}
	counts := &b.out.Execution
	for i := range b.Policies {
		pol := &b.Policies[i]
		is := b.Collections.Find(pol.Number, cmd.PeriodMonth)
		switch {
		case pol.Status != schemas.PolicyActive:
		case is != nil && !is.Voided:
			counts.Unchanged++
		case cmd.PeriodMonth < now:
			counts.Refused++
		default:
			b.collect(pol, cmd.PeriodMonth, cmd.ExecutionID)
			counts.CollectionsCreated++
		}
	}
	return nil
}

// collect makes the collection of a policy for a period, with the premium as it is now. One that was voided is made
// again: its versions and decisions are counted on.
func (b *Book) collect(pol *Policy, period schemas.Period, execution string) {
	b.lookAgain()
	if b.Collections.Find(pol.Number, period) == nil {
		k := b.insert(Collection{
			Number: pol.Number, Period: period, Execution: execution, Due: pol.Premium, Plan: b.plan(period, pol),
		})
		b.collectionChanged(k, schemas.Change{Kind: schemas.ChangeCreated})
		return
	}
	k := b.replan(pol, period)
	k.Execution, k.Due, k.Voided, k.Cancelled, k.Closed = execution, pol.Premium, false, false, false
	b.collectionChanged(k, schemas.Change{Kind: schemas.ChangeReactivated})
}

// replan gives a collection that was never tried the planned day of its policy as it is now, and with it its place.
func (b *Book) replan(pol *Policy, period schemas.Period) *Collection {
	k := b.Collections.Find(pol.Number, period)
	plan := b.plan(period, pol)
	if k.Plan == plan {
		return k
	}
	moved := *k
	moved.Plan = plan
	b.Collections = slices.DeleteFunc(b.Collections, func(o Collection) bool {
		return o.Period == period && o.Number == pol.Number
	})
	b.lookAgain()
	return b.insert(moved)
}

// void takes back the collections of an execution that nothing was tried for.
func (b *Book) void(execution string) {
	for i := range b.Collections {
		if k := &b.Collections[i]; k.Execution == execution && k.Attempts == 0 && !k.Voided {
			k.Voided = true
			b.lookAgain()
			b.collectionChanged(k, schemas.Change{Kind: schemas.ChangeVoided})
			b.out.Execution.Voided++
		}
	}
}
