SELECT DISTINCT policy_id
FROM collections_log
WHERE tenant_id = {tenant:String} AND period_month = {period:String}
    AND policy_id >= {first:UUID} AND policy_id <= {last:UUID}
