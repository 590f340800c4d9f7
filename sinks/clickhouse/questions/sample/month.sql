-- Rows of one month for so many policies, straight into the tables of events. {N} policies, {M} the month's number from 0,
-- {P} its period, {D} its first day. Everything follows from a policy's number k and a hash h below 100:
--   below 78 paid at once; below 88 unpaid, then paid; below 94 unpaid, or some disputed; below 99 never tried; else cancelled.

INSERT INTO collections_log (tenant_id, period_month, collection_id, version, customer_id, external_customer_ref, policy_id,
    policy_number, product_code, execution_id, due_cents, collected_cents, in_flight_cents, collection_status,
    first_attempt_date, last_attempt_date, number_of_attempts, last_failure_reason, change_kind, change_debit_id,
    change_result_id, moved_cents, change_amount_cents, reason_code, reason_scheme, effective_date, event_id, business_date,
    at, seq, src_partition, src_offset)
WITH number AS k, cityHash64(k, {M}) % 100 AS h, toDate('{D}') AS first, 10000 + k % 40 * 500 AS due,
    first + k % 24 AS day1, least(day1 + 5, first + 27) AS day2,
    multiIf(h < 78, 3, h < 88, 5, h < 94, 3, h < 99, 1, 2) AS versions,
    multiIf(version = 1, 'CREATED', h >= 94, 'CANCELLED', version IN (2, 4), 'DEBIT_INSTRUCTED', version = 5 OR h < 78,
        'DEBIT_PAID', h = 93 AND k % 3 = 0, 'DEBIT_DISPUTED', 'DEBIT_UNPAID') AS kind,
    multiIf(version = 1 OR h >= 94, 0, version < 4, 1, 2) AS attempt,
    kind IN ('DEBIT_PAID', 'DEBIT_UNPAID', 'DEBIT_DISPUTED') AS answer,
    multiIf(kind = 'DEBIT_DISPUTED', '30', kind = 'DEBIT_UNPAID', if(h % 2 = 0, '02', '12'), '') AS code
SELECT if(k % 4 = 3, 'beta', 'acme'), '{P}', reinterpretAsUUID(sipHash128('collection', k, {M})), version,
    concat('C', toString(k - (k % 10 = 9))), concat('EXT', toString(k)), reinterpretAsUUID(sipHash128('policy', k)),
    concat('POL', toString(k)), ['FUNERAL_01', 'FUNERAL_02', 'LIFE_01'][k % 3 + 1], 'exec', due,
    if(kind = 'DEBIT_PAID', due, 0), if(kind = 'DEBIT_INSTRUCTED', due, 0),
    multiIf(kind = 'DEBIT_PAID', 'PAID_FULL', kind = 'CANCELLED', 'CANCELLED', 'UNPAID'), if(attempt > 0, day1, NULL),
    multiIf(attempt = 0, NULL, attempt = 1, day1, day2), attempt,
    multiIf(code = '30', 'NO_AUTHORITY', code != '' OR version = 4, if(h % 2 = 0, 'INSUFFICIENT_FUNDS', 'ACCOUNT_CLOSED'), ''),
    kind,
    if(attempt > 0, lower(hex(sipHash128('debit', k, {M}, attempt))), ''), if(answer, toString(cityHash64(k, {M}, version)), ''),
    if(kind = 'DEBIT_PAID', due, 0), if(attempt > 0, due, 0), code,
    if(code != '', 'ZA', ''), if(answer, if(attempt = 1, day1, day2), NULL),
    reinterpretAsUUID(sipHash128('event', k, {M}, version)), if(attempt = 2, day2, if(attempt = 1, day1, first)),
    toDateTime64(if(attempt = 2, day2, day1), 3, 'UTC') + 36000, rowNumberInAllBlocks() + 1, {M}, rowNumberInAllBlocks()
FROM numbers({N}) ARRAY JOIN range(1, versions + 1) AS version;

INSERT INTO debits_log (tenant_id, period_month, customer_id, policy_number, collection_id, debit_id, attempt, amount_cents,
    currency, action_date, rail, bank, transaction_ids, event_id, business_date, at, seq, src_partition, src_offset)
WITH number AS k, cityHash64(k, {M}) % 100 AS h, toDate('{D}') AS first, first + k % 24 AS day1,
    least(day1 + 5, first + 27) AS day2, if(attempt = 1, day1, day2) AS day
SELECT if(k % 4 = 3, 'beta', 'acme'), '{P}', concat('C', toString(k - (k % 10 = 9))), concat('POL', toString(k)),
    reinterpretAsUUID(sipHash128('collection', k, {M})), lower(hex(sipHash128('debit', k, {M}, attempt))), attempt,
    10000 + k % 40 * 500, 'ZAR', day, if(k % 5 = 0, 'EFT', 'DEBICHECK'), ['632005', '250655', '470010', '051001'][k % 4 + 1],
    if(attempt = 1, [concat('T', toString(k - (k % 10 = 9)), '-{M}')], []),
    reinterpretAsUUID(sipHash128('instruction', k, {M}, attempt)), day, toDateTime64(day, 3, 'UTC') + 36000,
    rowNumberInAllBlocks() + 1, {M}, rowNumberInAllBlocks()
