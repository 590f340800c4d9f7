package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/kasi-collections/kasi/schemas"
)

// respond checks the query string, runs a handler and writes its error, if any. params is the generated struct of the
// operation, or nil.
func (s *server) respond(w http.ResponseWriter, r *http.Request, params any, handle func() error) {
	err := checkQuery(r, params)
	if err == nil {
		err = handle()
	}
	if err != nil {
		s.fail(w, r, err)
	}
}

// CreatePolicy is POST /policies.
func (s *server) CreatePolicy(w http.ResponseWriter, r *http.Request) {
	s.respond(w, r, nil, func() error { return s.createPolicy(w, r) })
}

func (s *server) createPolicy(w http.ResponseWriter, r *http.Request) error {
	ctx, info := r.Context(), infoOf(r.Context())
	in, err := readInput(w, r, "customer_id", "external_customer_ref", "policy_number", "product_code",
		"collection_amount", "rail",
		"mandate_reference", "mandate_max_amount", "mandate_fixed", "collection_day", "status")
	if err != nil {
		return err
	}
	cmd := readPolicy(in)
	if err := in.done(); err != nil {
		return err
	}
	cmd.RequestID, cmd.TenantID = info.requestID, info.tenant
	id := schemas.PolicyID(info.tenant, cmd.PolicyNumber)
	taken := conflict("The policy number exists; change the policy through PATCH /v1/policies/%s or an import", id).
		at("policy_number", "a number that no policy has", cmd.PolicyNumber)
	// The pipeline decides; asking first only spares the caller the way through it.
	if _, exists, err := s.policyByID(ctx, info.tenant, id); err != nil {
		return err
	} else if exists {
		return taken
	}
	o, err := s.changePolicy(ctx, cmd)
	if err != nil {
		return err
	}
	if o.code != schemas.OutcomeOK {
		return taken
	}
	p, _, err := s.policyByID(ctx, info.tenant, id)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/policies/"+p.ID)
	writeJSON(w, http.StatusCreated, PolicyCreated{
		ID: p.ID, PolicyNumber: p.PolicyNumber, Status: p.Status,
		CreatedAt: p.CreatedAt,
	})
	return nil
}

// readPolicy reads a new policy; faults are in the input.
func readPolicy(in *input) schemas.PolicyCommand {
	cmd := schemas.PolicyCommand{
		Row: 1, Action: schemas.PolicyCreate,
		Terms: &schemas.PolicyTerms{Status: schemas.PolicyActive, Rail: schemas.RailDebiCheck},
	}
	cmd.CustomerID = in.text("customer_id", true)
	cmd.Terms.ExternalCustomerRef = in.text("external_customer_ref", true)
	cmd.PolicyNumber = in.text("policy_number", true)
	cmd.Terms.ProductCode = in.text("product_code", true)
	cmd.Terms.PremiumCents, _ = in.amount("collection_amount", true)
	if rail, ok := check(in, "rail", false, "EFT, DEBICHECK or RM", checkRail); ok {
		cmd.Terms.Rail = rail
	}
	cmd.Terms.MandateReference = in.text("mandate_reference", false)
	cmd.Terms.MandateMaxCents, _ = in.amount("mandate_max_amount", false)
	cmd.Terms.MandateFixed = in.flag("mandate_fixed")
	cmd.Terms.CollectionDay = in.day("collection_day")
	if status, ok := check(in, "status", false, "active", checkPolicyStatus); ok && status != schemas.PolicyActive {
		in.refuse(invalid("status", "active", string(status), "A new policy is active; change its status through PATCH"))
	}
	return cmd
}

// changePolicy sends one command and waits until its outcome, and the version it made, can be read.
func (s *server) changePolicy(ctx context.Context, cmd schemas.PolicyCommand) (outcome, error) {
	if err := s.commands.Policies(ctx, []schemas.PolicyCommand{cmd}); err != nil {
		return outcome{}, unavailable(err, "The command could not be written to Kafka")
	}
	const hint = "It will be carried out: look at GET /v1/policies?policy_number= before you repeat it"
	o, err := s.awaitOutcome(ctx, cmd.TenantID, cmd.RequestID)
	if err != nil {
		return o, s.late(err, hint)
	}
	if o.code != schemas.OutcomeOK {
		return o, nil
	}
	err = awaitCount(ctx, s.wait, 1, func() (uint64, error) {
		return s.policiesOfRequest(ctx, cmd.TenantID,
			cmd.RequestID)
	})
	return o, s.late(err, hint)
}

