SELECT uniqExact(row), uniqExactIf(row, code = 'OK'), uniqExactIf(row, code = 'UNCHANGED')
FROM outcomes_log
WHERE request_id = {request:String} AND tenant_id = {tenant:String}
