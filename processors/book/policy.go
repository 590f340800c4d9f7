package book

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kasi-collections/kasi/schemas"
)

// Policy is a policy as it stands.
type Policy struct {
	Number    string               `json:"n"`
	Version   int64                `json:"v"`
	Ref       string               `json:"x,omitempty"`
	Product   string               `json:"q,omitempty"`
	Premium   schemas.Cents        `json:"c"`
	Status    schemas.PolicyStatus `json:"s"`
	Rail      schemas.Rail         `json:"r"`
	Mandate   string               `json:"m,omitempty"`
	Max       schemas.Cents        `json:"l,omitempty"` // of the mandate; 0: none
	Fixed     bool                 `json:"f,omitempty"` // the mandate allows only the full amount
	Day       int                  `json:"d,omitempty"` // of the month, of the first attempt; 0: the configured one
	Hold      string               `json:"h,omitempty"` // why the policy is not debited
	CreatedMs int64                `json:"a"`
	// Unpaids in a row, for rails on which some number of them ends the mandate.
	Unpaids int `json:"u,omitempty"`
}

// Policies are a customer's policies, by number.
type Policies []Policy

// Find is the policy of that number, or nil.
func (l Policies) Find(number string) *Policy {
	if i, found := search(l, func(p *Policy) int { return strings.Compare(p.Number, number) }); found {
		return &l[i]
	}
	return nil
}

// Policy carries out a policy command and answers it with an outcome: OK, UNCHANGED, CONFLICT or NOT_FOUND. A refusal
// changes nothing.
func (b *Book) Policy(cmd *schemas.PolicyCommand) error {
	if err := b.claim(cmd.TenantID, cmd.CustomerID); err != nil {
		return err
	}
	answer := schemas.OutcomeEvent{
		RequestID: cmd.RequestID, TenantID: cmd.TenantID, Row: cmd.Row, PolicyNumber: cmd.PolicyNumber,
		ObjectID: schemas.PolicyID(cmd.TenantID, cmd.PolicyNumber), Code: schemas.OutcomeOK,
	}
	was := b.Policies.Find(cmd.PolicyNumber)
	now, refusal := policyAfter(was, cmd)
	if refusal != nil {
		answer.Code, answer.Message = refusal.code, refusal.message
		b.outcome(answer)
		return nil
	}

	b.own(cmd.TenantID, cmd.CustomerID)
	b.lookAgain()
	if was == nil {
		now.CreatedMs = b.moment.At.UnixMilli()
		i, _ := search(b.Policies, func(p *Policy) int { return byNumber(p, &now) })
		b.Policies = slices.Insert(b.Policies, i, now)
		b.policyChanged(&b.Policies[i], cmd.RequestID)
	} else {
		before := was.Status
		*was = now
		b.policyChanged(was, cmd.RequestID)
		b.collectionsFollow(was, before)
	}
	b.outcome(answer)
	return nil
}

// refused is why a command is not carried out.
type refused struct{ code, message string }

func conflict(message string) *refused { return &refused{schemas.OutcomeConflict, message} }

