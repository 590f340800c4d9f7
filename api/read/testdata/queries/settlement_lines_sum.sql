SELECT sum(amount_cents)
FROM settlement_lines
WHERE tenant_id = {tenant:String} AND settlement_id = {id:UUID}
    AND period_month IN
    (
        SELECT arrayJoin(coverage_period) FROM settlements_log
        WHERE tenant_id = {tenant:String} AND settlement_id = {id:UUID}
    )
