package api

import (
	"context"

	"github.com/kasi-collections/kasi/schemas"
)

const sqlPolicyList = `SELECT policy_id, policy_number, customer_id, external_customer_ref, product_code, premium_cents, status, rail,
    mandate_reference, mandate_max_cents, mandate_fixed, collection_day, hold_reason, version, created_at, updated_at
FROM
(
    SELECT * FROM policies_log
    WHERE tenant_id = {tenant:String} AND policy_number > {after:String}
        AND (empty({policy_number:String}) OR policy_id = {policy_id:UUID})
        AND (empty({customer_id:String}) OR customer_id = {customer_id:String})
    ORDER BY policy_id, version DESC
    LIMIT 1 BY policy_id
)
WHERE empty({status:String}) OR status = {status:String}
ORDER BY policy_number
LIMIT {limit:UInt32}`

const sqlPolicyByID = `SELECT policy_id, policy_number, customer_id, external_customer_ref, product_code, premium_cents, status, rail,
    mandate_reference, mandate_max_cents, mandate_fixed, collection_day, hold_reason, version, created_at, updated_at
FROM policies_log
WHERE tenant_id = {tenant:String} AND policy_id = {id:UUID}
ORDER BY version DESC
LIMIT 1`

const sqlPolicyOfRequest = `SELECT policy_id, policy_number, customer_id, external_customer_ref, product_code, premium_cents, status, rail,
    mandate_reference, mandate_max_cents, mandate_fixed, collection_day, hold_reason, version, created_at, updated_at
FROM policies_log
WHERE tenant_id = {tenant:String} AND policy_id = {id:UUID} AND request_id = {request:String}
ORDER BY version DESC
LIMIT 1`

const sqlPoliciesByIDs = `SELECT policy_id, policy_number, customer_id, status
FROM policies_log
WHERE tenant_id = {tenant:String} AND policy_id IN {ids:Array(UUID)}
ORDER BY policy_id, version DESC
LIMIT 1 BY policy_id`

const sqlPoliciesAfter = `SELECT policy_id, policy_number, customer_id, status
FROM policies_log
WHERE tenant_id = {tenant:String} AND policy_id > {after:UUID}
ORDER BY policy_id, version DESC
LIMIT 1 BY policy_id
LIMIT {limit:UInt32}`

const sqlPoliciesOfRequest = `SELECT uniqExact(policy_id)
FROM policies_log
WHERE tenant_id = {tenant:String} AND request_id = {request:String}`

// sqlPoliciesUnchanged counts the rows of a request that changed nothing and whose policy can be read.
const sqlPoliciesUnchanged = `SELECT uniqExact(row)
FROM outcomes_log
WHERE request_id = {request:String} AND tenant_id = {tenant:String} AND code = 'UNCHANGED'
  AND object_id IN (SELECT toString(policy_id) FROM policies_log WHERE tenant_id = {tenant:String})`

// policyFilter is what GET /policies filters by; empty fields do not filter.
type policyFilter struct{ number, customer, status string }

func scanPolicy(row scanner) (p Policy, err error) {
	var premium, maximum int64
	var status, rail, reference, hold string
	var day uint8
	err = row.Scan(&p.ID, &p.PolicyNumber, &p.CustomerID, &p.ExternalCustomerRef, &p.ProductCode, &premium, &status, &rail,
		&reference,
		&maximum, &p.MandateFixed, &day, &hold, &p.Version, &p.CreatedAt, &p.UpdatedAt)
	if err != nil {
		return p, err
	}
	p.CollectionAmount, p.Status, p.Rail = schemas.Rands(premium), schemas.PolicyStatus(status), schemas.Rail(rail)
	p.MandateReference, p.HoldReason = orNull(reference), orNull(hold)
	if maximum != 0 {
		m := schemas.Rands(maximum)
		p.MandateMaxAmount = &m
	}
	if day != 0 {
		d := int(day)
		p.CollectionDay = &d
	}
	p.CreatedAt, p.UpdatedAt = p.CreatedAt.UTC(), p.UpdatedAt.UTC()
	return p, nil
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// policyPage reads one row more than the page holds.
func (s *server) policyPage(ctx context.Context, tenant string, f policyFilter, p page) ([]Policy, error) {
	return allRows(ctx, s.db, sqlPolicyList, []any{
		arg("tenant", tenant), arg("after", p.after[0]), arg("policy_number", f.number),
		arg("policy_id", schemas.PolicyID(tenant, f.number)),
		arg("customer_id", f.customer), arg("status", f.status), arg("limit", p.limit+1),
	}, scanPolicy)
}

func (s *server) policyByID(ctx context.Context, tenant, id string) (Policy, bool, error) {
	return oneRow(ctx, s.db, sqlPolicyByID, []any{arg("tenant", tenant), arg("id", id)}, scanPolicy)
}

// policyOfRequest is the version of a policy that one request made. Another request may have made a later one already.
func (s *server) policyOfRequest(ctx context.Context, tenant, id, request string) (Policy, bool, error) {
	return oneRow(ctx, s.db, sqlPolicyOfRequest, []any{arg("tenant", tenant), arg("id", id), arg("request", request)},
		scanPolicy)
}

// policyRef is what an execution needs of a policy.
type policyRef struct {
	id, number, customer string
	status               schemas.PolicyStatus
}

func scanPolicyRef(row scanner) (p policyRef, err error) {
	var status string
	err = row.Scan(&p.id, &p.number, &p.customer, &status)
	p.status = schemas.PolicyStatus(status)
	return p, err
}

func (s *server) policiesByIDs(ctx context.Context, tenant string, ids []string) ([]policyRef, error) {
	return allRows(ctx, s.db, sqlPoliciesByIDs, []any{arg("tenant", tenant), arg("ids", ids)}, scanPolicyRef)
}

// policiesAfter is the next page of all policies in the order of their ids, which is the table's.
func (s *server) policiesAfter(ctx context.Context, tenant, after string, limit int) ([]policyRef, error) {
	return allRows(ctx, s.db, sqlPoliciesAfter, []any{arg("tenant", tenant), arg("after", after), arg("limit", limit)},
		scanPolicyRef)
}

func (s *server) policiesOfRequest(ctx context.Context, tenant, request string) (n uint64, err error) {
	n, _, err = oneRow(ctx, s.db, sqlPoliciesOfRequest, []any{arg("tenant", tenant), arg("request", request)}, scanCount)
	return n, err
}

func (s *server) policiesUnchanged(ctx context.Context, tenant, request string) (n uint64, err error) {
	n, _, err = oneRow(ctx, s.db, sqlPoliciesUnchanged, []any{arg("tenant", tenant), arg("request", request)}, scanCount)
	return n, err
}

func scanCount(row scanner) (uint64, error) { return scanOne[uint64](row) }
