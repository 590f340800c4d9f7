SELECT change_debit_id, change_kind, ifNull(toString(effective_date), ''), reason_code,
    reason_scheme, moved_cents, change_result_id, toString(business_date), at
FROM collections_log
WHERE tenant_id = {tenant:String} AND collection_id = {id:UUID} AND period_month IN
    (
        SELECT period_month FROM collections_log
        WHERE tenant_id = {tenant:String} AND collection_id = {id:UUID}
        LIMIT 1
    )
    AND change_debit_id != '' AND change_kind != 'DEBIT_INSTRUCTED'
ORDER BY version
LIMIT 1 BY version
