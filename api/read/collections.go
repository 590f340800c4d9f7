package read

import (
	"context"
	"time"

	"github.com/kasi-collections/kasi/schemas"
)

const collectionColumns = `collection_id, period_month, customer_id, external_customer_ref, policy_number,
    product_code, due_cents, collected_cents, in_flight_cents, collection_status, first_attempt_date,
    last_attempt_date, number_of_attempts, last_failure_reason`

// Collection is the latest version of a collection. The dates are midnight UTC, nil before the first attempt.
type Collection struct {
	ID                                                         string
	Period                                                     schemas.Period
	CustomerID, ExternalCustomerRef, PolicyNumber, ProductCode string
	DueCents, CollectedCents, InFlightCents                    schemas.Cents
	Status                                                     schemas.CollectionStatus
	FirstAttempt, LastAttempt                                  *time.Time
	Attempts                                                   uint32
	LastFailureReason                                          string
}

// shownAt is when a row was made, as users see it: under a manual calendar it is the same time of the business date.
const shownAt = `fromUnixTimestamp64Milli(toUnixTimestamp64Milli(at) +
        86400000 * toInt64(business_date - toDate(at, 'Africa/Johannesburg')), 'UTC')`

const sqlCollectionList = `SELECT ` + collectionColumns + `
FROM
(
    SELECT * FROM collections_log
    WHERE tenant_id = {tenant:String}
        AND (empty({period:String}) OR period_month = {period:String})
        AND (empty({policy_number:String}) OR policy_number = {policy_number:String})
        AND (empty({customer_id:String}) OR collection_id IN
        (
            SELECT collection_id FROM collections_log
            WHERE tenant_id = {tenant:String} AND customer_id = {customer_id:String}
                AND notEmpty({customer_id:String})
                AND (empty({period:String}) OR period_month = {period:String})
        ))
        AND period_month >= {after_period:String}
        AND (period_month > {after_period:String} OR policy_number > {after_policy:String})
    ORDER BY period_month, collection_id, version DESC
    LIMIT 1 BY period_month, collection_id
)
WHERE collection_status != 'VOIDED'
    AND (empty({customer_id:String}) OR customer_id = {customer_id:String})
    AND (empty({status:String}) OR collection_status = {status:String})
    AND (empty({product_code:String}) OR product_code = {product_code:String})
    AND (empty({failure_reason:String}) OR last_failure_reason = {failure_reason:String})
    AND (empty({failed:String}) OR (last_failure_reason != '') = ({failed:String} = 'yes'))
    AND (empty({attempted:String}) OR (number_of_attempts > 0) = ({attempted:String} = 'yes'))
    AND ` + shownAt + ` >= fromUnixTimestamp64Milli({updated_since:Int64}, 'UTC')
ORDER BY period_month, policy_number
LIMIT {limit:UInt32}`

// Collections are a page of the collections in the order of their periods and policy numbers.
func (d *DB) Collections(ctx context.Context, p Page) ([]Collection, error) {
	return all[Collection](ctx, d, sqlCollectionList, d.page(p, "after_period", "after_policy"))
}

const sqlCollectionByID = `SELECT ` + collectionColumns + `
FROM collections_log
WHERE tenant_id = {tenant:String} AND collection_id = {id:UUID}
ORDER BY version DESC
LIMIT 1`

// Collection is a collection by its id.
func (d *DB) Collection(ctx context.Context, id string) (Collection, bool, error) {
	return one[Collection](ctx, d, sqlCollectionByID, params{"id": id})
}

const sqlCollectionReport = `SELECT ` + collectionColumns + `
FROM
(
    SELECT * FROM collections_log
    WHERE tenant_id = {tenant:String} AND period_month = {period:String}
    ORDER BY collection_id, version DESC
    LIMIT 1 BY collection_id
)
WHERE collection_status != 'VOIDED'
ORDER BY policy_number, collection_id`

// EachCollection hands over the collections of a period one after the other, in the order of their policy numbers. It
// has no time limit of its own.
func (d *DB) EachCollection(ctx context.Context, p schemas.Period, use func(Collection) error) error {
	return each(ctx, d, sqlCollectionReport, params{"period": string(p)}, use)
}

const sqlCollectedAmong = `SELECT policy_id
FROM collections_log
WHERE tenant_id = {tenant:String} AND period_month = {period:String} AND collection_id IN {ids:Array(UUID)}
GROUP BY policy_id
HAVING argMax(collection_status, version) != 'VOIDED'`

// CollectedAmong is which policies have one of the collections of the period.
func (d *DB) CollectedAmong(ctx context.Context, p schemas.Period, ids []string) (map[string]bool, error) {
	return d.ids(ctx, sqlCollectedAmong, params{"period": string(p), "ids": ids})
}

func (d *DB) ids(ctx context.Context, query string, p params) (map[string]bool, error) {
	rows, err := all[struct{ ID string }](ctx, d, query, p)
	ids := make(map[string]bool, len(rows))
	for _, row := range rows {
		ids[row.ID] = true
	}
	return ids, err
}

const sqlCollectionsOfExecution = `SELECT uniqExact(collection_id)
FROM collections_log
WHERE tenant_id = {tenant:String} AND period_month = {period:String} AND execution_id = {execution:String}`

// CollectionsOfExecution counts the collections of the period that an execution made.
func (d *DB) CollectionsOfExecution(ctx context.Context, p schemas.Period, id string) (uint64, error) {
	return count(ctx, d, sqlCollectionsOfExecution, params{"period": string(p), "execution": id})
}

const sqlCollectionsExist = `SELECT count()
FROM (SELECT 1 FROM collections_log WHERE tenant_id = {tenant:String} AND period_month = {period:String} LIMIT 1)`

// HasCollections tells whether the period has any collection.
func (d *DB) HasCollections(ctx context.Context, p schemas.Period) (bool, error) {
	n, err := count(ctx, d, sqlCollectionsExist, params{"period": string(p)})
	return n > 0, err
}

const sqlReportOpen = `SELECT count()
FROM
(
    SELECT in_flight_cents FROM collections_log
    WHERE tenant_id = {tenant:String} AND period_month = {period:String}
    ORDER BY collection_id, version DESC
    LIMIT 1 BY collection_id
)
WHERE in_flight_cents > 0`

// CollectionsInFlight counts the collections of a period that have a debit with the bank.
func (d *DB) CollectionsInFlight(ctx context.Context, p schemas.Period) (uint64, error) {
	return count(ctx, d, sqlReportOpen, params{"period": string(p)})
}

const sqlPoliciesOf = `SELECT ` + policyColumns + `
FROM policies_log
WHERE tenant_id = {tenant:String} AND policy_id IN {ids:Array(UUID)}
ORDER BY policy_id, version DESC
LIMIT 1 BY policy_id`

// PoliciesOf are the policies of some collections, by their numbers.
func (d *DB) PoliciesOf(ctx context.Context, rows []Collection) (map[string]Policy, error) {
	ids := make([]string, len(rows))
	for i, c := range rows {
		ids[i] = schemas.PolicyID(d.tenant, c.PolicyNumber)
	}
	found, err := all[Policy](ctx, d, sqlPoliciesOf, params{"ids": ids})
	out := make(map[string]Policy, len(found))
	for _, p := range found {
		out[p.Number] = p
	}
	return out, err
}
