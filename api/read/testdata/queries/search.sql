SELECT kind, id, customer, text FROM
(
    SELECT DISTINCT 'policy' AS kind, toString(policy_id) AS id, customer_id AS customer, policy_number AS text
    FROM policies_now FINAL WHERE tenant_id = {tenant:String} AND policy_number = {q:String}
    UNION ALL
    SELECT DISTINCT 'customer', customer_id, customer_id, customer_id
    FROM policies_now WHERE tenant_id = {tenant:String} AND customer_id = {q:String}
    UNION ALL
    SELECT DISTINCT 'customer', customer_id, customer_id, external_customer_ref
    FROM policies_now WHERE tenant_id = {tenant:String} AND external_customer_ref = {q:String}
    UNION ALL
    SELECT 'collection', toString(collection_id), argMax(customer_id, version),
        any(concat(policy_number, ' ', period_month))
    FROM collections_log WHERE tenant_id = {tenant:String} AND collection_id = toUUIDOrZero({q:String})
        AND notEmpty({q:String})
    GROUP BY collection_id
    UNION ALL
    SELECT DISTINCT 'debit', toString(collection_id), customer_id, concat(policy_number, ' ', period_month)
    FROM debits_log WHERE tenant_id = {tenant:String} AND debit_id = {q:String}
    UNION ALL
    SELECT DISTINCT 'settlement', toString(settlement_id), '', settlement_number
    FROM settlements_log WHERE tenant_id = {tenant:String}
        AND (settlement_number = {q:String} OR settlement_id = toUUIDOrZero({q:String}) AND notEmpty({q:String})
            OR payment_reference = {q:String} AND notEmpty({q:String}))
    UNION ALL
    SELECT DISTINCT 'transaction', customer_id, customer_id, transaction_id
    FROM transactions_log WHERE tenant_id = {tenant:String} AND transaction_id = {q:String}
)
ORDER BY kind, text, id
LIMIT 50
