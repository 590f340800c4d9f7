SELECT DISTINCT period_month FROM collections_now
WHERE tenant_id = {tenant:String}
ORDER BY period_month DESC
LIMIT 24
