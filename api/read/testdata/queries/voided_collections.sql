SELECT count()
FROM
(
    SELECT collection_status FROM collections_log
    WHERE tenant_id = {tenant:String} AND period_month = {period:String} AND execution_id = {execution:String}
    ORDER BY collection_id, version DESC
    LIMIT 1 BY collection_id
)
WHERE collection_status = 'VOIDED'
