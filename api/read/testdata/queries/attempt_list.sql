SELECT attempt, period_month, debit_id, amount_cents, toString(action_date),
    ifNull(toString(tracking_until), ''), rail, transaction_ids
FROM debits_log
WHERE tenant_id = {tenant:String} AND collection_id = {id:UUID} AND period_month IN
    (
        SELECT period_month FROM collections_log
        WHERE tenant_id = {tenant:String} AND collection_id = {id:UUID}
        LIMIT 1
    )
    AND attempt > toUInt32OrZero({after:String})
ORDER BY attempt
LIMIT 1 BY attempt
LIMIT {limit:UInt32}
