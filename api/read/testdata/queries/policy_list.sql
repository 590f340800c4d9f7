SELECT policy_id, policy_number, customer_id, external_customer_ref, product_code, premium_cents,
    status, rail, mandate_reference, mandate_max_cents, mandate_fixed, collection_day, bank, account_token,
    hold_reason, version, created_at, updated_at
FROM
(
    SELECT * FROM policies_log
    WHERE tenant_id = {tenant:String} AND policy_number > {after:String}
        AND (empty({policy_number:String}) OR policy_id = {policy_id:UUID})
        AND (empty({customer_id:String}) OR policy_id IN
        (
            SELECT policy_id FROM policies_log
            WHERE tenant_id = {tenant:String} AND customer_id = {customer_id:String}
                AND notEmpty({customer_id:String})
        ))
    ORDER BY policy_id, version DESC
    LIMIT 1 BY policy_id
)
WHERE (empty({customer_id:String}) OR customer_id = {customer_id:String})
    AND (empty({status:String}) OR status = {status:String})
    AND (empty({external_customer_ref:String}) OR external_customer_ref = {external_customer_ref:String})
    AND (empty({product_code:String}) OR product_code = {product_code:String})
    AND updated_at >= fromUnixTimestamp64Milli({updated_since:Int64}, 'UTC')
ORDER BY policy_number
LIMIT {limit:UInt32}