FROM numbers({N}) ARRAY JOIN range(1, multiIf(h < 78, 2, h < 88, 3, h < 94, 2, 1)) AS attempt;

INSERT INTO decisions_log (tenant_id, customer_id, policy_number, collection_id, period_month, action, reason, explanation,
    debit_id, amount_cents, next_date, alternatives, inputs, event_id, business_date, at, seq, src_partition, src_offset)
WITH number AS k, cityHash64(k, {M}) % 100 AS h, toDate('{D}') AS first, first + k % 24 AS day1,
    least(day1 + 5, first + 27) AS day2, multiIf(step = 1, day1, step = 2, day2, day2 + 1) AS day,
    step = 1 AND h < 94 OR step = 2 AND h BETWEEN 78 AND 87 AS debit
SELECT if(k % 4 = 3, 'beta', 'acme'), concat('C', toString(k - (k % 10 = 9))), concat('POL', toString(k)),
    reinterpretAsUUID(sipHash128('collection', k, {M})), '{P}', if(debit, 'DEBIT', 'WAIT'),
    if(debit, if(step = 1, 'MONEY_SEEN', 'PAYDAY'), 'AWAIT_INCOME'),
    if(debit, 'Money is there.', 'The next income is waited for.'),
    if(debit, lower(hex(sipHash128('debit', k, {M}, step))), ''), if(debit, 10000 + k % 40 * 500, 0),
    if(debit, NULL, day + 20), '[]', concat('{"due_cents":', toString(10000 + k % 40 * 500), ',"chance_per_10000":',
        toString(7000 + k % 3000), ',"last_deposit_date":"', toString(day1 - 1 - k % 3), '"}'),
    reinterpretAsUUID(sipHash128('decision', k, {M}, step)), day, toDateTime64(day, 3, 'UTC') + 36000,
    rowNumberInAllBlocks() + 1, {M}, rowNumberInAllBlocks()
FROM numbers({N}) ARRAY JOIN range(1, multiIf(h < 78, 2, h < 88, 3, 3)) AS step;

INSERT INTO deposits_log (tenant_id, customer_id, transaction_id, deposit_date, amount_cents, stream_id, kind, frequency,
    stream_status, confidence_percent, next_expected_date, deposit_no, event_id, business_date, at, seq, src_partition,
    src_offset)
WITH number AS k, toDate('{D}') AS first, first + k % 24 - 1 - k % 3 AS day,
    ['SALARY', 'SALARY', 'GRANT', 'WAGE', 'PENSION'][k % 5 + 1] AS kind
SELECT if(k % 4 = 3, 'beta', 'acme'), concat('C', toString(k)), concat('T', toString(k), '-{M}'), day, 300000 + k % 97 * 10000,
    concat(kind, '-1'), kind, 'MONTHLY', if({M} < 3, 'EARLY_DETECTION', 'MATURE'), 90, day + 30, {M} + 1,
    reinterpretAsUUID(sipHash128('deposit', k, {M})), day, toDateTime64(day, 3, 'UTC') + 30000, rowNumberInAllBlocks() + 1,
    {M}, rowNumberInAllBlocks()
FROM numbers({N}) WHERE k % 10 != 9;

INSERT INTO calendar_log (business_date, cutoff, at) SELECT toLastDayOfMonth(toDate('{D}')), 1, now64(3);

INSERT INTO settlements_log (tenant_id, settlement_id, settlement_number, period_month, sequence, version, status,
    total_collections_cents, adjustments_cents, distribution_fee_cents, collections_fee_cents, total_fees_cents, vat_cents,
    net_cents, payment_date, payment_reference, created_at, coverage_period, coverage_from, coverage_to, event_id, business_date,
    at, seq)
WITH toLastDayOfMonth(toDate('{D}')) + 2 AS made, intDiv(total * 25, 100) AS distribution, intDiv(total * 35, 1000) AS fee,
    intDiv((distribution + fee) * 15, 100) AS tax
SELECT tenant_id, reinterpretAsUUID(sipHash128('settlement', tenant_id, {M})), 'SETTLE-{P}-001', '{P}', 1, 1, 'paid', total, 0,
    distribution, fee, distribution + fee, tax, total - distribution - fee - tax, made + 1, 'EFT-001', toDateTime64(made, 3, 'UTC'),
    ['{P}'], [arrayWithConstant({M} + 1, 0)], [arrayWithConstant({M} + 1, 1000000000)],
    reinterpretAsUUID(sipHash128('settlement event', tenant_id, {M})), made, toDateTime64(made, 3, 'UTC'), {M} * 2 + 1
FROM (SELECT tenant_id, sum(moved_cents) AS total FROM collections_log WHERE period_month = '{P}' GROUP BY tenant_id);
