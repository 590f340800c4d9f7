package sim

import (
	"encoding/json"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// debit is what the oracle knows of a debit: the answers that counted.
type debit struct {
	schemas.DebitInstruction
	said map[schemas.ResultStatus]bool
	ids  map[string]bool
	back bool // an event says that it came back
	open bool // an item is or was open for another amount
}

func (d *debit) pending() bool { return len(d.said) == 0 }

// collected tells whether the money is the insurer's: paid, and nothing that takes it back.
func (d *debit) collected() bool { return d.said[schemas.ResultPaid] && len(d.said) == 1 }

// collection is the latest version of a collection, and what its events add up to.
type collection struct {
	latest  schemas.CollectionEvent
	created schemas.CollectionEvent
	moved   schemas.Cents
	debits  []*debit
}

// clearing is a tenant's clearing account, in cents. Instructed comes from the debits, failed or disputed from the
// collections' events.
type clearing struct{ instructed, failed schemas.Cents }

func (o *oracle) tenant(id string) *clearing {
	if o.tenants[id] == nil {
		o.tenants[id] = &clearing{}
	}
	return o.tenants[id]
}

// judgeResult: an answer counts once. Refused may be only what is of no debit of ours, of another amount, or dated on
// no day that an answer can have. A dispute after its window is not sent here.
func (o *oracle) judgeResult(s *step, rec *kgo.Record) error {
	var res schemas.Result
	if err := json.Unmarshal(rec.Value, &res); err != nil {
		return s.errorf("no result: %v", err)
	}
	d := o.debits[res.DebitID]
	switch {
	case d == nil && !s.refused:
		return s.errorf("an answer to debit %s, which nobody instructed, was accepted", res.DebitID)
	case d == nil:
		return nil
	case d.ids[res.ResultID]: // again, or refused where it says something else
		if s.outputs > 0 {
			return s.errorf("result %s came again and caused %d outputs", res.ResultID, s.outputs)
		}
		return nil
	case res.EffectiveDate < d.ActionDate || res.EffectiveDate > o.ticks[s.at].Date:
		if !s.refused {
			return s.errorf("result %s is dated %s and was accepted", res.ResultID, res.EffectiveDate)
		}
		return nil
	case res.AmountCents != nil && *res.AmountCents != d.AmountCents:
		if !s.refused {
			return s.errorf("result %s of another amount was accepted", res.ResultID)
		}
		return o.judgeItem(s, d, schemas.OpenAmount)
	case s.refused && !s.noted && d.pending():
		return s.errorf("result %s is the first of its debit and was refused", res.ResultID)
	case s.refused && !s.noted:
		return nil
	}
	d.ids[res.ResultID], d.said[res.Status] = true, true
	return nil
}

// judgeItem: an answer that settles nothing while the debit is with the bank opens an item that people can see.
func (o *oracle) judgeItem(s *step, d *debit, kind schemas.OpenItemKind) error {
	for _, ev := range s.items {
		if ev.DebitID == d.DebitID && ev.Kind == kind && ev.State == schemas.ItemOpen {
			d.open = true
		}
	}
	if d.pending() && !d.open {
		return s.errorf("debit %s has an answer that settles nothing and no open item", d.DebitID)
	}
	return nil
}

// judgePolicy: every command is answered once, and does what its answer says.
func (o *oracle) judgePolicy(s *step, rec *kgo.Record) error {
	var cmd schemas.PolicyCommand
	if err := json.Unmarshal(rec.Value, &cmd); err != nil {
		return s.errorf("no policy command: %v", err)
	}
	if s.refused {
		return s.errorf("a policy command of ours was refused")
	}
	if err := s.answered(cmd.RequestID); err != nil {
		return err
	}
	code := s.outcomes[0].Code
	if (code == schemas.OutcomeOK) != (len(s.policies) == 1) {
		return s.errorf("a policy command was answered %s and made %d versions", code, len(s.policies))
	}
	for _, ev := range s.policies {
		o.policies[ev.PolicyID] = ev
	}
	now := o.policies[schemas.PolicyID(cmd.TenantID, cmd.PolicyNumber)]
	done := code == schemas.OutcomeOK || code == schemas.OutcomeUnchanged
	if done && cmd.SetStatus != nil && now.Status != *cmd.SetStatus {
		return s.errorf("the policy was to be %s and is %s", *cmd.SetStatus, now.Status)
	}
	return nil
}

// judgeExecute: a policy has one collection a period, of the premium at its creation.
func (o *oracle) judgeExecute(s *step, rec *kgo.Record) error {
	var cmd schemas.ExecuteCommand
	if err := json.Unmarshal(rec.Value, &cmd); err != nil {
		return s.errorf("no execute command: %v", err)
	}
	if s.refused {
		return s.errorf("an execute command of ours was refused")
	}
	if err := s.answered(cmd.RequestID); err != nil {
		return err
	}
	made := s.outcomes[0].Code == schemas.OutcomeOK
	if made != (len(s.collections) == 1) {
		return s.errorf("an execution was answered %s and made %d collections", s.outcomes[0].Code, len(s.collections))
	}
	if made && (s.collections[0].Change.Kind != schemas.ChangeCreated ||
		s.collections[0].DueCents != o.policies[s.collections[0].PolicyID].PremiumCents) {
		return s.errorf("an execution made %s of %d cents", s.collections[0].Change.Kind, s.collections[0].DueCents)
	}
	return nil
}

func (s *step) answered(request string) error {
	if len(s.outcomes) != 1 || s.outcomes[0].RequestID != request {
		return s.errorf("request %s has %d answers", request, len(s.outcomes))
	}
	return nil
}

// judgeMoney holds the step's debits and collections against all the records before.
func (o *oracle) judgeMoney(s *step) error {
	for _, ev := range s.debits {
		if err := o.judgeDebit(s, ev); err != nil {
			return err
		}
	}
	// A policy on hold is a new version of it, caused by a result: after the debits of the step, of which a result has
	// none.
	for _, ev := range s.policies {
		if o.policies[ev.PolicyID].Version+1 != ev.Version && kindOf(s.causes[0]) != schemas.KindPolicy {
			return s.errorf("version %d of policy %s follows %d", ev.Version, ev.PolicyNumber, o.policies[ev.PolicyID].Version)
		}
		o.policies[ev.PolicyID] = ev
	}
	touched := map[string]bool{}
	for _, ev := range s.collections {
		if err := o.judgeCollection(s, ev); err != nil {
			return err
		}
		touched[ev.CollectionID] = true
	}
	for _, ev := range s.debits {
		touched[ev.CollectionID] = true
	}
	if kindOf(s.causes[0]) == schemas.KindResult {
		var res schemas.Result
		if json.Unmarshal(s.causes[0].Value, &res) == nil && o.debits[res.DebitID] != nil {
			touched[o.debits[res.DebitID].CollectionID] = true
		}
	}
	for id := range touched {
		if err := o.judgeSums(s, o.collections[id]); err != nil {
			return err
		}
	}
	return nil
}

// judgeDebit: never twice, never two at once, never after a cancellation, never while an answer is missing.
func (o *oracle) judgeDebit(s *step, ev schemas.DebitInstruction) error {
	k, pol := o.collections[ev.CollectionID], o.policies[schemas.PolicyID(ev.TenantID, ev.PolicyNumber)]
	switch {
	case k == nil:
		return s.errorf("debit %s has no collection", ev.DebitID)
	case o.debits[ev.DebitID] != nil:
		return s.errorf("debit %s was instructed twice", ev.DebitID)
	case pol.Status != schemas.PolicyActive:
		return s.errorf("debit %s of policy %s, which is %s", ev.DebitID, ev.PolicyNumber, pol.Status)
	case pol.HoldReason != "":
		return s.errorf("debit %s of policy %s, which is on hold: %s", ev.DebitID, ev.PolicyNumber, pol.HoldReason)
	case ev.AmountCents <= 0:
		return s.errorf("debit %s is of %d cents", ev.DebitID, ev.AmountCents)
	}
	for _, d := range k.debits {
		if d.pending() {
			return s.errorf("debit %s while %s of the same collection has no answer", ev.DebitID, d.DebitID)
		}
	}
	d := &debit{ev, map[schemas.ResultStatus]bool{}, map[string]bool{}, false, false}
	o.debits[ev.DebitID] = d
	k.debits = append(k.debits, d)
	o.tenant(ev.TenantID).instructed += ev.AmountCents
	o.fresh = append(o.fresh, ev)
	return nil
}

func (o *oracle) judgeCollection(s *step, ev schemas.CollectionEvent) error {
	k := o.collections[ev.CollectionID]
	if k == nil {
		k = &collection{created: ev}
		o.collections[ev.CollectionID] = k
	}
	if ev.Version != k.latest.Version+1 {
		return s.errorf("version %d of collection %s follows %d", ev.Version, ev.CollectionID, k.latest.Version)
	}
	if ev.Change.Kind == schemas.ChangePolicy && ev.BusinessDate < string(ev.PeriodMonth)+"-01" {
		k.created.DueCents = ev.DueCents // before its period begins it follows its policy
	}
	if ev.DueCents != k.created.DueCents {
		return s.errorf("collection %s was made for %d cents and is due %d", ev.CollectionID, k.created.DueCents, ev.DueCents)
	}
	switch ev.Change.Kind {
	case schemas.ChangeUnpaid, schemas.ChangeRejected, schemas.ChangeLateUnpaid, schemas.ChangeDisputed:
		if d := o.debits[ev.Change.DebitID]; !d.back { // a worse answer is another event of the same debit
			d.back = true
			o.tenant(ev.TenantID).failed += ev.Change.AmountCents
		}
	}
	k.moved += ev.Change.MovedCents
	k.latest = ev
	return nil
}

// judgeSums: what is said to be collected and in flight is what the bank's answers say, and never more than is due.
func (o *oracle) judgeSums(s *step, k *collection) error {
	var paid, flying schemas.Cents
	for _, d := range k.debits {
		switch {
		case d.pending():
			flying += d.AmountCents
		case d.collected():
			paid += d.AmountCents
		}
	}
	ev := k.latest
	switch {
	case ev.CollectedCents != paid:
		return s.errorf("collection %s says %d cents are collected; the bank paid %d", ev.CollectionID, ev.CollectedCents,
			paid)
	case ev.InFlightCents != flying:
		return s.errorf("collection %s says %d cents are in flight; %d are", ev.CollectionID, ev.InFlightCents, flying)
	case k.moved != paid:
		return s.errorf("the movements of collection %s add up to %d cents; the bank paid %d", ev.CollectionID, k.moved, paid)
	case paid+flying > ev.DueCents:
		return s.errorf("collection %s has %d cents collected and %d in flight and is due %d", ev.CollectionID, paid, flying,
			ev.DueCents)
	}
	return nil
}
