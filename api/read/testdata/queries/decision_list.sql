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
    AND business_date >= toDateOrZero({after_date:String})
    AND (business_date > toDateOrZero({after_date:String})
        OR (toUnixTimestamp64Milli(at), seq) > (toInt64OrZero({after_at:String}), toInt64OrZero({after_seq:String})))
ORDER BY business_date, at, seq
LIMIT 1 BY event_id
LIMIT {limit:UInt32}
