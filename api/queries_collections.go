package api

import (
	"context"
	"time"

	"github.com/kasi-collections/kasi/schemas"
)

const sqlCollectionList = `SELECT collection_id, period_month, customer_id, external_customer_ref, policy_number, product_code, due_cents, collected_cents,
    collection_status, first_attempt_date, last_attempt_date, number_of_attempts, last_failure_reason
FROM
(
    SELECT * FROM collections_log
    WHERE tenant_id = {tenant:String}
        AND (empty({period:String}) OR period_month = {period:String})
        AND (empty({policy_number:String}) OR policy_number = {policy_number:String})
        AND (empty({customer_id:String}) OR customer_id = {customer_id:String})
        AND period_month >= {after_period:String} AND (period_month > {after_period:String} OR policy_number > {after_policy:String})
    ORDER BY period_month, collection_id, version DESC
    LIMIT 1 BY period_month, collection_id
)
WHERE empty({status:String}) OR collection_status = {status:String}
ORDER BY period_month, policy_number
LIMIT {limit:UInt32}`

const sqlCollectionByID = `SELECT collection_id, period_month, customer_id, external_customer_ref, policy_number, product_code, due_cents, collected_cents,
    collection_status, first_attempt_date, last_attempt_date, number_of_attempts, last_failure_reason
FROM collections_log
WHERE tenant_id = {tenant:String} AND collection_id = {id:UUID}
ORDER BY version DESC
LIMIT 1`

const sqlCollectionReport = `SELECT collection_id, period_month, customer_id, external_customer_ref, policy_number, product_code, due_cents, collected_cents,
    collection_status, first_attempt_date, last_attempt_date, number_of_attempts, last_failure_reason
FROM
(
    SELECT * FROM collections_log
    WHERE tenant_id = {tenant:String} AND period_month = {period:String}
    ORDER BY collection_id, version DESC
    LIMIT 1 BY collection_id
)
ORDER BY policy_number, collection_id`

const sqlCollectedBetween = `SELECT DISTINCT policy_id
FROM collections_log
WHERE tenant_id = {tenant:String} AND period_month = {period:String} AND policy_id >= {first:UUID} AND policy_id <= {last:UUID}`

const sqlCollectedAmong = `SELECT DISTINCT policy_id
FROM collections_log
WHERE tenant_id = {tenant:String} AND period_month = {period:String} AND collection_id IN {ids:Array(UUID)}`

const sqlCollectionsOfExecution = `SELECT uniqExact(collection_id)
FROM collections_log
WHERE tenant_id = {tenant:String} AND period_month = {period:String} AND execution_id = {execution:String}`

const sqlCollectionsExist = `SELECT count()
FROM (SELECT 1 FROM collections_log WHERE tenant_id = {tenant:String} AND period_month = {period:String} LIMIT 1)`

// collectionFilter is what GET /collections filters by; empty fields do not filter.
type collectionFilter struct{ period, customer, policy, status string }

func scanCollection(row scanner) (c Collection, err error) {
	var due, collected int64
	var period, status, reason string
	var first, last *time.Time
	var attempts uint32
	err = row.Scan(&c.ID, &period, &c.CustomerID, &c.ExternalCustomerRef, &c.PolicyNumber, &c.ProductCode, &due,
		&collected, &status,
		&first, &last, &attempts, &reason)
	c.PeriodMonth, c.CollectionStatus = schemas.Period(period), schemas.CollectionStatus(status)
	c.CollectionAmountDue, c.CollectionAmountCollected, c.Shortfall = schemas.Rands(due), schemas.Rands(collected),
		schemas.Rands(due-collected)
	c.FirstAttemptDate, c.LastAttemptDate = dateOrNull(first), dateOrNull(last)
	c.NumberOfAttempts, c.LastFailureReason = int(attempts), orNull(reason)
	return c, err
}

// dateOrNull writes a ClickHouse Date, which the driver gives as midnight UTC.
func dateOrNull(t *time.Time) *string {
	if t == nil {
		return nil
	}
	d := t.UTC().Format(time.DateOnly)
	return &d
}

// collectionPage reads one row more than the page holds.
func (s *server) collectionPage(ctx context.Context, tenant string, f collectionFilter, p page) ([]Collection, error) {
	return allRows(ctx, s.db, sqlCollectionList, []any{
		arg("tenant", tenant), arg("period", f.period), arg("policy_number", f.policy), arg("customer_id", f.customer),
		arg("status", f.status),
		arg("after_period", p.after[0]), arg("after_policy", p.after[1]), arg("limit", p.limit+1),
	}, scanCollection)
}

func (s *server) collectionByID(ctx context.Context, tenant, id string) (Collection, bool, error) {
	return oneRow(ctx, s.db, sqlCollectionByID, []any{arg("tenant", tenant), arg("id", id)}, scanCollection)
}

func (s *server) eachCollection(ctx context.Context, tenant string, p schemas.Period,
	use func(Collection) error,
) error {
	return eachRow(ctx, s.db, sqlCollectionReport, []any{arg("tenant", tenant), arg("period", string(p))}, scanCollection,
		use)
}

// collectedBetween is which policies with ids from first to last have a collection of the period.
func (s *server) collectedBetween(ctx context.Context, tenant, period, first, last string) (map[string]bool, error) {
	return s.idSet(ctx, sqlCollectedBetween, arg("tenant", tenant), arg("period", period), arg("first", first),
		arg("last", last))
}

// collectedAmong is which policies have one of the collections of the period.
func (s *server) collectedAmong(ctx context.Context, tenant, period string, ids []string) (map[string]bool, error) {
	return s.idSet(ctx, sqlCollectedAmong, arg("tenant", tenant), arg("period", period), arg("ids", ids))
}

func (s *server) idSet(ctx context.Context, query string, args ...any) (map[string]bool, error) {
	have := map[string]bool{}
	err := eachRow(ctx, s.db, query, args, scanOne[string], func(id string) error {
		have[id] = true
		return nil
	})
	return have, err
}

func (s *server) collectionsOfExecution(ctx context.Context, tenant, period, execution string) (n uint64, err error) {
	args := []any{arg("tenant", tenant), arg("period", period), arg("execution", execution)}
	n, _, err = oneRow(ctx, s.db, sqlCollectionsOfExecution, args, scanCount)
	return n, err
}

func (s *server) collectionsExist(ctx context.Context, tenant string, p schemas.Period) (bool, error) {
	n, _, err := oneRow(ctx, s.db, sqlCollectionsExist, []any{arg("tenant", tenant), arg("period", string(p))}, scanCount)
	return n > 0, err
}
