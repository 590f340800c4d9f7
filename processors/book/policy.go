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
	Bank      string               `json:"k,omitempty"`
	Token     string               `json:"t,omitempty"` // stands for the account
	Ended     schemas.Day          `json:"e,omitempty"` // when it was cancelled, while it is
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
		RequestID: cmd.RequestID, TenantID: cmd.TenantID, Row: cmd.Row, Line: cmd.Line,
		PolicyNumber: cmd.PolicyNumber,
		ObjectID:     schemas.PolicyID(cmd.TenantID, cmd.PolicyNumber), Code: schemas.OutcomeOK,
	}
	was := b.Policies.Find(cmd.PolicyNumber)
	now, refusal := b.policyAfter(was, cmd)
	if refusal != nil {
		answer.Code, answer.Message = refusal.code, refusal.message
		b.outcome(answer)
		return nil
	}

	b.own(cmd.TenantID, cmd.CustomerID)
	b.lookAgain()
	if was == nil {
		now.CreatedMs = b.moment.Shown().UnixMilli()
		i, _ := search(b.Policies, func(p *Policy) int { return byNumber(p, &now) })
		b.Policies = slices.Insert(b.Policies, i, now)
		was = &b.Policies[i]
		b.policyChanged(was, cmd)
	} else {
		before := *was
		*was = now
		b.policyChanged(was, cmd)
		b.collectionsFollow(was, before.Status)
		b.followTerms(was, &before)
	}
	answer.Version = was.Version
	b.outcome(answer)
	return nil
}

// refused is why a command is not carried out.
type refused struct{ code, message string }

func conflict(message string) *refused { return &refused{schemas.OutcomeConflict, message} }

// policyAfter is the policy as the command wants it, or why it cannot be. was is nil where there is none.
func (b *Book) policyAfter(was *Policy, cmd *schemas.PolicyCommand) (Policy, *refused) {
	patch := cmd.Action == schemas.PolicyPatch
	switch {
	case patch && was == nil:
		return Policy{}, &refused{schemas.OutcomeNotFound, "there is no policy of this number"}
	case !patch && (cmd.Terms == nil || cmd.Action != schemas.PolicyCreate && cmd.Action != schemas.PolicyImport):
		return Policy{}, conflict("the command is neither a CREATE nor an IMPORT with terms nor a PATCH")
	case cmd.Action == schemas.PolicyCreate && was != nil:
		return Policy{}, conflict("a policy of this number exists")
	case was != nil && cmd.IfVersion != 0 && cmd.IfVersion != was.Version:
		return Policy{}, &refused{
			schemas.OutcomePrecondition, "the policy has version " + strconv.FormatInt(was.Version, 10),
		}
	case was == nil:
		now := Policy{Number: cmd.PolicyNumber, Status: schemas.PolicyActive, Rail: schemas.RailDebiCheck}
		now.setTerms(cmd)
		b.end(&now, "")
		return now, now.check()
	}
	now := *was
	mended := false // the hold goes, and the row of unpaids begins anew
	if cmd.SetPremium != nil {
		now.Premium = *cmd.SetPremium
	}
	if cmd.SetStatus != nil {
		now.Status = *cmd.SetStatus
		mended = now.Status == schemas.PolicyActive && was.Hold != ""
	}
	if cmd.Terms != nil {
		now.setTerms(cmd)
		mended = mended || was.Rail != now.Rail || was.Mandate != now.Mandate
	}
	if mended || was.Status != schemas.PolicyActive && now.Status == schemas.PolicyActive {
		now.Hold, now.Unpaids = "", 0
	}
	b.end(&now, was.Status)
	back := now.Status == schemas.PolicyActive && b.today <= b.takenBackUntil(was)
	silent := !patch && !cmd.Gives(schemas.GivenStatus) // a file that lists a cancelled policy as if it were any
	switch {
	case now == *was && (was.Status != schemas.PolicyCancelled || !silent):
		return Policy{}, &refused{code: schemas.OutcomeUnchanged}
	case was.Status == schemas.PolicyCancelled && !back:
		return Policy{}, b.whyCancelled(was)
	}
	return now, now.check()
}

