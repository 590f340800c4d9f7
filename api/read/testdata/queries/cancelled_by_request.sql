SELECT uniqExact(policy_id)
FROM policies_log
WHERE tenant_id = {tenant:String} AND request_id = {request:String} AND status = 'cancelled' AND version > 1
