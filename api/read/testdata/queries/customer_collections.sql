SELECT collection_id, period_month, customer_id, external_customer_ref, policy_number,
    product_code, due_cents, collected_cents, in_flight_cents, collection_status, first_attempt_date,
    last_attempt_date, number_of_attempts, last_failure_reason
FROM
(
    SELECT * FROM collections_log
    WHERE tenant_id = {tenant:String} AND collection_id IN
        (
            SELECT collection_id FROM collections_log
            WHERE tenant_id = {tenant:String} AND customer_id = {customer_id:String}
        )
    ORDER BY period_month, collection_id, version DESC
    LIMIT 1 BY period_month, collection_id
)
WHERE customer_id = {customer_id:String} AND collection_status != 'VOIDED'
ORDER BY period_month DESC, policy_number
LIMIT {limit:UInt32}
