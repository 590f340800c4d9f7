package processors

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kasi-collections/kasi/schemas"
)

// Policy carries out a policy command and answers it with an outcome: OK, UNCHANGED, CONFLICT or NOT_FOUND. A refusal
// changes nothing.
func (e *Engine) Policy(c *Customer, cmd schemas.PolicyCommand, m schemas.Moment, out *Outputs) error {
	if err := c.claim(cmd.TenantID, cmd.CustomerID); err != nil {
		return err
	}
	answer := schemas.OutcomeEvent{
		RequestID: cmd.RequestID, TenantID: cmd.TenantID, Row: cmd.Row, PolicyNumber: cmd.PolicyNumber,
		ObjectID: schemas.PolicyID(cmd.TenantID, cmd.PolicyNumber), Code: schemas.OutcomeOK,
	}
	was := c.policy(cmd.PolicyNumber)
	now, refusal := policyAfter(was, &cmd)
	if refusal != nil {
		answer.Code, answer.Message = refusal.code, refusal.message
		c.outcome(m, answer, out)
		return nil
	}

	c.own(cmd.TenantID, cmd.CustomerID)
	c.touch()
	if was == nil {
		now.CreatedMs = m.At.UnixMilli()
		i, _ := slices.BinarySearchFunc(c.Policies, now.Number,
			func(p policy, n string) int { return strings.Compare(p.Number, n) })
		c.Policies = slices.Insert(c.Policies, i, now)
		c.policyChanged(&c.Policies[i], cmd.RequestID, m, out)
	} else {
		before := was.Status
		*was = now
		c.policyChanged(was, cmd.RequestID, m, out)
		e.follow(c, was, before, m, out)
	}
	c.outcome(m, answer, out)
	return nil
}

// refused is why a command is not carried out.
type refused struct{ code, message string }

var errUnchanged = &refused{code: schemas.OutcomeUnchanged}

func conflict(message string) *refused { return &refused{schemas.OutcomeConflict, message} }

// policyAfter is the policy as the command wants it, or why it cannot be. was is nil where there is none.
func policyAfter(was *policy, cmd *schemas.PolicyCommand) (policy, *refused) {
	switch {
	case cmd.Action == schemas.PolicyPatch && was == nil:
		return policy{}, &refused{schemas.OutcomeNotFound, "there is no policy of this number"}
	case cmd.Action == schemas.PolicyPatch:
		return patched(was, cmd)
	case cmd.Terms == nil || cmd.Action != schemas.PolicyCreate && cmd.Action != schemas.PolicyImport:
		return policy{}, conflict("the command is neither a CREATE nor an IMPORT with terms nor a PATCH")
	case cmd.Action == schemas.PolicyCreate && was != nil:
		return policy{}, conflict("a policy of this number exists")
	}
	now := policy{Number: cmd.PolicyNumber, Status: schemas.PolicyActive}
	if was != nil {
		now = *was
	}
	now.setTerms(cmd.Terms)
	switch {
	case was != nil && now == *was:
		return policy{}, errUnchanged
	case was != nil && was.Status == schemas.PolicyCancelled:
		return policy{}, conflict("the policy is cancelled, and that is final; use a new policy number")
	}
	if was != nil && (was.Rail != now.Rail || was.Mandate != now.Mandate || was.Status != schemas.PolicyActive &&
		now.Status == schemas.PolicyActive) {
		now.Hold, now.Unpaids = "", 0
	}
	return now, now.check()
}

// patched is the policy after a PATCH.
func patched(was *policy, cmd *schemas.PolicyCommand) (policy, *refused) {
	now := *was
	if cmd.SetPremium != nil {
		now.Premium = *cmd.SetPremium
	}
	if cmd.SetStatus != nil {
		now.Status = *cmd.SetStatus
		if now.Status == schemas.PolicyActive && (was.Hold != "" || was.Status != schemas.PolicyActive) {
			now.Hold, now.Unpaids = "", 0
		}
	}
	switch {
	case now == *was:
		return policy{}, errUnchanged
	case was.Status == schemas.PolicyCancelled:
		return policy{}, conflict("the policy is cancelled, and that is final; use a new policy number")
	}
	return now, now.check()
}

// check refuses what the API should have refused.
func (p *policy) check() *refused {
	switch {
	case p.Premium <= 0 || p.Premium > schemas.MaxCents:
		return conflict("collection_amount must be above zero")
	case p.Status != schemas.PolicyActive && p.Status != schemas.PolicyCancelled && p.Status != schemas.PolicyLapsed:
		return conflict("status must be active, cancelled or lapsed")
	}
	return nil
}

// setTerms takes the insurer's terms over. Without a status the policy keeps the one it has; without a rail it is
// collected by DebiCheck.
func (p *policy) setTerms(t *schemas.PolicyTerms) {
	p.Ref, p.Product, p.Premium = t.ExternalCustomerRef, t.ProductCode, t.PremiumCents
	p.Rail, p.Mandate, p.Max, p.Fixed, p.Day = t.Rail, t.MandateReference, t.MandateMaxCents, t.MandateFixed,
		t.CollectionDay
	if t.Status != "" {
		p.Status = t.Status
	}
	if p.Rail == "" {
		p.Rail = schemas.RailDebiCheck
	}
}

// policyChanged counts a new version of a policy and emits it. requestID is empty for changes by the engine.
func (c *Customer) policyChanged(p *policy, requestID string, m schemas.Moment, out *Outputs) {
	p.Version++
	id := schemas.PolicyID(c.Tenant, p.Number)
	out.Policies = append(out.Policies, schemas.PolicyEvent{
		Meta:     m.Meta("policy-version", id, strconv.FormatInt(p.Version, 10)),
		PolicyID: id, TenantID: c.Tenant, CustomerID: c.ID, PolicyNumber: p.Number, Version: p.Version,
		PolicyTerms: schemas.PolicyTerms{
			ExternalCustomerRef: p.Ref, ProductCode: p.Product, PremiumCents: p.Premium, Status: p.Status, Rail: p.Rail,
			MandateReference: p.Mandate, MandateMaxCents: p.Max, MandateFixed: p.Fixed, CollectionDay: p.Day,
		},
		HoldReason: p.Hold, RequestID: requestID, CreatedAt: time.UnixMilli(p.CreatedMs).UTC(), UpdatedAt: m.At,
	})
}

// follow lets the policy's collections follow a change of its status (SPEC 4.2): those not paid in full are cancelled
// with it at once, and come back with a lapsed policy that is made active again while their period runs. A debit with
// the bank is let run.
func (e *Engine) follow(c *Customer, p *policy, before schemas.PolicyStatus, m schemas.Moment, out *Outputs) {
	params := e.rules.Params(m.BusinessDate())
	period := schemas.PeriodOf(m.BusinessDate())
	for i := range c.Collections {
		k := &c.Collections[i]
		if k.Number != p.Number || k.Collected >= k.Due {
			continue
		}
		running := k.Period >= period
		switch {
		case before == schemas.PolicyActive && p.Status != schemas.PolicyActive && !k.Cancelled:
			owed := !k.Closed && !k.Reopened && e.collectsArrears(k.Period, p, schemas.DayOf(m.BusinessDate()), period, &params)
			if running || owed {
				k.Cancelled = true
				c.changed(k, m, schemas.Change{Kind: schemas.ChangeCancelled}, out)
			}
		case before != schemas.PolicyActive && p.Status == schemas.PolicyActive && k.Cancelled && running:
			k.Cancelled, k.Closed = false, false
			c.changed(k, m, schemas.Change{Kind: schemas.ChangeReactivated}, out)
		}
	}
}
