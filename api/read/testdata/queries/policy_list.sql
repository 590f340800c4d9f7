SELECT policy_id, policy_number, customer_id, external_customer_ref, product_code, premium_cents,
    status, rail, mandate_reference, mandate_max_cents, mandate_fixed, collection_day, hold_reason, version,
    created_at, updated_at
FROM
(
    SELECT * FROM policies_log
    WHERE tenant_id = {tenant:String} AND policy_number > {after:String}
        AND (empty({policy_number:String}) OR policy_id = {policy_id:UUID})
        AND (empty({customer_id:String}) OR customer_id = {customer_id:String})
    ORDER BY policy_id, version DESC
    LIMIT 1 BY policy_id
)
WHERE empty({status:String}) OR status = {status:String}
ORDER BY policy_number
LIMIT {limit:UInt32}
