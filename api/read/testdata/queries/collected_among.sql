SELECT policy_id
FROM collections_log
WHERE tenant_id = {tenant:String} AND period_month = {period:String} AND collection_id IN {ids:Array(UUID)}
GROUP BY policy_id
HAVING argMax(collection_status, version) != 'VOIDED'
