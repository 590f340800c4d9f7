package api

import (
	"cmp"
	"context"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

func policyBody(p read.Policy) Policy {
	return Policy{
		ID: p.ID, PolicyNumber: p.Number, CustomerID: p.CustomerID, ExternalCustomerRef: p.ExternalCustomerRef,
		ProductCode: p.ProductCode, CollectionAmount: schemas.Rands(p.PremiumCents), Status: p.Status, Rail: p.Rail,
		MandateReference: orNull(p.MandateReference), MandateMaxAmount: orNull(schemas.Rands(p.MandateMaxCents)),
		MandateFixed: p.MandateFixed, CollectionDay: orNull(int(p.CollectionDay)), Bank: orNull(p.Bank),
		AccountToken: orNull(p.AccountToken), Hold: orNull(p.HoldReason), HoldReason: orNull(p.HoldReason),
		Version: p.Version, CreatedAt: p.CreatedAt.UTC(), UpdatedAt: p.UpdatedAt.UTC(),
	}
}

// CreatePolicy is POST /policies.
func (s *server) CreatePolicy(w http.ResponseWriter, r *http.Request, _ CreatePolicyParams) {
	s.respond(w, r, nil, func(ctx context.Context, info *requestInfo) error {
		in := readInput(w, r, fieldNames()...)
		cmd := readPolicy(in)
		if in.err != nil {
			return in.err
		}
		id := schemas.PolicyID(info.tenant, cmd.PolicyNumber)
		// The pipeline decides; asking first only spares the caller the way through it.
		if was, exists, err := info.db.Policy(ctx, id); err != nil {
			return err
		} else if exists && !info.again {
			return taken(id, cmd.PolicyNumber, was)
		}
		o, err := s.changePolicy(ctx, cmd)
		if err != nil {
			return err
		}
		p, _, err := info.db.Policy(ctx, id)
		if err == nil && o.Code != schemas.OutcomeOK {
			err = taken(id, cmd.PolicyNumber, p)
		}
		if err != nil {
			return err
		}
		w.Header().Set("Location", "/v1/policies/"+p.ID)
		writeJSON(w, http.StatusCreated, PolicyCreated{
			ID: p.ID, PolicyNumber: p.Number, Status: p.Status, CreatedAt: p.CreatedAt.UTC(), Warnings: warningsOf(&p),
		})
		return nil
	})
}

// taken is the error of a number that exists, with the way to what the caller wants.
func taken(id, number string, was read.Policy) error {
	way := "change the policy through PATCH /v1/policies/" + id + " or an import"
	if was.Status == schemas.PolicyCancelled {
		way = "the policy is cancelled: within 30 days PATCH /v1/policies/" + id + ` with {"status":"active"} takes that ` +
			"back; after that use a new policy number"
	}
	return conflict("The policy number exists; %s", way).at("policy_number", "a number that no policy has", number)
}

// readPolicy reads a new policy; faults are in the input.
func readPolicy(in *input) schemas.PolicyCommand {
	cmd := newPolicy(1, schemas.PolicyCreate)
	for _, f := range policyFields {
		if f.name == "status" {
			continue // a new policy is active
		}
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
	cmd.RequestID, cmd.TenantID, cmd.KeyID = info.command, info.tenant, info.grant.KeyID
	o, err := s.outcome(ctx, func() error { return s.Commands.Policies(ctx, []schemas.PolicyCommand{cmd}) })
	if err == nil && o.Code == schemas.OutcomeOK {
		err = awaitCount(ctx, s.Wait, 1, info.db.VersionsOfRequest)
	}
	return o, s.late(err, "It will be carried out: look at GET /v1/policies?policy_number= before you repeat it")
}

// PatchPolicy is PATCH /policies/{id}.
func (s *server) PatchPolicy(w http.ResponseWriter, r *http.Request, id ID, params PatchPolicyParams) {
	s.respond(w, r, nil, func(ctx context.Context, info *requestInfo) error {
		cmd, err := readPatch(w, r)
		if err != nil {
			return err
		}
		p, err := find(ctx, "policy", id, (*read.DB).Policy)
		if err != nil {
			return err
		}
		if cmd.IfVersion, err = wantedVersion(params.IfMatch, &p, info.again); err != nil {
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
		case schemas.OutcomePrecondition:
			return changedSince(*params.IfMatch, o.Message)
		}
		if p, err = patched(ctx, info.db, p.ID, o); err != nil {
			return err
		}
		w.Header().Set("ETag", etagOf(&p))
		writeJSON(w, http.StatusOK, PolicyPatched{
			ID: p.ID, PolicyNumber: p.Number, CollectionAmount: schemas.Rands(p.PremiumCents), Status: p.Status,
			UpdatedAt: p.UpdatedAt.UTC(), Warnings: warningsOf(&p),
		})
		return nil
	})
}

// readPatch reads a merge patch: a field that is null is cleared, where the policy can be without it.
func readPatch(w http.ResponseWriter, r *http.Request) (schemas.PolicyCommand, error) {
	cmd := schemas.PolicyCommand{Row: 1, Action: schemas.PolicyPatch, Terms: &schemas.PolicyTerms{}}
	if got, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); got == "application/merge-patch+json" {
		r.Header.Set("Content-Type", "application/json") // RFC 7396, which is what this is
	}
	names := []string{"customer_id"}
	for _, f := range policyFields {
		if f.given != "" {
			names = append(names, f.name)
		}
	}
	in := readInput(w, r, names...)
	cmd.CustomerID, _ = check(in, "customer_id", in.fields["customer_id"] != nil, aText)
	for _, f := range policyFields {
		raw, there := in.fields[f.name]
		switch {
		case f.given == "" || !there || in.err != nil:
			continue
		case string(raw) == "null" && (f.required || f.given == schemas.GivenStatus):
			in.refuse(invalid(f.name, f.expected, "null", "%s cannot be cleared", f.name))
		case string(raw) != "null":
			if v, ok := in.value(f.name, true, f.json, f.expected); ok {
				if bad := f.set(&cmd, v); bad != nil {
					in.refuse(bad.as400(f.name, v))
				}
			}
		}
		cmd.Given = append(cmd.Given, f.given)
	}
	if in.err == nil && len(in.fields) == 0 {
		in.refuse(invalid("", "one of "+strings.Join(names, ", "), "none", "There is nothing to change"))
	}
	return cmd, in.err
}

// etagOf is the policy's version as an entity tag.
func etagOf(p *read.Policy) string { return `"` + strconv.FormatInt(p.Version, 10) + `"` }

// wantedVersion is the version that the policy must still have; 0 where the caller does not say. The pipeline decides;
// comparing here only spares the caller the way through it. Where an earlier try of the call may have changed the
// policy, what became of that counts.
func wantedVersion(ifMatch *string, p *read.Policy, again bool) (int64, error) {
	if ifMatch == nil || strings.TrimSpace(*ifMatch) == "*" {
		return 0, nil
	}
	for tag := range strings.SplitSeq(*ifMatch, ",") {
		version, err := strconv.ParseInt(strings.Trim(strings.TrimSpace(tag), `"`), 10, 64)
		if strings.TrimSpace(tag) == etagOf(p) || again && err == nil {
			return version, nil
		}
	}
	return 0, changedSince(*ifMatch, "the policy has version "+strconv.FormatInt(p.Version, 10))
}

func changedSince(ifMatch, why string) error {
	return newError(
		http.StatusPreconditionFailed,
		"The policy is not the one that If-Match names: %s; read it again",
		why,
	).
		at("If-Match", "the ETag of the policy as it is", ifMatch)
}

// warningsOf is what the policy's own terms are in the way of.
func warningsOf(p *read.Policy) *[]Warning {
	var out []Warning
	if p.MandateMaxCents > 0 && p.PremiumCents > p.MandateMaxCents {
		effect := "each debit takes the maximum at most"
		if p.MandateFixed {
			effect = "the mandate is fixed, so collections of this amount are not debited until the maximum is raised"
		}
		out = append(
			out,
			Warning{"collection_amount", warnMaximum, fmt.Sprintf("The premium %s is above the mandate's maximum "+
				"%s: %s", p.PremiumCents, p.MandateMaxCents, effect)},
		)
	}
	if p.HoldReason != "" && p.Status == schemas.PolicyActive {
		out = append(
			out,
			Warning{"hold", warnOnHold, "The policy is on hold (" + p.HoldReason + "): it is not debited " +
				"until its mandate changes or its status is set to active"},
		)
	}
	return orNone(out)
}

// orNone is nil for no warnings.
func orNone(l []Warning) *[]Warning {
	if len(l) == 0 {
		return nil
	}
	return &l
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
	respondWith(s, w, r, "policy", id, (*read.DB).Policy, func(p read.Policy) Policy {
		w.Header().Set("ETag", etagOf(&p))
		return policyBody(p)
	})
}

// ListPolicyHistory is GET /policies/{id}/history.
func (s *server) ListPolicyHistory(w http.ResponseWriter, r *http.Request, id ID, params ListPolicyHistoryParams) {
	respondList(s, w, r, params, func(in *input) read.Page {
		return readPage(in, params.Limit, params.Cursor, 1)
	}, func(db *read.DB, ctx context.Context, p read.Page) (rows []read.PolicyVersion, err error) {
		if isID(id) {
			rows, err = db.PolicyHistory(ctx, id, p)
		}
		if err == nil && len(rows) == 0 {
			_, err = find(ctx, "policy", id, (*read.DB).Policy)
		}
		return rows, err
	}, func(v read.PolicyVersion) PolicyVersion {
		return PolicyVersion{
			Version: v.Version, UpdatedAt: v.UpdatedAt.UTC(), Action: cmp.Or(string(v.Action), "BANK"),
			RequestID: orNull(v.RequestID), KeyID: orNull(v.KeyID), Policy: policyBody(v.Policy),
		}
	}, func(v read.PolicyVersion) []string { return []string{strconv.FormatInt(v.Version, 10)} })
}

// ListPolicies is GET /policies.
func (s *server) ListPolicies(w http.ResponseWriter, r *http.Request, params ListPoliciesParams) {
	respondList(s, w, r, params, func(in *input) read.Page {
		p := readPage(in, params.Limit, params.Cursor, 1)
		p.PolicyNumber = filter(in, "policy_number", params.PolicyNumber, aText)
		p.CustomerID = filter(in, "customer_id", params.CustomerID, aText)
		p.Status = filter(in, "status", params.Status, aPolicyStatus)
		p.ExternalCustomerRef = filter(in, "external_customer_ref", params.ExternalCustomerRef, aText)
		p.ProductCode = filter(in, "product_code", params.ProductCode, aText)
		p.UpdatedSince = since(in, params.UpdatedSince)
		return p
	}, (*read.DB).Policies, policyBody, func(p read.Policy) []string { return []string{p.Number} })
}
