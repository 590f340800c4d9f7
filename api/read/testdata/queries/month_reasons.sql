SELECT reason_scheme, reason_code, count(), sum(change_amount_cents)
FROM collections_log FINAL
WHERE tenant_id = {tenant:String} AND period_month = {period:String} AND change_kind IN
    ('DEBIT_UNPAID', 'LATE_UNPAID', 'DEBIT_REJECTED', 'DEBIT_DISPUTED', 'PAID_DISPUTED')
GROUP BY reason_scheme, reason_code
ORDER BY count() DESC, reason_scheme, reason_code
