SELECT any(transaction_id), toString(min(deposit_date)) AS day, any(amount_cents),
    any(stream_id), argMax(kind, seq), argMax(frequency, seq), argMax(stream_status, seq),
    argMax(confidence_percent, seq), argMax(ifNull(toString(next_expected_date), ''), seq), max(taken_back)
FROM deposits_log
WHERE tenant_id = {tenant:String} AND customer_id = {customer_id:String}
    AND deposit_date BETWEEN toDate({from:String}) AND toDate({to:String})
GROUP BY deposit_no
ORDER BY day DESC, deposit_no DESC
LIMIT 1000
