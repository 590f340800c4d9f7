SELECT uniqExact(collection_id)
FROM collections_log
WHERE tenant_id = {tenant:String} AND period_month = {period:String} AND execution_id = {execution:String}
