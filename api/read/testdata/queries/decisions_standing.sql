SELECT toString(collection_id), action, reason, explanation,
    ifNull(toString(next_date), '')
FROM decisions_log
WHERE tenant_id = {tenant:String} AND policy_number IN {numbers:Array(String)}
    AND period_month IN {periods:Array(String)}
ORDER BY policy_number, period_month, business_date DESC, at DESC, seq DESC
LIMIT 1 BY policy_number, period_month
