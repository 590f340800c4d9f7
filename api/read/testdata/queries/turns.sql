SELECT collection_id, policy_number, toString(business_date), action, reason, explanation,
    amount_cents, ifNull(toString(next_date), '')
FROM decisions_log
WHERE tenant_id = {tenant:String} AND policy_number IN {numbers:Array(String)}
    AND period_month IN {periods:Array(String)} AND customer_id = {customer_id:String}
ORDER BY business_date DESC, seq DESC
LIMIT 1 BY event_id
LIMIT 2000
