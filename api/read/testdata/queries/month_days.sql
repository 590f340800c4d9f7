SELECT period_month, toString(effective_date) AS day, sum(moved_cents),
    countIf(change_kind = 'DEBIT_PAID'), countIf(change_kind IN ('DEBIT_UNPAID', 'LATE_UNPAID', 'DEBIT_REJECTED')),
    countIf(change_kind IN ('DEBIT_DISPUTED', 'PAID_DISPUTED'))
FROM collections_log FINAL
WHERE tenant_id = {tenant:String} AND period_month IN {periods:Array(String)} AND isNotNull(effective_date)
GROUP BY period_month, effective_date
ORDER BY period_month, effective_date
