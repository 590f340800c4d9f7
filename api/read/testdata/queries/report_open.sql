SELECT count()
FROM
(
    SELECT in_flight_cents FROM collections_log
    WHERE tenant_id = {tenant:String} AND period_month = {period:String}
    ORDER BY collection_id, version DESC
    LIMIT 1 BY collection_id
)
WHERE in_flight_cents > 0