// end notes when a policy was cancelled.
func (b *Book) end(p *Policy, before schemas.PolicyStatus) {
	switch {
	case p.Status != schemas.PolicyCancelled:
		p.Ended = 0
	case before != schemas.PolicyCancelled:
		p.Ended = b.today
	}
}

// takenBackUntil is the last day on which a cancellation can be taken back.
func (b *Book) takenBackUntil(p *Policy) schemas.Day {
	return p.Ended + schemas.Day(b.Params.CancelBackDays)
}

func (b *Book) whyCancelled(p *Policy) *refused {
	until := b.takenBackUntil(p)
	if b.today > until {
		return conflict("the policy was cancelled on " + p.Ended.Text() + ", and that is final since " + until.Text() +
			"; use a new policy number")
	}
	return conflict("the policy was cancelled on " + p.Ended.Text() + "; until " + until.Text() +
		" status active takes that back, after that use a new policy number")
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

// setTerms takes over those of the insurer's terms that the command gives. A policy always has a status and a rail.
func (p *Policy) setTerms(cmd *schemas.PolicyCommand) {
	t := cmd.Terms
	set := func(field string, to func()) {
		if cmd.Gives(field) {
			to()
		}
	}
	set(schemas.GivenReference, func() { p.Ref = t.ExternalCustomerRef })
	set(schemas.GivenProduct, func() { p.Product = t.ProductCode })
	set(schemas.GivenPremium, func() { p.Premium = t.PremiumCents })
	set(schemas.GivenStatus, func() { p.Status = cmp.Or(t.Status, p.Status) })
	set(schemas.GivenRail, func() { p.Rail = cmp.Or(t.Rail, schemas.RailDebiCheck) })
	set(schemas.GivenMandate, func() { p.Mandate = t.MandateReference })
	set(schemas.GivenMaximum, func() { p.Max = t.MandateMaxCents })
	set(schemas.GivenFixed, func() { p.Fixed = t.MandateFixed })
	set(schemas.GivenDay, func() { p.Day = t.CollectionDay })
	set(schemas.GivenBank, func() { p.Bank = t.Bank })
	set(schemas.GivenToken, func() { p.Token = t.AccountToken })
}

// policyChanged counts a new version of a policy and emits it. cmd is nil where no command made the change.
func (b *Book) policyChanged(p *Policy, cmd *schemas.PolicyCommand) {
	p.Version++
	if cmd == nil {
		cmd = &schemas.PolicyCommand{}
	}
	id := schemas.PolicyID(b.Tenant, p.Number)
	b.out.Policies = append(b.out.Policies, schemas.PolicyEvent{
		Meta:     b.moment.Meta("policy-version", id, strconv.FormatInt(p.Version, 10)),
		PolicyID: id, TenantID: b.Tenant, CustomerID: b.ID, PolicyNumber: p.Number, Version: p.Version,
		PolicyTerms: schemas.PolicyTerms{
			ExternalCustomerRef: p.Ref, ProductCode: p.Product, PremiumCents: p.Premium, Status: p.Status, Rail: p.Rail,
			MandateReference: p.Mandate, MandateMaxCents: p.Max, MandateFixed: p.Fixed, CollectionDay: p.Day,
			Bank: p.Bank, AccountToken: p.Token,
		},
		HoldReason: p.Hold, RequestID: cmd.RequestID, Action: cmd.Action, KeyID: cmd.KeyID,
		CreatedAt: time.UnixMilli(p.CreatedMs).UTC(), UpdatedAt: b.moment.Shown(),
	})
}

// followTerms lets collections of periods that have not begun follow their policy (CONTRACT 4.1).
func (b *Book) followTerms(p, before *Policy) {
	var ahead []schemas.Period
	now := schemas.PeriodOf(b.moment.BusinessDate())
	for k := range b.Collections.Of(p.Number) {
		if k.Period > now && k.Attempts == 0 && !k.Voided {
			ahead = append(ahead, k.Period)
		}
	}
	for _, period := range ahead {
		k := b.replan(p, period)
		if k.Due != p.Premium || before.Ref != p.Ref || before.Product != p.Product {
			k.Due = p.Premium
			b.collectionChanged(k, schemas.Change{Kind: schemas.ChangePolicy})
		}
	}
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
		if k.Collected >= k.Due || k.Voided {
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
