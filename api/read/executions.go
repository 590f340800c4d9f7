package read

import (
	"context"
	"time"

	"github.com/kasi-collections/kasi/schemas"
)

const sqlPoliciesWithout = `SELECT count()
FROM
(
    SELECT policy_id, status FROM policies_log
    WHERE tenant_id = {tenant:String}
    ORDER BY policy_id, version DESC
    LIMIT 1 BY policy_id
)
WHERE status = 'active' AND policy_id NOT IN
    (
        SELECT policy_id FROM collections_log
        WHERE tenant_id = {tenant:String} AND period_month = {period:String}
        GROUP BY policy_id
        HAVING argMax(collection_status, version) != 'VOIDED'
    )`

// PoliciesWithout counts the active policies that have no collection of the period.
func (d *DB) PoliciesWithout(ctx context.Context, p schemas.Period) (int64, error) {
	n, err := count(ctx, d, sqlPoliciesWithout, params{"period": string(p)})
	return int64(n), err
}

const sqlNotDebited = `SELECT countIf(mandate_fixed AND mandate_max_cents > 0 AND premium_cents > mandate_max_cents),
    countIf(hold_reason != '')
FROM policies_now FINAL
WHERE tenant_id = {tenant:String} AND status = 'active' AND (empty({numbers:Array(String)})
    OR policy_number IN {numbers:Array(String)})`

// NotDebited counts the active policies, of those numbers or all, whose premium is above what a fixed mandate takes,
// and those that are on hold: they are not debited.
func (d *DB) NotDebited(ctx context.Context, numbers []string) (above, held uint64, err error) {
	if numbers == nil {
		numbers = []string{}
	}
	row, _, err := one[struct{ Above, Held uint64 }](ctx, d, sqlNotDebited, params{"numbers": numbers})
	return row.Above, row.Held, err
}

// Execution is how far an execution has come. Named says that the call named its policies. Completed says that nothing
// is left to do.
type Execution struct {
	ID                                  string
	Period                              schemas.Period
	RequestID                           string
	Named                               bool
	Queued, Created, Unchanged, Refused int64
	Completed                           bool
	CreatedAt                           time.Time
	Voids                               string
	Voided                              int64 // collections that were taken back since
	Voiding                             bool  // more are being taken back
}

const sqlExecution = `SELECT any(execution_id), any(period_month), any(request_id), any(named), any(policies_queued),
    sum(collections_created), sum(unchanged), sum(refused), toBool(countIf(done) >= any(parts)),
    min(shown_at), any(voids), sum(voided), false
FROM
(
    SELECT *, ` + shownAt + ` AS shown_at FROM executions_log
    WHERE tenant_id = {tenant:String} AND execution_id = {execution:String}
    ORDER BY part, piece DESC
    LIMIT 1 BY part
)
HAVING count() > 0`

// Execution is an execution by its id. Where its policies were named, the outcomes of its request say how far it is.
func (d *DB) Execution(ctx context.Context, id string) (Execution, bool, error) {
	x, ok, err := one[Execution](ctx, d, sqlExecution, params{"execution": id})
	if err != nil || !ok || x.Voids != "" { // the taking back has no object of its own
		return x, ok && x.Voids == "", err
	}
	if err := d.addVoided(ctx, &x); err != nil || !x.Named {
		return x, ok, err
	}
	c, err := New(d.conn, d.tenant, x.RequestID).OutcomeCounts(ctx)
	x.Created, x.Unchanged, x.Refused = int64(c.OK), int64(c.Unchanged), int64(c.Answered-c.OK-c.Unchanged)
	x.Completed = int64(c.Answered) >= x.Queued
	return x, ok, err
}

const sqlVoidsOf = `SELECT execution_id, sum(voided), toBool(countIf(done) >= any(parts))
FROM
(
    SELECT * FROM executions_log
    WHERE tenant_id = {tenant:String} AND voids = {execution:String}
    ORDER BY execution_id, part, piece DESC
    LIMIT 1 BY execution_id, part
)
GROUP BY execution_id`

// addVoided adds what was taken back of an execution.
func (d *DB) addVoided(ctx context.Context, x *Execution) error {
	voids, err := all[struct {
		ID     string
		Voided int64
		Done   bool
	}](ctx, d, sqlVoidsOf, params{"execution": x.ID})
	for _, v := range voids {
		x.Voided += v.Voided
		x.Voiding = x.Voiding || !v.Done
	}
	return err
}

const sqlVoidedCollections = `SELECT count()
FROM
(
    SELECT collection_status FROM collections_log
    WHERE tenant_id = {tenant:String} AND period_month = {period:String} AND execution_id = {execution:String}
    ORDER BY collection_id, version DESC
    LIMIT 1 BY collection_id
)
WHERE collection_status = 'VOIDED'`

// VoidOf tells whether a command that takes an execution back is done and can be seen in the collections, and how many
// of them it has taken back so far.
func (d *DB) VoidOf(ctx context.Context, p schemas.Period, id, of string) (done bool, voided uint64, err error) {
	x, ok, err := one[Execution](ctx, d, sqlExecution, params{"execution": id})
	if err != nil || !ok {
		return false, 0, err
	}
	seen, err := count(ctx, d, sqlVoidedCollections, params{"period": string(p), "execution": of})
	return x.Completed && seen >= uint64(x.Voided), uint64(x.Voided), err
}
