package api

import (
	"context"
	"net/http"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

func policyBody(p read.Policy) Policy {
	return Policy{
		ID: p.ID, PolicyNumber: p.Number, CustomerID: p.CustomerID, ExternalCustomerRef: p.ExternalCustomerRef,
		ProductCode: p.ProductCode, CollectionAmount: schemas.Rands(p.PremiumCents), Status: p.Status, Rail: p.Rail,
		MandateReference: orNull(p.MandateReference), MandateMaxAmount: orNull(schemas.Rands(p.MandateMaxCents)),
		MandateFixed: p.MandateFixed, CollectionDay: orNull(int(p.CollectionDay)), HoldReason: orNull(p.HoldReason),
		Version: p.Version, CreatedAt: p.CreatedAt.UTC(), UpdatedAt: p.UpdatedAt.UTC(),
	}
}

// CreatePolicy is POST /policies.
func (s *server) CreatePolicy(w http.ResponseWriter, r *http.Request) {
	s.respond(w, r, nil, func(ctx context.Context, info *requestInfo) error {
		in := readInput(w, r, append(fieldNames(), "status")...)
		cmd := readPolicy(in)
		if in.err != nil {
			return in.err
		}
		id := schemas.PolicyID(info.tenant, cmd.PolicyNumber)
		taken := conflict("The policy number exists; change the policy through PATCH /v1/policies/%s or an import", id).
			at("policy_number", "a number that no policy has", cmd.PolicyNumber)
		// The pipeline decides; asking first only spares the caller the way through it.
		if _, exists, err := info.db.Policy(ctx, id); err != nil {
			return err
		} else if exists && !info.again {
			return taken
		}
		o, err := s.changePolicy(ctx, cmd)
		if err != nil {
			return err
		}
		if o.Code != schemas.OutcomeOK {
			return taken
		}
		p, _, err := info.db.Policy(ctx, id)
		if err != nil {
			return err
		}
		w.Header().Set("Location", "/v1/policies/"+p.ID)
		writeJSON(w, http.StatusCreated, PolicyCreated{
			ID: p.ID, PolicyNumber: p.Number, Status: p.Status, CreatedAt: p.CreatedAt.UTC(),
		})
		return nil
	})
}

// readPolicy reads a new policy; faults are in the input.
func readPolicy(in *input) schemas.PolicyCommand {
	cmd := newPolicy(1, schemas.PolicyCreate)
	for _, f := range policyFields {
		if v, ok := in.value(f.name, f.required, f.json, f.expected); ok {
			if bad := f.set(&cmd, v); bad != nil {
				in.refuse(bad.as400(f.name, v))
			}
		}
	}
	onlyActive := aPolicyStatus
	onlyActive.expected = "active"
	status, ok := check(in, "status", false, onlyActive)
	if ok && status != schemas.PolicyActive {
		in.refuse(invalid("status", "active", string(status), "A new policy is active; change its status through PATCH"))
	}
	return cmd
}

// changePolicy sends one command and waits until its outcome, and the version it made, can be read.
func (s *server) changePolicy(ctx context.Context, cmd schemas.PolicyCommand) (read.Outcome, error) {
	info := infoOf(ctx)
	cmd.RequestID, cmd.TenantID = info.command, info.tenant
	o, err := s.outcome(ctx, func() error { return s.Commands.Policies(ctx, []schemas.PolicyCommand{cmd}) })
	if err == nil && o.Code == schemas.OutcomeOK {
		err = awaitCount(ctx, s.Wait, 1, info.db.PoliciesOfRequest)
	}
	return o, s.late(err, "It will be carried out: look at GET /v1/policies?policy_number= before you repeat it")
}

// PatchPolicy is PATCH /policies/{id}.
func (s *server) PatchPolicy(w http.ResponseWriter, r *http.Request, id ID) {
	s.respond(w, r, nil, func(ctx context.Context, info *requestInfo) error {
		in := readInput(w, r, "collection_amount", "status")
		cmd := schemas.PolicyCommand{Row: 1, Action: schemas.PolicyPatch}
		if premium, ok := check(in, "collection_amount", false, anAmount); ok {
			cmd.SetPremium = &premium
		}
		if status, ok := check(in, "status", false, aPolicyStatus); ok {
			cmd.SetStatus = &status
		}
		if in.err != nil {
			return in.err
		}
		if cmd.SetPremium == nil && cmd.SetStatus == nil {
			return invalid("", "collection_amount, status or both", "neither", "There is nothing to change")
		}
		p, err := find(ctx, "policy", id, (*read.DB).Policy)
		if err != nil {
			return err
		}
		cmd.PolicyNumber = p.Number
		o, err := s.changePolicy(ctx, cmd)
		if err != nil {
			return err
		}
		switch o.Code {
		case schemas.OutcomeConflict:
			return conflict("The policy cannot be changed: %s", o.Message)
		case schemas.OutcomeNotFound:
			return notFound("policy", id)
		}
		if p, err = patched(ctx, info.db, p.ID, o); err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, PolicyPatched{
			ID: p.ID, PolicyNumber: p.Number, CollectionAmount: schemas.Rands(p.PremiumCents), Status: p.Status,
			UpdatedAt: p.UpdatedAt.UTC(),
		})
		return nil
	})
}

// patched is the policy as a change left it, even where a later one has overtaken it: the caller must recognise its
// own.
func patched(ctx context.Context, db *read.DB, id string, o read.Outcome) (p read.Policy, err error) {
	ok := false
	if o.Code == schemas.OutcomeOK {
		p, ok, err = db.PolicyOfRequest(ctx, id)
	}
	if !ok && err == nil {
		p, _, err = db.Policy(ctx, id)
	}
	return p, err
}

// GetPolicy is GET /policies/{id}.
func (s *server) GetPolicy(w http.ResponseWriter, r *http.Request, id ID) {
	respondWith(s, w, r, "policy", id, (*read.DB).Policy, policyBody)
}

// ListPolicies is GET /policies.
func (s *server) ListPolicies(w http.ResponseWriter, r *http.Request, params ListPoliciesParams) {
	respondList(s, w, r, params, func(in *input) read.Page {
		p := readPage(in, params.Limit, params.Cursor, 1)
		p.PolicyNumber = filter(in, "policy_number", params.PolicyNumber, aText)
		p.CustomerID = filter(in, "customer_id", params.CustomerID, aText)
		p.Status = filter(in, "status", params.Status, aPolicyStatus)
		return p
	}, (*read.DB).Policies, policyBody, func(p read.Policy) []string { return []string{p.Number} })
}
