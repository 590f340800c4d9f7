SELECT any(execution_id), any(period_month), any(request_id), any(named), any(policies_queued),
    sum(collections_created), sum(unchanged), sum(refused), toBool(countIf(done) >= any(parts)),
    min(shown_at), any(voids), sum(voided), false
FROM
(
    SELECT *, fromUnixTimestamp64Milli(toUnixTimestamp64Milli(at) +
        86400000 * toInt64(business_date - toDate(at, 'Africa/Johannesburg')), 'UTC') AS shown_at FROM executions_log
    WHERE tenant_id = {tenant:String} AND execution_id = {execution:String}
    ORDER BY part, piece DESC
    LIMIT 1 BY part
)
HAVING count() > 0
