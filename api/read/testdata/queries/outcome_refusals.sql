SELECT row, any(line), any(policy_number), any(code), any(message)
FROM outcomes_log
WHERE request_id = {request:String} AND tenant_id = {tenant:String} AND code NOT IN ('OK', 'UNCHANGED')
GROUP BY row
ORDER BY row
LIMIT {limit:UInt32}
