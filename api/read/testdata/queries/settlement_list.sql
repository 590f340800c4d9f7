SELECT settlement_id, settlement_number, period_month, total_collections_cents,
    distribution_fee_cents, collections_fee_cents, total_fees_cents, vat_cents, net_cents, payment_date, status,
    payment_reference, fromUnixTimestamp64Milli(toUnixTimestamp64Milli(created_at) + 86400000 *
        toInt64(coalesce(made_date - toDate(created_at, 'Africa/Johannesburg'), 0)), 'UTC'), in_flight_debits, in_flight_cents, brought_forward_cents, payable_cents,
    adjustments_cents, paid_date, payout_state, note, version
FROM
(
    SELECT * FROM settlements_log
    WHERE tenant_id = {tenant:String}
        AND (empty({period:String}) OR period_month = {period:String})
        AND period_month >= {after_period:String}
        AND (period_month > {after_period:String} OR settlement_number > {after_number:String})
    ORDER BY period_month, sequence, version DESC
    LIMIT 1 BY period_month, sequence
)
WHERE empty({status:String}) OR status = {status:String}
ORDER BY period_month, settlement_number
LIMIT {limit:UInt32}
