-- {N} policies, each bought in one of the twelve months before.

INSERT INTO policies_log (tenant_id, policy_id, version, customer_id, external_customer_ref, policy_number, product_code,
    premium_cents, status, rail, collection_day, bank, event_id, business_date, at, created_at, updated_at, seq, src_partition,
    src_offset)
WITH number AS k, toDateTime64('2025-06-01 08:00:00', 3, 'UTC') - toIntervalMonth(k % 12) AS made
SELECT if(k % 4 = 3, 'beta', 'acme'), reinterpretAsUUID(sipHash128('policy', k)), 1, concat('C', toString(k - (k % 10 = 9))),
    concat('EXT', toString(k)), concat('POL', toString(k)), ['FUNERAL_01', 'FUNERAL_02', 'LIFE_01'][k % 3 + 1],
    10000 + k % 40 * 500, if(k % 50 = 0, 'cancelled', 'active'), if(k % 5 = 0, 'EFT', 'DEBICHECK'), 1,
    ['632005', '250655', '470010', '051001'][k % 4 + 1], reinterpretAsUUID(sipHash128('policy event', k)), toDate(made), made,
    made, made, k + 1, 0, k
FROM numbers({N});
