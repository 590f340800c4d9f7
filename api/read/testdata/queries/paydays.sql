SELECT toString(next), count()
FROM
(
    SELECT argMax(next_expected_date, seq) AS next
    FROM deposits_log
    WHERE tenant_id = {tenant:String}
    GROUP BY customer_id, stream_id
)
WHERE next BETWEEN toDate({from:String}) AND toDate({from:String}) + 34
GROUP BY next
ORDER BY next