// PatchPolicy is PATCH /policies/{id}.
func (s *server) PatchPolicy(w http.ResponseWriter, r *http.Request, id ID) {
	s.respond(w, r, nil, func() error { return s.patchPolicy(w, r, id) })
}

func (s *server) patchPolicy(w http.ResponseWriter, r *http.Request, id string) error {
	ctx, info := r.Context(), infoOf(r.Context())
	in, err := readInput(w, r, "collection_amount", "status")
	if err != nil {
		return err
	}
	cmd := schemas.PolicyCommand{RequestID: info.requestID, Row: 1, Action: schemas.PolicyPatch, TenantID: info.tenant}
	if premium, ok := in.amount("collection_amount", false); ok {
		cmd.SetPremium = &premium
	}
	if status, ok := check(in, "status", false, "active, cancelled or lapsed", checkPolicyStatus); ok {
		cmd.SetStatus = &status
	}
	if err := in.done(); err != nil {
		return err
	}
	if cmd.SetPremium == nil && cmd.SetStatus == nil {
		return invalid("", "collection_amount, status or both", "neither", "There is nothing to change")
	}
	p, err := s.findPolicy(ctx, id)
	if err != nil {
		return err
	}
	cmd.PolicyNumber = p.PolicyNumber
	o, err := s.changePolicy(ctx, cmd)
	if err != nil {
		return err
	}
	switch o.code {
	case schemas.OutcomeConflict:
		return conflict("The policy cannot be changed: %s", o.message)
	case schemas.OutcomeNotFound:
		return notFound("policy", id)
	}
	if p, err = s.patched(ctx, p.ID, o); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, PolicyPatched{
		ID: p.ID, PolicyNumber: p.PolicyNumber, CollectionAmount: p.CollectionAmount, Status: p.Status,
		UpdatedAt: p.UpdatedAt,
	})
	return nil
}

// patched is the policy as a change left it, even where a later one has overtaken it: the caller must recognise its
// own.
func (s *server) patched(ctx context.Context, id string, o outcome) (Policy, error) {
	info := infoOf(ctx)
	if o.code == schemas.OutcomeOK {
		if p, ok, err := s.policyOfRequest(ctx, info.tenant, id, info.requestID); ok || err != nil {
			return p, err
		}
	}
	p, _, err := s.policyByID(ctx, info.tenant, id)
	return p, err
}

// findPolicy is the tenant's policy of an id out of a path, or a 404.
func (s *server) findPolicy(ctx context.Context, id string) (Policy, error) {
	if !isID(id) {
		return Policy{}, notFound("policy", id)
	}
	p, ok, err := s.policyByID(ctx, infoOf(ctx).tenant, id)
	if err == nil && !ok {
		err = notFound("policy", id)
	}
	return p, err
}

// isID tells whether an id can be one of ours, written the usual way. uuid.Parse alone also takes braces and urn:uuid:.
func isID(id string) bool {
	_, err := uuid.Parse(id)
	return err == nil && len(id) == 36
}

// GetPolicy is GET /policies/{id}.
func (s *server) GetPolicy(w http.ResponseWriter, r *http.Request, id ID) {
	s.respond(w, r, nil, func() error {
		p, err := s.findPolicy(r.Context(), id)
		if err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, p)
		return nil
	})
}

// ListPolicies is GET /policies.
func (s *server) ListPolicies(w http.ResponseWriter, r *http.Request, params ListPoliciesParams) {
	s.respond(w, r, params, func() error {
		p, err := readPage(params.Limit, params.Cursor, 1)
		if err != nil {
			return err
		}
		var f policyFilter
		if f.number, err = textFilter("policy_number", params.PolicyNumber); err != nil {
			return err
		}
		if f.customer, err = textFilter("customer_id", params.CustomerID); err != nil {
			return err
		}
		if f.status, err = filter("status", params.Status, checkPolicyStatus); err != nil {
			return err
		}
		items, err := s.policyPage(r.Context(), infoOf(r.Context()).tenant, f, p)
		if err != nil {
			return err
		}
		data, next := cut(items, p, func(p Policy) []string { return []string{p.PolicyNumber} })
		writeJSON(w, http.StatusOK, PolicyList{Data: data, NextCursor: next})
		return nil
	})
}
