SELECT code, message, object_id, statement
FROM outcomes_log
WHERE request_id = {request:String} AND tenant_id = {tenant:String}
ORDER BY row, code != 'OK', event_id
LIMIT 1
