package processors

import (
	"fmt"
	"strconv"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// Engine decides what every record of a customer's timeline means. It is pure: the same state and record give the same
// outputs and the same next state, in every run. It holds nothing but the rules, so it is safe for concurrent use on
// different customers.
//
// A call either does all it has to do to the customer and the outputs, or returns an error and has touched neither: all
// checks come before the first change. A *schemas.Reject is a bad record; any other error is a mistake of the program (a record
// brought to the wrong customer).
type Engine struct {
	rules *rules.Rules
	// wakeful makes every tick look at every customer. Tests compare it with the engine that lets customers sleep.
	wakeful bool
}

// NewEngine makes an engine that follows the rules.
func NewEngine(r *rules.Rules) *Engine { return &Engine{rules: r} }

// Outputs collects what calls of the engine emit, each list in the order of emission. The stage fills Seq and nothing
// else.
type Outputs struct {
	Transactions []schemas.TransactionEvent
	Deposits     []schemas.DepositEvent
	Decisions    []schemas.DecisionEvent
	Debits       []schemas.DebitInstruction
	Policies     []schemas.PolicyEvent
	Collections  []schemas.CollectionEvent
	Outcomes     []schemas.OutcomeEvent
}

// claim checks that a record belongs to the customer. A new customer belongs to whoever comes first.
func (c *Customer) claim(tenant, customer string) error {
	if c.ID == "" && c.Tenant == "" || c.Tenant == tenant && c.ID == customer {
		return nil
	}
	return fmt.Errorf("processors: record of customer key %q was brought to another customer; route records by "+
		"schemas.CustomerKey", schemas.CustomerKey(tenant, customer))
}

// own makes the customer the tenant's. Called with the first change.
func (c *Customer) own(tenant, customer string) {
	c.Version, c.Tenant, c.ID = stateVersion, tenant, customer
}

// changed counts a new version of a collection and emits it with the fact that made it.
func (c *Customer) changed(k *collection, m schemas.Moment, ch schemas.Change, out *Outputs) {
	k.Version++
	pol := c.policy(k.Number)
	policyID := schemas.PolicyID(c.Tenant, k.Number)
	id := schemas.CollectionID(policyID, k.Period)
	failure := k.Failure
	if k.status() == schemas.PaidFull {
		failure = ""
	}
	out.Collections = append(out.Collections, schemas.CollectionEvent{
		Meta:         m.Meta("collection-version", id, strconv.FormatInt(k.Version, 10)),
		CollectionID: id, TenantID: c.Tenant, CustomerID: c.ID, PolicyID: policyID, PolicyNumber: k.Number,
		ExternalCustomerRef: pol.Ref, ProductCode: pol.Product, PeriodMonth: k.Period, ExecutionID: k.Execution,
		Version: k.Version, DueCents: k.Due, CollectedCents: k.Collected, InFlightCents: k.inFlight(), Status: k.status(),
		FirstAttemptDate: k.First.Text(), LastAttemptDate: k.Last.Text(), Attempts: k.Attempts, LastFailureReason: failure,
		Change: ch,
	})
}

// outcome emits the answer to a command. A command that is delivered again has another record, so its answer is another
// event.
func (c *Customer) outcome(m schemas.Moment, o schemas.OutcomeEvent, out *Outputs) {
	o.Stage = "collect"
	o.Meta = m.Meta("outcome", o.Stage, o.TenantID, o.RequestID, strconv.Itoa(o.Row), o.Code,
		strconv.FormatInt(m.At.UnixNano(), 10))
	out.Outcomes = append(out.Outcomes, o)
}
