package book

import (
	"strconv"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// Book is a customer's book, opened at a moment of business time. Each method that takes a record either does all that
// it has to do to the customer and the outputs, or returns an error and has touched neither: its checks come before its
// first change. A *schemas.Reject is a bad record; any other error is a mistake of the program.
type Book struct {
	*Customer
	rules  *rules.Rules
	Params *rules.Params // in force at the moment
	moment schemas.Moment
	today  schemas.Day
	out    *Outputs
}

// Open opens the book of a customer for one record. What the record causes is added to out.
func Open(r *rules.Rules, c *Customer, m schemas.Moment, out *Outputs) Book {
	return Book{Customer: c, rules: r, Params: r.Params(m.BusinessDate()), moment: m, today: m.Today(), out: out}
}

// Outputs collects what changes emit, each list in the order of emission. The stage fills Seq and nothing else.
type Outputs struct {
	Transactions []schemas.TransactionEvent
	Deposits     []schemas.DepositEvent
	Decisions    []schemas.DecisionEvent
	Debits       []schemas.DebitInstruction
	Policies     []schemas.PolicyEvent
	Collections  []schemas.CollectionEvent
	OpenItems    []schemas.OpenItemEvent
	Outcomes     []schemas.OutcomeEvent
	// Moves are answers to moves of policies, for whoever knows whose a policy number is.
	Moves []schemas.MoveCommand
	// Execution counts what an execution made of the customer's policies.
	Execution schemas.ExecutionCounts
	// Refused, where not nil, makes the record a dead letter, though it has left something behind.
	Refused *schemas.Reject
}

// Reset empties the outputs and keeps their memory.
func (o *Outputs) Reset() {
	*o = Outputs{
		Transactions: o.Transactions[:0], Deposits: o.Deposits[:0], Decisions: o.Decisions[:0], Debits: o.Debits[:0],
		Policies: o.Policies[:0], Collections: o.Collections[:0], OpenItems: o.OpenItems[:0], Outcomes: o.Outcomes[:0],
		Moves: o.Moves[:0],
	}
}

// Empty tells that nothing was emitted.
func (o *Outputs) Empty() bool {
	return len(o.Transactions)+len(o.Deposits)+len(o.Decisions)+len(o.Debits)+len(o.Policies)+len(o.Collections)+
		len(o.OpenItems)+len(o.Outcomes)+len(o.Moves) == 0 && o.Refused == nil
}

// collectionChanged counts a new version of a collection and emits it with the fact that made it.
func (b *Book) collectionChanged(k *Collection, ch schemas.Change) {
	k.Version++
	pol := b.Policies.Find(k.Number)
	policyID := schemas.PolicyID(b.Tenant, k.Number)
	id := schemas.CollectionID(policyID, k.Period)
	failure := k.Failure
	if k.status() == schemas.PaidFull {
		failure = ""
	}
	b.out.Collections = append(b.out.Collections, schemas.CollectionEvent{
		Meta:         b.moment.Meta("collection-version", id, strconv.FormatInt(k.Version, 10)),
		CollectionID: id, TenantID: b.Tenant, CustomerID: b.ID, PolicyID: policyID, PolicyNumber: k.Number,
		ExternalCustomerRef: pol.Ref, ProductCode: pol.Product, PeriodMonth: k.Period, ExecutionID: k.Execution,
		Version: k.Version, DueCents: k.Due, CollectedCents: k.Collected, InFlightCents: k.InFlight(), Status: k.status(),
		FirstAttemptDate: k.First.Text(), LastAttemptDate: k.Last.Text(), Attempts: k.Attempts, LastFailureReason: failure,
		Change: ch,
	})
}

// outcome emits the answer to a command. A command that is delivered again has another record, so its answer is another
// event.
func (b *Book) outcome(o schemas.OutcomeEvent) {
	o.Stage = "collect"
	o.Meta = b.moment.Meta("outcome", o.Stage, o.TenantID, o.RequestID, strconv.Itoa(o.Row), o.Code,
		strconv.FormatInt(b.moment.At.UnixNano(), 10))
	b.out.Outcomes = append(b.out.Outcomes, o)
}
