SELECT item_id, kind, state, period_month, customer_id, policy_number, toString(collection_id), debit_id,
    amount_cents, said_cents, toString(action_date), toString(since), result_id, note, version, at,
    toString(business_date)
FROM open_items_log
WHERE tenant_id = {tenant:String} AND item_id = {id:UUID}
ORDER BY version DESC
LIMIT 1
