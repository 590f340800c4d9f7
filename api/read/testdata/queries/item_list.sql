SELECT item_id, kind, state, period_month, customer_id, policy_number, toString(collection_id), debit_id,
    amount_cents, said_cents, toString(action_date), toString(since), result_id, note, version, at,
    toString(business_date)
FROM
(
    SELECT * FROM open_items_log
    WHERE tenant_id = {tenant:String} AND (empty({after:String}) OR item_id > toUUIDOrZero({after:String}))
        AND (empty({policy_number:String}) OR policy_number = {policy_number:String})
        AND (empty({customer_id:String}) OR customer_id = {customer_id:String})
        AND (empty({period:String}) OR period_month = {period:String})
    ORDER BY item_id, version DESC
    LIMIT 1 BY item_id
)
WHERE empty({status:String}) OR state = {status:String}
ORDER BY item_id
LIMIT {limit:UInt32}
