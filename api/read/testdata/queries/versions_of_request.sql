SELECT uniqExact(policy_id, version)
FROM policies_log
WHERE tenant_id = {tenant:String} AND request_id = {request:String}
