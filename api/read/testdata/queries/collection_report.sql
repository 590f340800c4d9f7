SELECT collection_id, period_month, customer_id, external_customer_ref, policy_number,
    product_code, due_cents, collected_cents, in_flight_cents, collection_status, first_attempt_date,
    last_attempt_date, number_of_attempts, last_failure_reason
FROM
(
    SELECT * FROM collections_log
    WHERE tenant_id = {tenant:String} AND period_month = {period:String}
    ORDER BY collection_id, version DESC
    LIMIT 1 BY collection_id
)
WHERE collection_status != 'VOIDED'
ORDER BY policy_number, collection_id
