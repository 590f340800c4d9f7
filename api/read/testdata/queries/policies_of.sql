SELECT policy_id, policy_number, customer_id, external_customer_ref, product_code, premium_cents,
    status, rail, mandate_reference, mandate_max_cents, mandate_fixed, collection_day, bank, account_token,
    hold_reason, version, created_at, updated_at
FROM policies_log
WHERE tenant_id = {tenant:String} AND policy_id IN {ids:Array(UUID)}
ORDER BY policy_id, version DESC
LIMIT 1 BY policy_id
