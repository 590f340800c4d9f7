SELECT collection_id, period_month, customer_id, external_customer_ref, policy_number,
    product_code, due_cents, collected_cents, in_flight_cents, collection_status, first_attempt_date,
    last_attempt_date, number_of_attempts, last_failure_reason
FROM
(
    SELECT * FROM collections_log
    WHERE tenant_id = {tenant:String}
        AND (empty({period:String}) OR period_month = {period:String})
        AND (empty({policy_number:String}) OR policy_number = {policy_number:String})
        AND (empty({customer_id:String}) OR collection_id IN
        (
            SELECT collection_id FROM collections_log
            WHERE tenant_id = {tenant:String} AND customer_id = {customer_id:String}
                AND notEmpty({customer_id:String})
                AND (empty({period:String}) OR period_month = {period:String})
        ))
        AND period_month >= {after_period:String}
        AND (period_month > {after_period:String} OR policy_number > {after_policy:String})
    ORDER BY period_month, collection_id, version DESC
    LIMIT 1 BY period_month, collection_id
)
WHERE collection_status != 'VOIDED'
    AND (empty({customer_id:String}) OR customer_id = {customer_id:String})
    AND (empty({status:String}) OR collection_status = {status:String})
    AND (empty({product_code:String}) OR product_code = {product_code:String})
    AND (empty({failure_reason:String}) OR last_failure_reason = {failure_reason:String})
    AND (empty({failed:String}) OR (last_failure_reason != '') = ({failed:String} = 'yes'))
    AND (empty({attempted:String}) OR (number_of_attempts > 0) = ({attempted:String} = 'yes'))
    AND fromUnixTimestamp64Milli(toUnixTimestamp64Milli(at) +
        86400000 * toInt64(business_date - toDate(at, 'Africa/Johannesburg')), 'UTC') >= fromUnixTimestamp64Milli({updated_since:Int64}, 'UTC')
ORDER BY period_month, policy_number
LIMIT {limit:UInt32}
