SELECT toString(settlement_id), settlement_number, line_type, toString(collection_id),
    policy_number, period_month, amount_cents
FROM settlement_lines
WHERE tenant_id = {tenant:String}
    AND if({kind:String} = 'settlement', has({settlements:Array(String)}, toString(settlement_id)),
        has({collections:Array(String)}, toString(collection_id)))
    AND period_month IN
    (
        SELECT period_month FROM collections_log
        WHERE tenant_id = {tenant:String} AND collection_id IN {collections:Array(UUID)}
        UNION ALL
        SELECT arrayJoin(coverage_period) FROM settlements_log
        WHERE tenant_id = {tenant:String} AND settlement_id IN {settlements:Array(UUID)}
    )
ORDER BY settlement_number, period_month, policy_number
LIMIT 1000
