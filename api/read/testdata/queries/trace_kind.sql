SELECT kind FROM
(
    SELECT 1 AS rank, 'debit' AS kind FROM debits_log WHERE tenant_id = {tenant:String} AND debit_id = {id:String}
    UNION ALL
    SELECT 2, 'collection' FROM collections_log
    WHERE tenant_id = {tenant:String} AND collection_id = toUUIDOrZero({id:String}) AND notEmpty({id:String})
    UNION ALL
    SELECT 3, 'settlement' FROM settlements_log
    WHERE tenant_id = {tenant:String} AND settlement_id = toUUIDOrZero({id:String}) AND notEmpty({id:String})
    UNION ALL
    SELECT 4, 'transaction' FROM transactions_log WHERE tenant_id = {tenant:String} AND transaction_id = {id:String}
    UNION ALL
    SELECT 5, 'income' FROM deposits_log WHERE tenant_id = {tenant:String} AND transaction_id = {id:String}
)
ORDER BY rank
LIMIT 1
