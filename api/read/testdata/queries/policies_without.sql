SELECT count()
FROM
(
    SELECT policy_id, status FROM policies_log
    WHERE tenant_id = {tenant:String}
    ORDER BY policy_id, version DESC
    LIMIT 1 BY policy_id
)
WHERE status = 'active' AND policy_id NOT IN
    (
        SELECT policy_id FROM collections_log
        WHERE tenant_id = {tenant:String} AND period_month = {period:String}
        GROUP BY policy_id
        HAVING argMax(collection_status, version) != 'VOIDED'
    )
