SELECT at, request_id, key_id, address, method, route, object_id, toInt64(status), outcome, replayed
FROM audit_log
WHERE tenant_id = {tenant:String} AND at >= parseDateTime64BestEffort({since:String}, 9, 'UTC')
    AND ({after:String} = '' OR
        (at, request_id) > (parseDateTime64BestEffortOrZero({after:String}, 9, 'UTC'), {id:String}))
ORDER BY at, request_id
LIMIT 1 BY request_id
LIMIT {limit:UInt32}
