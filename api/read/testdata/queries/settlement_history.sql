SELECT version, change_kind, status, business_date, note
FROM settlements_log
WHERE tenant_id = {tenant:String} AND settlement_id = {id:UUID}
ORDER BY version
LIMIT 1 BY version
