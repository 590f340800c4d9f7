package book

import "github.com/kasi-collections/kasi/schemas"

// Execution makes the collections of one period for all active policies of the customer, where they are missing. It
// answers with counts, not with outcomes: a million policies are one command.
func (b *Book) Execution(cmd *schemas.ExecutionCommand) error {
	if err := b.claim(cmd.TenantID, b.ID); err != nil {
		return err
	}
	now := schemas.PeriodOf(b.moment.BusinessDate())
	b.Prune(now) // so that when pruning ran last makes no difference to the answer
	counts := &b.out.Execution
	for i := range b.Policies {
		pol := &b.Policies[i]
		switch {
		case pol.Status != schemas.PolicyActive:
		case b.Collections.Find(pol.Number, cmd.PeriodMonth) != nil:
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

// collect makes the collection of a policy for a period, with the premium as it is now.
func (b *Book) collect(pol *Policy, period schemas.Period, execution string) {
	k := b.insert(Collection{
		Number: pol.Number, Period: period, Execution: execution, Due: pol.Premium, Plan: b.plan(period, pol),
	})
	b.lookAgain()
	b.collectionChanged(k, schemas.Change{Kind: schemas.ChangeCreated})
}
