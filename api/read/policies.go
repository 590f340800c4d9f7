package read

import (
	"context"
	"time"

	"github.com/kasi-collections/kasi/schemas"
)

const policyColumns = `policy_id, policy_number, customer_id, external_customer_ref, product_code, premium_cents,
    status, rail, mandate_reference, mandate_max_cents, mandate_fixed, collection_day, bank, account_token,
    hold_reason, version, created_at, updated_at`

// Policy is one version of a policy. CollectionDay and MandateMaxCents are 0 where there is none.
type Policy struct {
	ID, Number, CustomerID, ExternalCustomerRef, ProductCode string
	PremiumCents                                             schemas.Cents
	Status                                                   schemas.PolicyStatus
	Rail                                                     schemas.Rail
	MandateReference                                         string
	MandateMaxCents                                          schemas.Cents
	MandateFixed                                             bool
	CollectionDay                                            uint8
	Bank, AccountToken                                       string
	HoldReason                                               string
	Version                                                  int64
	CreatedAt, UpdatedAt                                     time.Time
}

// Terms are the policy's terms.
func (p *Policy) Terms() schemas.PolicyTerms {
	return schemas.PolicyTerms{
		ExternalCustomerRef: p.ExternalCustomerRef, ProductCode: p.ProductCode, PremiumCents: p.PremiumCents,
		Status: p.Status, Rail: p.Rail, MandateReference: p.MandateReference, MandateMaxCents: p.MandateMaxCents,
		MandateFixed: p.MandateFixed, CollectionDay: int(p.CollectionDay), Bank: p.Bank, AccountToken: p.AccountToken,
	}
}

// PolicyRef is what an execution needs of a policy.
type PolicyRef struct {
	ID, Number, CustomerID string
	Status                 schemas.PolicyStatus
}

const sqlPolicyList = `SELECT ` + policyColumns + `
FROM
(
    SELECT * FROM policies_log
    WHERE tenant_id = {tenant:String} AND policy_number > {after:String}
        AND (empty({policy_number:String}) OR policy_id = {policy_id:UUID})
        AND (empty({customer_id:String}) OR policy_id IN
        (
            SELECT policy_id FROM policies_log
            WHERE tenant_id = {tenant:String} AND customer_id = {customer_id:String}
                AND notEmpty({customer_id:String})
        ))
    ORDER BY policy_id, version DESC
    LIMIT 1 BY policy_id
)
WHERE (empty({customer_id:String}) OR customer_id = {customer_id:String})
    AND (empty({status:String}) OR status = {status:String})
    AND (empty({external_customer_ref:String}) OR external_customer_ref = {external_customer_ref:String})
    AND (empty({product_code:String}) OR product_code = {product_code:String})
    AND updated_at >= fromUnixTimestamp64Milli({updated_since:Int64}, 'UTC')
ORDER BY policy_number
LIMIT {limit:UInt32}`

// Policies are a page of the policies in the order of their numbers.
func (d *DB) Policies(ctx context.Context, p Page) ([]Policy, error) {
	return all[Policy](ctx, d, sqlPolicyList, d.page(p, "after"))
}

const sqlPolicyEach = `SELECT ` + policyColumns + `
FROM policies_log
WHERE tenant_id = {tenant:String}
ORDER BY policy_id, version DESC
LIMIT 1 BY policy_id`

// EachPolicy hands over all policies one after the other, in no order that means anything. It has no time limit of its
// own.
func (d *DB) EachPolicy(ctx context.Context, use func(Policy) error) error {
	return each(ctx, d, sqlPolicyEach, nil, use)
}

// PolicyVersion is a version of a policy, and the call that made it. Action is empty where the bank's answer did.
type PolicyVersion struct {
	Policy
	Action           schemas.PolicyAction
	RequestID, KeyID string
}

const sqlPolicyHistory = `SELECT ` + policyColumns + `, action, request_id, key_id
FROM policies_log
WHERE tenant_id = {tenant:String} AND policy_id = {id:UUID} AND version > toInt64OrZero({after:String})
ORDER BY version
LIMIT 1 BY version
LIMIT {limit:UInt32}`

// PolicyHistory is a page of the versions of a policy, the first one first.
func (d *DB) PolicyHistory(ctx context.Context, id string, p Page) ([]PolicyVersion, error) {
	args := d.page(p, "after")
	args["id"] = id
	return all[PolicyVersion](ctx, d, sqlPolicyHistory, args)
}

const sqlPolicyByID = `SELECT ` + policyColumns + `
FROM policies_log
WHERE tenant_id = {tenant:String} AND policy_id = {id:UUID}
ORDER BY version DESC
LIMIT 1`

// Policy is the latest version of a policy.
func (d *DB) Policy(ctx context.Context, id string) (Policy, bool, error) {
	return one[Policy](ctx, d, sqlPolicyByID, params{"id": id})
}

const sqlPolicyOfRequest = `SELECT ` + policyColumns + `
FROM policies_log
WHERE tenant_id = {tenant:String} AND policy_id = {id:UUID} AND request_id = {request:String}
ORDER BY version DESC
LIMIT 1`

// PolicyOfRequest is the version of a policy that one request made. Another request may have made a later one already.
func (d *DB) PolicyOfRequest(ctx context.Context, id string) (Policy, bool, error) {
	return one[Policy](ctx, d, sqlPolicyOfRequest, params{"id": id})
}

const sqlPoliciesByIDs = `SELECT policy_id, policy_number, customer_id, status
FROM policies_log
WHERE tenant_id = {tenant:String} AND policy_id IN {ids:Array(UUID)}
ORDER BY policy_id, version DESC
LIMIT 1 BY policy_id`

// PoliciesByIDs are those of the ids that exist.
func (d *DB) PoliciesByIDs(ctx context.Context, ids []string) ([]PolicyRef, error) {
	return all[PolicyRef](ctx, d, sqlPoliciesByIDs, params{"ids": ids})
}

const sqlVersionsOfRequest = `SELECT uniqExact(policy_id, version)
FROM policies_log
WHERE tenant_id = {tenant:String} AND request_id = {request:String}`

// VersionsOfRequest counts the versions of policies that a request made.
func (d *DB) VersionsOfRequest(ctx context.Context) (uint64, error) {
	return count(ctx, d, sqlVersionsOfRequest, nil)
}

const sqlPoliciesUnchanged = `SELECT uniqExact(row)
FROM outcomes_log
WHERE request_id = {request:String} AND tenant_id = {tenant:String} AND code = 'UNCHANGED'
  AND object_id IN (SELECT toString(policy_id) FROM policies_log WHERE tenant_id = {tenant:String})`

// PoliciesUnchanged counts the rows of a request that changed nothing and whose policy can be read.
func (d *DB) PoliciesUnchanged(ctx context.Context) (uint64, error) {
	return count(ctx, d, sqlPoliciesUnchanged, nil)
}
