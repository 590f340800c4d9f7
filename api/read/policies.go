package read

import (
	"context"
	"time"

	"github.com/kasi-collections/kasi/schemas"
)

const policyColumns = `policy_id, policy_number, customer_id, external_customer_ref, product_code, premium_cents,
    status, rail, mandate_reference, mandate_max_cents, mandate_fixed, collection_day, hold_reason, version,
    created_at, updated_at`

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
	HoldReason                                               string
	Version                                                  int64
	CreatedAt, UpdatedAt                                     time.Time
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
        AND (empty({customer_id:String}) OR customer_id = {customer_id:String})
    ORDER BY policy_id, version DESC
    LIMIT 1 BY policy_id
)
WHERE empty({status:String}) OR status = {status:String}
ORDER BY policy_number
LIMIT {limit:UInt32}`

// Policies are a page of the policies in the order of their numbers.
func (d *DB) Policies(ctx context.Context, p Page) ([]Policy, error) {
	return all[Policy](ctx, d, sqlPolicyList, d.page(p, "after"))
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

const sqlPoliciesOfRequest = `SELECT uniqExact(policy_id)
FROM policies_log
WHERE tenant_id = {tenant:String} AND request_id = {request:String}`

// PoliciesOfRequest counts the policies of which a request made a version.
func (d *DB) PoliciesOfRequest(ctx context.Context) (uint64, error) {
	return count(ctx, d, sqlPoliciesOfRequest, nil)
}

const sqlPoliciesUnchanged = `SELECT uniqExact(row)
FROM outcomes_log
WHERE request_id = {request:String} AND tenant_id = {tenant:String} AND code = 'UNCHANGED'
  AND object_id IN (SELECT toString(policy_id) FROM policies_log WHERE tenant_id = {tenant:String})`

// PoliciesUnchanged counts the rows of a request that changed nothing and whose policy can be read.
func (d *DB) PoliciesUnchanged(ctx context.Context) (uint64, error) {
	return count(ctx, d, sqlPoliciesUnchanged, nil)
}
