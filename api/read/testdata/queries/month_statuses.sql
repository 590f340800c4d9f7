SELECT collection_status, count(), countIf(number_of_attempts = 0), sum(due_cents),
    sum(collected_cents), sum(in_flight_cents)
FROM collections_now FINAL
WHERE tenant_id = {tenant:String} AND period_month = {period:String}
GROUP BY collection_status
ORDER BY collection_status
