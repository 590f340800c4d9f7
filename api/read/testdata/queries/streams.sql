SELECT kind, frequency, status, count(), toUInt64(avg(confidence))
FROM
(
    SELECT argMax(kind, seq) AS kind, argMax(frequency, seq) AS frequency, argMax(stream_status, seq) AS status,
        argMax(confidence_percent, seq) AS confidence
    FROM deposits_log
    WHERE tenant_id = {tenant:String}
    GROUP BY customer_id, stream_id
)
GROUP BY kind, frequency, status
ORDER BY count() DESC, kind, frequency, status
