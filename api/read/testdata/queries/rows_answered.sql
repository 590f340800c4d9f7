SELECT DISTINCT row
FROM outcomes_log
WHERE request_id = {request:String} AND tenant_id = {tenant:String} AND row BETWEEN {from:UInt32} AND {to:UInt32}
