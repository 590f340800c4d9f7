package book

import (
	"fmt"
	"slices"

	"github.com/segmentio/encoding/json"

	"github.com/kasi-collections/kasi/schemas"
)

// moved is what goes from one customer to another: a policy as it shall be, and its collections of periods that are not
// over. None of them was ever tried.
type moved struct {
	Policy      Policy       `json:"p"`
	Collections []Collection `json:"k,omitempty"`
}

// Move carries out one half of a policy's way to another customer: the customer that has it lets go of it, or the other
// one takes it over. A policy that was ever debited stays where its debits are.
func (b *Book) Move(cmd *schemas.MoveCommand) error {
	if err := b.claim(cmd.TenantID, cmd.At()); err != nil {
		return err
	}
	if cmd.Moved != nil {
		return b.adopt(cmd)
	}
	return b.release(cmd)
}

// release answers with an outcome only where it refuses: the customer that takes the policy over says that it is done.
func (b *Book) release(cmd *schemas.MoveCommand) error {
	now, refusal := b.releasable(&cmd.PolicyCommand)
	if refusal != nil {
		b.outcome(schemas.OutcomeEvent{
			RequestID: cmd.RequestID, TenantID: cmd.TenantID, Row: cmd.Row, Line: cmd.Line, PolicyNumber: cmd.PolicyNumber,
			ObjectID: schemas.PolicyID(cmd.TenantID, cmd.PolicyNumber), Code: refusal.code, Message: refusal.message,
		})
		b.out.Moves = append(b.out.Moves, movedBy(cmd, nil))
		return nil
	}
	gone := moved{Policy: now}
	period := schemas.PeriodOf(b.moment.BusinessDate())
	for k := range b.Collections.Of(cmd.PolicyNumber) {
		if k.Period < period {
			continue
		}
		again := !k.Voided
		if again {
			k.Voided = true
			b.collectionChanged(k, schemas.Change{Kind: schemas.ChangeVoided})
		}
		left := *k
		left.Voided, left.Decided = !again, Decided{}
		gone.Collections = append(gone.Collections, left)
	}
	value, err := json.Marshal(&gone)
	if err != nil {
		return fmt.Errorf("book: a policy that moves: %w", err)
	}
	b.out.Moves = append(b.out.Moves, movedBy(cmd, value))
	b.Policies = slices.DeleteFunc(b.Policies, func(p Policy) bool { return p.Number == cmd.PolicyNumber })
	b.Collections = slices.DeleteFunc(b.Collections, func(k Collection) bool { return k.Number == cmd.PolicyNumber })
	b.lookAgain()
	return nil
}

// movedBy is the answer to the command: what was let go of, or that nothing was.
func movedBy(cmd *schemas.MoveCommand, value []byte) schemas.MoveCommand {
	answer := *cmd
	answer.Moved, answer.Refused = value, value == nil
	return answer
}

// releasable is the policy as the command wants it, or why the customer keeps it.
func (b *Book) releasable(cmd *schemas.PolicyCommand) (Policy, *refused) {
	was := b.Policies.Find(cmd.PolicyNumber)
	now, refusal := b.policyAfter(was, cmd)
	if refusal != nil && refusal.code == schemas.OutcomeUnchanged {
		now, refusal = *was, nil
	}
	switch {
	case refusal != nil:
		return now, refusal
	case b.debited(cmd.PolicyNumber):
		return now, conflict("it has been debited, so it stays with customer " + b.ID + "; cancel it and make one under a " +
			"new policy number for the other customer")
	case was.Status == schemas.PolicyCancelled && now.Status == schemas.PolicyCancelled:
		return now, b.whyCancelled(was)
	}
	return now, nil
}

// debited tells whether a debit of the policy was ever sent.
func (b *Book) debited(number string) bool {
	for k := range b.Collections.Of(number) {
		if k.Attempts > 0 {
			return true
		}
	}
	return b.Past.Find(number) != nil
}

// adopt makes the policy the customer's, with the collections of periods that are not over. Their versions and
// decisions are counted on, since ids are made of them.
func (b *Book) adopt(cmd *schemas.MoveCommand) error {
	var gone moved
	if err := json.Unmarshal(cmd.Moved, &gone); err != nil {
		return fmt.Errorf("book: a policy that moves: %w", err)
	}
	if gone.Policy.Number != cmd.PolicyNumber || b.Policies.Find(cmd.PolicyNumber) != nil {
		return fmt.Errorf("book: policy %q cannot come to a customer who has it, or as %q", cmd.PolicyNumber,
			gone.Policy.Number)
	}
	b.own(cmd.TenantID, cmd.CustomerID)
	b.lookAgain()
	i, _ := search(b.Policies, func(p *Policy) int { return byNumber(p, &gone.Policy) })
	b.Policies = slices.Insert(b.Policies, i, gone.Policy)
	pol := &b.Policies[i]
	b.policyChanged(pol, &cmd.PolicyCommand)
	period := schemas.PeriodOf(b.moment.BusinessDate())
	for _, k := range gone.Collections {
		if k.Period >= period {
			b.takeOver(k, pol, period)
		}
	}
	b.outcome(schemas.OutcomeEvent{
		RequestID: cmd.RequestID, TenantID: cmd.TenantID, Row: cmd.Row, Line: cmd.Line, PolicyNumber: cmd.PolicyNumber,
		ObjectID: schemas.PolicyID(cmd.TenantID, cmd.PolicyNumber), Code: schemas.OutcomeOK, Version: pol.Version,
	})
	return nil
}

// takeOver makes a collection of a policy that came. Its amount is that of its beginning, or the policy's where its
// period has not begun. One that was taken back with its execution stays so.
func (b *Book) takeOver(k Collection, pol *Policy, now schemas.Period) {
	k.Plan, k.Closed, k.Cancelled = b.plan(k.Period, pol), false, pol.Status != schemas.PolicyActive
	if k.Period > now {
		k.Due = pol.Premium
	}
	there := b.insert(k)
	switch {
	case k.Voided:
	case k.Cancelled:
		b.collectionChanged(there, schemas.Change{Kind: schemas.ChangeCancelled})
	default:
		b.collectionChanged(there, schemas.Change{Kind: schemas.ChangeReactivated})
	}
}
