SELECT kind, id, collection, date, at, topic, partition, offset, table, status, cents, text FROM
(
    SELECT 1 AS rank, 'transaction' AS kind, transaction_id AS id, '' AS collection, toString(business_date) AS date,
        at, 'kasi.transactions.v1' AS topic, src_partition AS partition, src_offset AS offset,
        'transactions_log' AS table, toString(direction) AS status, amount_cents AS cents,
        concat(description, if(empty(description), '', ', '), 'booked ', toString(booked_date)) AS text, event_id
    FROM transactions_log WHERE tenant_id = {tenant:String} AND transaction_id IN {transactions:Array(String)}
    UNION ALL
    SELECT 2, 'deposit', transaction_id, '', toString(business_date), at, 'kasi.deposits.v1', src_partition, src_offset,
        'deposits_log', if(empty(taken_back), 'COUNTED', toString(taken_back)), amount_cents,
        concat(kind, if(empty(frequency), '', ' '), frequency, ' ', stream_status, ', stream ', stream_id), event_id
    FROM deposits_log WHERE tenant_id = {tenant:String} AND transaction_id IN {transactions:Array(String)}
    UNION ALL
    SELECT 3, 'decision', toString(event_id), toString(collection_id), toString(business_date), at, 'kasi.decisions.v1',
        src_partition, src_offset, 'decisions_log', toString(action), amount_cents, concat(reason, ': ', explanation),
        event_id
    FROM decisions_log
    WHERE tenant_id = {tenant:String} AND collection_id IN {collections:Array(UUID)}
        AND ({kind:String} = 'collection' OR debit_id IN {debits:Array(String)})
    UNION ALL
    SELECT 4, 'debit', debit_id, toString(collection_id), toString(business_date), at, 'kasi.debits.v1', src_partition,
        src_offset, 'debits_log', toString(rail), amount_cents,
        concat('attempt ', toString(attempt), ' of ', policy_number, ', action date ', toString(action_date)), event_id
    FROM debits_log WHERE tenant_id = {tenant:String} AND debit_id IN {debits:Array(String)}
    UNION ALL
    SELECT 5, 'collection', toString(collection_id), toString(collection_id), toString(business_date), at,
        'kasi.collections.v1', src_partition, src_offset, 'collections_log', toString(change_kind), moved_cents,
        concat('version ', toString(version), ': ', collection_status, if(empty(reason_code), '',
            concat(', the bank said ', trimLeft(concat(reason_scheme, ' ', reason_code))))), event_id
    FROM collections_log
    WHERE tenant_id = {tenant:String} AND collection_id IN {collections:Array(UUID)}
        AND ({kind:String} = 'collection' OR change_debit_id IN {debits:Array(String)})
    UNION ALL
    SELECT 7, 'settlement', toString(settlement_id), '', toString(business_date), at, 'kasi.settlements.v1',
        src_partition, src_offset, 'settlements_log', toString(status), net_cents,
        concat(settlement_number, ', version ', toString(version), ': ', change_kind), event_id
    FROM settlements_log
    WHERE tenant_id = {tenant:String} AND settlement_id IN {settlements:Array(UUID)}
    UNION ALL
    SELECT 8, 'payout', payout_id, '', toString(business_date), at, 'kasi.payouts.v1', src_partition, src_offset,
        'payouts_log', 'INSTRUCTED', amount_cents, concat(payment_reference, ' of ', settlement_number), event_id
    FROM payouts_log
    WHERE tenant_id = {tenant:String} AND settlement_id IN {settlements:Array(UUID)}
)
ORDER BY date, at, rank, offset, id
LIMIT 1 BY kind, event_id, id
LIMIT 5000
