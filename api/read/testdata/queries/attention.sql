SELECT
(
    SELECT count() FROM policies_now FINAL
    WHERE tenant_id = {tenant:String} AND hold_reason != '' AND status = 'active'
),
(
    SELECT count() FROM
    (
        SELECT argMax(state, version) AS state FROM open_items_log WHERE tenant_id = {tenant:String} GROUP BY item_id
    )
    WHERE state = 'OPEN'
)
