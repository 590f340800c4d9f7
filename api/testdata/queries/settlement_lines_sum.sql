SELECT sum(amount_cents)
FROM settlement_lines
WHERE tenant_id = {tenant:String} AND settlement_id = {id:UUID}
