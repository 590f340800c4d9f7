SELECT settlement_number, line_type, period_month, customer_id, external_customer_ref,
    policy_number, product_code, amount_cents, collection_id
FROM settlement_lines
WHERE tenant_id = {tenant:String} AND settlement_id = {id:UUID}
    AND period_month IN
    (
        SELECT arrayJoin(coverage_period) FROM settlements_log
        WHERE tenant_id = {tenant:String} AND settlement_id = {id:UUID}
    )
ORDER BY line_type = 'ADJUSTMENT', period_month, policy_number, collection_id
