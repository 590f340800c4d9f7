SELECT status, count(), countIf(attempts = 0), sum(due), sum(collected), sum(in_flight)
FROM
(
    SELECT argMax(collection_status, version) AS status, argMax(number_of_attempts, version) AS attempts,
        argMax(due_cents, version) AS due, argMax(collected_cents, version) AS collected,
        argMax(in_flight_cents, version) AS in_flight
    FROM collections_log
    WHERE tenant_id = {tenant:String} AND period_month = {period:String}
    GROUP BY collection_id
)
GROUP BY status
ORDER BY status
