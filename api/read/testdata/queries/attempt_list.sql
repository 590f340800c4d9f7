SELECT attempt, debit_id, amount_cents, toString(action_date),
    ifNull(toString(tracking_until), ''), rail, transaction_ids
FROM debits_log
WHERE tenant_id = {tenant:String} AND period_month = {period:String} AND collection_id = {id:UUID}
    AND attempt > toUInt32OrZero({after:String})
ORDER BY attempt
LIMIT 1 BY attempt
LIMIT {limit:UInt32}
