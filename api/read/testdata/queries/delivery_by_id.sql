SELECT toString(delivery_id) AS id, any(event_type), any(object_id),
    argMax(status, src_offset) AS stands, argMax(attempts, src_offset), argMax(status_code, src_offset),
    argMax(error, src_offset), argMax(next_attempt_at, src_offset), argMaxIf(payload, src_offset, notEmpty(payload)),
    min(since) AS created, argMax(at, src_offset)
FROM webhook_deliveries_log
WHERE tenant_id = {tenant:String} AND webhook_id = {id:UUID} AND delivery_id = {delivery:UUID}
GROUP BY delivery_id