// policyAfter is the policy as the command wants it, or why it cannot be. was is nil where there is none.
func policyAfter(was *Policy, cmd *schemas.PolicyCommand) (Policy, *refused) {
	patch := cmd.Action == schemas.PolicyPatch
	switch {
	case patch && was == nil:
		return Policy{}, &refused{schemas.OutcomeNotFound, "there is no policy of this number"}
	case !patch && (cmd.Terms == nil || cmd.Action != schemas.PolicyCreate && cmd.Action != schemas.PolicyImport):
		return Policy{}, conflict("the command is neither a CREATE nor an IMPORT with terms nor a PATCH")
	case cmd.Action == schemas.PolicyCreate && was != nil:
		return Policy{}, conflict("a policy of this number exists")
	case was == nil:
		now := Policy{Number: cmd.PolicyNumber, Status: schemas.PolicyActive}
		now.setTerms(cmd.Terms)
		return now, now.check()
	}
	now := *was
	mended := false // the hold goes, and the row of unpaids begins anew
	if patch {
		if cmd.SetPremium != nil {
			now.Premium = *cmd.SetPremium
		}
		if cmd.SetStatus != nil {
			now.Status = *cmd.SetStatus
			mended = now.Status == schemas.PolicyActive && was.Hold != ""
		}
	} else {
		now.setTerms(cmd.Terms)
		mended = was.Rail != now.Rail || was.Mandate != now.Mandate
	}
	if mended || was.Status != schemas.PolicyActive && now.Status == schemas.PolicyActive {
		now.Hold, now.Unpaids = "", 0
	}
	switch {
	case now == *was:
		return Policy{}, &refused{code: schemas.OutcomeUnchanged}
	case was.Status == schemas.PolicyCancelled:
		return Policy{}, conflict("the policy is cancelled, and that is final; use a new policy number")
	}
	return now, now.check()
}

// check refuses what the API should have refused.
func (p *Policy) check() *refused {
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
func (p *Policy) setTerms(t *schemas.PolicyTerms) {
	p.Ref, p.Product, p.Premium, p.Day = t.ExternalCustomerRef, t.ProductCode, t.PremiumCents, t.CollectionDay
	p.Mandate, p.Max, p.Fixed = t.MandateReference, t.MandateMaxCents, t.MandateFixed
	p.Status, p.Rail = cmp.Or(t.Status, p.Status), cmp.Or(t.Rail, schemas.RailDebiCheck)
}

// policyChanged counts a new version of a policy and emits it. requestID is empty where no command made the change.
func (b *Book) policyChanged(p *Policy, requestID string) {
	p.Version++
	id := schemas.PolicyID(b.Tenant, p.Number)
	b.out.Policies = append(b.out.Policies, schemas.PolicyEvent{
		Meta:     b.moment.Meta("policy-version", id, strconv.FormatInt(p.Version, 10)),
		PolicyID: id, TenantID: b.Tenant, CustomerID: b.ID, PolicyNumber: p.Number, Version: p.Version,
		PolicyTerms: schemas.PolicyTerms{
			ExternalCustomerRef: p.Ref, ProductCode: p.Product, PremiumCents: p.Premium, Status: p.Status, Rail: p.Rail,
			MandateReference: p.Mandate, MandateMaxCents: p.Max, MandateFixed: p.Fixed, CollectionDay: p.Day,
		},
		HoldReason: p.Hold, RequestID: requestID, CreatedAt: time.UnixMilli(p.CreatedMs).UTC(), UpdatedAt: b.moment.At,
	})
}

// collectionsFollow lets the policy's collections follow a change of its status (CONTRACT 4.2): those not paid in full
// are cancelled with it at once, and come back with a lapsed policy that is made active again while their period runs.
// A debit with the bank is let run.
func (b *Book) collectionsFollow(p *Policy, before schemas.PolicyStatus) {
	if p.Status == before {
		return
	}
	period := schemas.PeriodOf(b.moment.BusinessDate())
	for k := range b.Collections.Of(p.Number) {
		if k.Collected >= k.Due {
			continue
		}
		running := k.Period >= period
		switch {
		case before == schemas.PolicyActive && p.Status != schemas.PolicyActive && !k.Cancelled:
			rail := b.rules.Rail(p.Rail, b.moment.BusinessDate())
			if running || !k.Closed && k.CollectsArrears(rail, period, b.Params) {
				k.Cancelled = true
				b.collectionChanged(k, schemas.Change{Kind: schemas.ChangeCancelled})
			}
		case before != schemas.PolicyActive && p.Status == schemas.PolicyActive && k.Cancelled && running:
			k.Cancelled, k.Closed = false, false
			b.collectionChanged(k, schemas.Change{Kind: schemas.ChangeReactivated})
		}
	}
}
