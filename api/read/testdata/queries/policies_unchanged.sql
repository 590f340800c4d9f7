SELECT uniqExact(row)
FROM outcomes_log
WHERE request_id = {request:String} AND tenant_id = {tenant:String} AND code = 'UNCHANGED'
  AND object_id IN (SELECT toString(policy_id) FROM policies_log WHERE tenant_id = {tenant:String})
