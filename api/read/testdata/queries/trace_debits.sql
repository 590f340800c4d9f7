SELECT debit_id, toString(collection_id), transaction_ids
FROM debits_log
WHERE tenant_id = {tenant:String} AND multiIf({kind:String} = 'debit', debit_id = {id:String},
    {kind:String} = 'collection', collection_id = toUUIDOrZero({id:String}), has(transaction_ids, {id:String}))
ORDER BY period_month, collection_id, attempt
LIMIT 1 BY debit_id
LIMIT 1000
