SELECT arrayReduce('maxForEach', coverage_to)
FROM settlements_log
WHERE tenant_id = {tenant:String} AND settlement_id = {id:UUID}
LIMIT 1
