SELECT toString(event_id), seq, toString(business_date), at, tenant_id, customer_id, policy_number,
    toString(collection_id), period_month, action, reason, explanation, debit_id, amount_cents,
    ifNull(toString(tracking_until), ''), ifNull(toString(next_date), ''), alternatives, inputs, situation
FROM decisions_log
WHERE tenant_id = {tenant:String} AND collection_id = {id:UUID} AND (policy_number, period_month) IN
    (
        SELECT policy_number, period_month FROM collections_log
        WHERE tenant_id = {tenant:String} AND collection_id = {id:UUID}
        LIMIT 1
    )
    AND business_date <= toDate({day:String})
ORDER BY business_date DESC, at DESC, seq DESC
LIMIT 1
