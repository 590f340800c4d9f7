SELECT toString(next_expected_date), count()
FROM income_streams_now FINAL
WHERE tenant_id = {tenant:String}
    AND next_expected_date BETWEEN toDate({from:String}) AND toDate({from:String}) + 34
GROUP BY next_expected_date
ORDER BY next_expected_date
