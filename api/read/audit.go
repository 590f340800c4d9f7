package read

import (
	"context"
	"time"
)

// Call is a changing call of the API as the audit has it.
type Call struct {
	At                        time.Time
	RequestID, KeyID, Address string
	Method, Route, ObjectID   string
	Status                    int64
	Outcome                   string
	Replayed                  bool
}

const sqlAudit = `SELECT at, request_id, key_id, address, method, route, object_id, toInt64(status), outcome, replayed
FROM audit_log
WHERE tenant_id = {tenant:String} AND at >= parseDateTime64BestEffort({since:String}, 9, 'UTC')
    AND ({after:String} = '' OR
        (at, request_id) > (parseDateTime64BestEffortOrZero({after:String}, 9, 'UTC'), {id:String}))
ORDER BY at, request_id
LIMIT 1 BY request_id
LIMIT {limit:UInt32}`

// Audit is one page of the tenant's changing calls since an instant, from the oldest on.
func (d *DB) Audit(ctx context.Context, p Page) ([]Call, error) {
	since := p.Since
	if since.IsZero() {
		since = time.Unix(0, 0)
	}
	return all[Call](ctx, d, sqlAudit, params{
		"since": since.UTC().Format(time.RFC3339Nano), "after": p.After[0], "id": p.After[1], "limit": p.Limit,
	})
}
