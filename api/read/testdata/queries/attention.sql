SELECT
(
    SELECT count() FROM
    (
        SELECT argMax(hold_reason, version) AS hold, argMax(status, version) AS status
        FROM policies_log WHERE tenant_id = {tenant:String}
        GROUP BY policy_id
    )
    WHERE hold != '' AND status = 'active'
),
(
    SELECT count() FROM
    (
        SELECT argMax(state, version) AS state FROM open_items_log WHERE tenant_id = {tenant:String} GROUP BY item_id
    )
    WHERE state = 'OPEN'
)
