SELECT toString(delivery_id) AS id, any(event_type), any(object_id),
    argMax(status, src_offset) AS stands, argMax(attempts, src_offset), argMax(status_code, src_offset),
    argMax(error, src_offset), argMax(next_attempt_at, src_offset), argMaxIf(payload, src_offset, notEmpty(payload)),
    min(since) AS created, argMax(at, src_offset)
FROM webhook_deliveries_log
WHERE tenant_id = {tenant:String} AND webhook_id = {id:UUID}
    AND (empty({type:String}) OR event_type = {type:String})
    AND (empty({object:String}) OR object_id = {object:String})
GROUP BY delivery_id
HAVING (empty({status:String}) OR stands = {status:String})
    AND (empty({after_created:String})
        OR (-toUnixTimestamp64Milli(created), id) > (-toInt64OrZero({after_created:String}), {after_id:String}))
ORDER BY created DESC, id
LIMIT {limit:UInt32}
