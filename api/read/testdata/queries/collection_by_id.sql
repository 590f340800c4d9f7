SELECT collection_id, period_month, customer_id, external_customer_ref, policy_number,
    product_code, due_cents, collected_cents, in_flight_cents, collection_status, first_attempt_date,
    last_attempt_date, number_of_attempts, last_failure_reason
FROM collections_log
WHERE tenant_id = {tenant:String} AND collection_id = {id:UUID}
ORDER BY version DESC
LIMIT 1
