SELECT stream_id, kind, frequency, stream_status, confidence_percent, toString(deposit_date),
    amount_cents, taken_back, ifNull(toString(next_expected_date), '')
FROM income_streams_now FINAL
WHERE tenant_id = {tenant:String} AND customer_id = {customer_id:String}
ORDER BY stream_status = 'ENDED', amount_cents DESC, stream_id
LIMIT 1000
