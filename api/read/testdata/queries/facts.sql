SELECT collection_id, policy_number, period_month, change_kind, change_debit_id,
    change_amount_cents, moved_cents, reason_scheme, reason_code, ifNull(toString(effective_date), ''),
    collected_cents, due_cents, toString(business_date), at
FROM collections_log
WHERE tenant_id = {tenant:String} AND period_month IN {periods:Array(String)}
    AND policy_number IN {numbers:Array(String)} AND customer_id = {customer_id:String}
ORDER BY business_date DESC, period_month, collection_id, version DESC
LIMIT 1 BY period_month, collection_id, version
LIMIT 2000
