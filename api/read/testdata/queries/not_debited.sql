SELECT countIf(mandate_fixed AND mandate_max_cents > 0 AND premium_cents > mandate_max_cents),
    countIf(hold_reason != '')
FROM policies_now FINAL
WHERE tenant_id = {tenant:String} AND status = 'active' AND (empty({numbers:Array(String)})
    OR policy_number IN {numbers:Array(String)})
