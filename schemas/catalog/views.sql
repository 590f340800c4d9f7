-- What readers query. FINAL resolves rows that were inserted twice, so the answer is the same before and after merges;
-- LIMIT 1 BY takes the latest version; it names policy_number, which the ids decide, so that a filter on it reaches the
-- table and its index. Money is in rands (Decimal); the columns in cents stay beside it for exact sums in other tools.
-- A view may rest on one above it.
-- A block is a view: its name and comment, a line for each column that is no column of its tables, and its query. A star
-- stands for all columns of the first table, those in rands last.

-- view transactions: Accepted bank transactions, each once
SELECT * FROM transactions_log FINAL;

-- view deposits: Deposits detected, each once, also those that were taken back
-- status String: COUNTED, or why it was taken back: REVERSED, REPLACED, CANCELLED.
SELECT d.*, if(b.why = '', 'COUNTED', b.why) AS status
FROM deposits_log AS d FINAL
LEFT JOIN
(
    SELECT tenant_id, customer_id, deposit_no, argMax(taken_back, seq) AS why
    FROM deposits_log FINAL
    WHERE taken_back != ''
    GROUP BY tenant_id, customer_id, deposit_no
) AS b ON b.tenant_id = d.tenant_id AND b.customer_id = d.customer_id AND b.deposit_no = d.deposit_no
WHERE d.taken_back = '';

-- view decisions: Decisions, each once; one stands until the next of its collection
SELECT * FROM decisions_log FINAL;

-- view standing_decisions: What is decided about each collection as things stand
SELECT * FROM decisions_now FINAL;

-- view policies: Policies as they are now
SELECT * FROM policies_now FINAL;

-- view collections: Collections as they are now
SELECT * FROM collections_now FINAL;

-- view movements: The money ledger: each movement of money, positive when collected, negative when returned
SELECT tenant_id, period_month, collection_id, policy_number, customer_id, change_kind, change_debit_id AS debit_id,
    change_result_id AS result_id, effective_date, reason_code, moved_cents, moved, business_date, at, src_partition,
    src_offset
FROM collections_log FINAL WHERE moved_cents != 0;

-- view reason_codes: What the codes of unpaid and disputed debits mean, and what can be done about them
-- reason_scheme String: The scheme of the code: ZA or ISO.
-- reason_code String: The bank's code, such as 02 or AM04.
-- reason String: Its name in reports and in last_failure_reason, such as INSUFFICIENT_FUNDS.
-- remedy String: What can be done: RETRY_WHEN_FUNDS, FIX_ACCOUNT, NEW_MANDATE or STOP.
-- description String: What it means, in a sentence.
SELECT code.1 AS reason_scheme, code.2 AS reason_code, code.3 AS reason, code.4 AS remedy, code.5 AS description
FROM
(
    SELECT arrayJoin([
        ('ZA', '02', 'INSUFFICIENT_FUNDS', 'RETRY_WHEN_FUNDS', 'The account did not hold enough money.'),
        ('ISO', 'AM04', 'INSUFFICIENT_FUNDS', 'RETRY_WHEN_FUNDS', 'The account did not hold enough money.'),
        ('ZA', '22', 'EFFECTS_NOT_CLEARED', 'RETRY_WHEN_FUNDS', 'The account''s money was not cleared yet.'),
        ('ISO', 'MS03', 'BANK_UNSPECIFIED', 'RETRY_WHEN_FUNDS', 'The customer''s bank gave no reason.'),
        ('ZA', '03', 'DEBITS_NOT_ALLOWED', 'FIX_ACCOUNT', 'This kind of account takes no debits.'),
        ('ISO', 'AG01', 'DEBITS_NOT_ALLOWED', 'FIX_ACCOUNT', 'This kind of account takes no debits.'),
        ('ISO', 'AC13', 'DEBITS_NOT_ALLOWED', 'FIX_ACCOUNT', 'This kind of account takes no debits.'),
        ('ZA', '05', 'ACCOUNT_DORMANT', 'FIX_ACCOUNT', 'The account is dormant.'),
        ('ZA', '06', 'ACCOUNT_FROZEN', 'FIX_ACCOUNT', 'The account is frozen or blocked.'),
        ('ISO', 'AC06', 'ACCOUNT_FROZEN', 'FIX_ACCOUNT', 'The account is frozen or blocked.'),
        ('ZA', '12', 'ACCOUNT_CLOSED', 'FIX_ACCOUNT', 'The account is closed.'),
        ('ISO', 'AC04', 'ACCOUNT_CLOSED', 'FIX_ACCOUNT', 'The account is closed.'),
        ('ZA', '14', 'ACCOUNT_TRANSFERRED', 'FIX_ACCOUNT', 'The account has moved within the bank.'),
        ('ZA', '16', 'ACCOUNT_TRANSFERRED_BANK', 'FIX_ACCOUNT', 'The account has moved to another bank.'),
        ('ZA', '26', 'NO_SUCH_ACCOUNT', 'FIX_ACCOUNT', 'No such account.'),
        ('ISO', 'AC01', 'NO_SUCH_ACCOUNT', 'FIX_ACCOUNT', 'No such account.'),
        ('ISO', 'RC01', 'BANK_IDENTIFIER_INVALID', 'FIX_ACCOUNT', 'The branch or bank code is wrong.'),
        ('ZA', '56', 'NOT_FICA_COMPLIANT', 'FIX_ACCOUNT', 'The bank has not verified the holder (FICA).'),
        ('ZA', '32', 'CONTRAVENES_AUTHORITY', 'NEW_MANDATE', 'Disputed: the debit contravened the mandate.'),
        ('ZA', '34', 'AUTHORITY_CANCELLED', 'NEW_MANDATE', 'Disputed: the customer had cancelled the mandate.'),
        ('ISO', 'MD01', 'NO_MANDATE', 'NEW_MANDATE', 'The bank knows no valid mandate.'),
        ('ISO', 'MD02', 'MANDATE_INCOMPLETE', 'NEW_MANDATE', 'The mandate lacks required information.'),
        ('ISO', 'MD06', 'REFUND_REQUESTED', 'NEW_MANDATE', 'The customer asked the bank for the money back.'),
        ('ISO', 'AM14', 'ABOVE_MANDATE_LIMIT', 'NEW_MANDATE', 'The amount is above the limit agreed with the bank.'),
        ('ZA', '04', 'PAYMENT_STOPPED', 'STOP', 'The customer stopped the payment.'),
        ('ISO', 'MS02', 'PAYMENT_STOPPED', 'STOP', 'The customer stopped the payment.'),
        ('ZA', '08', 'SEQUESTRATION', 'STOP', 'The account holder''s estate is under sequestration.'),
        ('ZA', '10', 'LIQUIDATION', 'STOP', 'The account holder is in liquidation.'),
        ('ZA', '18', 'ACCOUNT_HOLDER_DECEASED', 'STOP', 'The account holder has died.'),
        ('ISO', 'MD07', 'ACCOUNT_HOLDER_DECEASED', 'STOP', 'The account holder has died.'),
        ('ZA', '28', 'RECALLED', 'STOP', 'The debit was recalled before it was paid.'),
        ('ZA', '30', 'NO_AUTHORITY', 'STOP', 'Disputed: the customer never gave authority.'),
        ('ZA', '36', 'PREVIOUSLY_STOPPED', 'STOP', 'Disputed: the customer had stopped these payments before.')
    ]) AS code
);

-- view debits: Debits with the latest the bank said of each: pending, paid, unpaid, rejected or disputed
-- action_date Date: The day on which the account is to be debited.
-- business_date Date: The calendar's day when it was instructed.
-- status String: What the bank said last: pending (nothing yet), paid, unpaid, rejected or disputed.
-- reason_code String: The bank's reason code, where it gave one; view reason_codes says what it means.
-- reason_scheme String: The scheme of the code: ZA or ISO.
-- effective_date Nullable(Date): The bank's date of what it said last.
-- answered_date Nullable(Date): The calendar's day when the bank's last word was taken in.
WITH splitByChar(char(9), last_answer) AS said
SELECT * EXCEPT (action_date, business_date, last_answer, answers),
    assumeNotNull(action_date) AS action_date, assumeNotNull(business_date) AS business_date,
    multiIf(said[2] = 'DEBIT_PAID', 'paid', said[2] IN ('DEBIT_UNPAID', 'LATE_UNPAID'), 'unpaid',
        said[2] = 'DEBIT_REJECTED', 'rejected', said[2] IN ('DEBIT_DISPUTED', 'PAID_DISPUTED'), 'disputed',
        'pending') AS status,
    said[3] AS reason_code, said[4] AS reason_scheme, toDateOrNull(said[5]) AS effective_date,
    toDateOrNull(said[6]) AS answered_date
FROM debits_now FINAL WHERE amount_cents > 0;

-- view attempts: Debits with why they were made then, what came back, and how long after the money they came
-- action_weekday String: The weekday of the action date: MON, TUE ...
-- reason String: The name of the reason, such as INSUFFICIENT_FUNDS; empty where it was paid or no answer came.
-- remedy String: What can be done about it: RETRY_WHEN_FUNDS, FIX_ACCOUNT, NEW_MANDATE or STOP.
-- counts_on_deposit Bool: Money was seen that it counts on.
-- days_after_deposit Nullable(Int32): Days from the customer's latest deposit to the action date; NULL where it counts on none.
-- days_to_answer Nullable(Int32): Days from the action date to the bank's date; NULL without an answer.
WITH multiIf(d.reason_scheme != '', d.reason_scheme, match(d.reason_code, '^[0-9]+$'), 'ZA', 'ISO') AS scheme,
    if(scheme = 'ZA', leftPad(trim(LEADING '0' FROM d.reason_code), 2, '0'), upper(d.reason_code)) AS code
SELECT d.tenant_id AS tenant_id, d.period_month AS period_month, d.policy_number AS policy_number,
    d.customer_id AS customer_id, d.product_code AS product_code, d.collection_id AS collection_id,
    d.debit_id AS debit_id, d.attempt AS attempt, d.rail AS rail, d.bank AS bank, d.amount_cents AS amount_cents,
    d.amount AS amount, d.action_date AS action_date, upper(formatDateTime(d.action_date, '%a')) AS action_weekday,
    d.status AS status, d.reason_scheme AS reason_scheme, d.reason_code AS reason_code,
    multiIf(d.status IN ('paid', 'pending'), '', r.reason != '', r.reason, d.reason_code != '',
        concat('UNKNOWN_', code), d.status = 'unpaid', 'UNSPECIFIED', upper(d.status)) AS reason,
    multiIf(d.status IN ('paid', 'pending'), '', r.remedy != '', r.remedy, d.reason_code != '', 'STOP',
        d.status = 'unpaid', 'RETRY_WHEN_FUNDS', d.status = 'rejected', 'FIX_ACCOUNT', 'NEW_MANDATE') AS remedy,
    d.effective_date AS effective_date, d.answered_date AS answered_date, d.decided_reason AS decided_reason,
    d.chance_per_10000 AS chance_per_10000, toBool(notEmpty(d.transaction_ids)) AS counts_on_deposit,
    d.last_deposit_date AS last_deposit_date,
    if(counts_on_deposit, toInt32(d.action_date - d.last_deposit_date), NULL) AS days_after_deposit,
    toInt32(d.effective_date - d.action_date) AS days_to_answer
FROM debits AS d
LEFT JOIN reason_codes AS r ON r.reason_scheme = scheme AND r.reason_code = code;

-- view income_streams: Streams of income as they are now: what a customer is paid, how often, and when next
-- last_deposit_date Date: The day of its latest deposit in Africa/Johannesburg.
-- last_amount_cents Int64: Amount of its latest deposit. In cents.
-- last_amount Decimal(18, 2): Amount of its latest deposit. In rands.
-- last_deposit_status String: COUNTED, or why its latest deposit was taken back: REVERSED, REPLACED, CANCELLED.
SELECT tenant_id, customer_id, stream_id, kind, frequency, stream_status, confidence_percent,
    deposit_date AS last_deposit_date, amount_cents AS last_amount_cents, toDecimal64(amount_cents, 2) / 100 AS last_amount,
    if(taken_back = '', 'COUNTED', taken_back) AS last_deposit_status, next_expected_date, business_date
FROM income_streams_now FINAL;

-- view customers: Customers: one row each, with their policies and their main income
-- customer_id String: The insurer's id of the customer.
-- external_customer_ref String: The insurer's further reference of the customer; may be empty.
-- policies UInt64: Policies, whatever their state.
-- active_policies UInt64: Policies that are active.
-- premium_cents Int64: Monthly premium of the active policies together. In cents.
-- premium Decimal(18, 2): Monthly premium of the active policies together. In rands.
-- first_policy_date Date: The day of the first policy in Africa/Johannesburg.
-- cohort_month String: The month of the first policy, YYYY-MM.
-- products Array(String): The products of the policies.
-- rails Array(String): The rails of the policies.
-- banks Array(String): The banks of the policies, where they name one.
-- income_streams UInt64: Streams of income that are known.
-- income_kind String: Where the main income comes from: of the streams that have not ended the one that pays most; NONE.
-- income_frequency String: How often the main income comes; empty while it has too few deposits.
-- income_status String: How sure the pattern of the main income is: EARLY_DETECTION, MATURE, ENDED; empty where there is none.
-- last_deposit_date Nullable(Date): The day of the latest deposit of the main income.
-- last_amount_cents Int64: Its amount; 0 where there is none. In cents.
-- last_amount Decimal(18, 2): Its amount; 0 where there is none. In rands.
-- next_expected_date Nullable(Date): When the main income should come next; NULL where that is not known.
SELECT p.tenant_id AS tenant_id, p.customer_id AS customer_id, p.external_customer_ref AS external_customer_ref,
    p.policies AS policies, p.active_policies AS active_policies, p.premium_cents AS premium_cents,
    toDecimal64(p.premium_cents, 2) / 100 AS premium, p.first_policy_date AS first_policy_date,
    formatDateTime(p.first_policy_date, '%Y-%m') AS cohort_month, p.products AS products, p.rails AS rails, p.banks AS banks,
    i.streams AS income_streams, if(i.streams = 0, 'NONE', i.main.1) AS income_kind, i.main.2 AS income_frequency,
    i.main.3 AS income_status, if(i.streams = 0, NULL, i.main.4) AS last_deposit_date, i.main.5 AS last_amount_cents,
    toDecimal64(last_amount_cents, 2) / 100 AS last_amount, i.main.6 AS next_expected_date
FROM
(
    SELECT tenant_id, customer_id, any(external_customer_ref) AS external_customer_ref, count() AS policies,
        countIf(status = 'active') AS active_policies, sumIf(premium_cents, status = 'active') AS premium_cents,
        min(created_date) AS first_policy_date, arraySort(groupUniqArray(toString(product_code))) AS products,
        arraySort(groupUniqArray(toString(rail))) AS rails,
        arraySort(groupUniqArrayIf(toString(bank), bank != '')) AS banks
    FROM policies_now FINAL
    GROUP BY tenant_id, customer_id
) AS p
LEFT JOIN
(
    SELECT tenant_id, customer_id, count() AS streams,
        argMax((toString(kind), toString(frequency), toString(stream_status), deposit_date, amount_cents,
            next_expected_date), (stream_status != 'ENDED', amount_cents, stream_id)) AS main
    FROM income_streams_now FINAL
    GROUP BY tenant_id, customer_id
) AS i ON i.tenant_id = p.tenant_id AND i.customer_id = p.customer_id;

-- view arrears: What is owed of collections that are not cancelled, and for how long; ageing 0 is of a period that still runs
-- period_end Date: The last day of the period.
-- shortfall_cents Int64: Due less collected. In cents.
-- shortfall Decimal(18, 2): Due less collected. In rands.
-- days_overdue Int32: Days from the period's end to the calendar's day; 0 while the period runs.
-- ageing String: The same in classes: 0, 1-30, 31-60, 61-90, 91+.
WITH (SELECT max(t.business_date) FROM calendar_log AS t) AS today
SELECT tenant_id, period_month, policy_number, customer_id, external_customer_ref, product_code, collection_id,
    collection_status, due_cents, due, collected_cents, collected, due_cents - collected_cents AS shortfall_cents,
    toDecimal64(due_cents - collected_cents, 2) / 100 AS shortfall, in_flight_cents, number_of_attempts,
    last_attempt_date, last_failure_reason, toLastDayOfMonth(toDate(concat(CAST(period_month, 'String'), '-01'))) AS period_end,
    toInt32(greatest(0, assumeNotNull(today) - period_end)) AS days_overdue,
    multiIf(days_overdue = 0, '0', days_overdue <= 30, '1-30', days_overdue <= 60, '31-60', days_overdue <= 90, '61-90',
        '91+') AS ageing
FROM collections_now FINAL
WHERE collection_status IN ('UNPAID', 'PAID_PARTIAL') AND due_cents > collected_cents;

-- view open_items: What people must see about debits, as it is now; state OPEN until it is closed
SELECT * FROM open_items_log FINAL
ORDER BY tenant_id, item_id, version DESC LIMIT 1 BY tenant_id, item_id, policy_number;

-- view settlements: Settlement statements as they are now
SELECT * FROM settlements_log FINAL
ORDER BY tenant_id, period_month, sequence, version DESC LIMIT 1 BY tenant_id, period_month, sequence;

-- view payouts: EFT instructions, each once, and how each stands
-- payout_state String: INSTRUCTED, PAID or FAILED.
-- paid_date Nullable(Date): The day on which it was paid.
SELECT p.*, s.state AS payout_state, s.paid AS paid_date
FROM payouts_log AS p FINAL
LEFT JOIN
(
    SELECT tenant_id, payout_id, argMax(payout_state, version) AS state, argMax(paid_date, version) AS paid
    FROM settlements_log FINAL
    WHERE payout_state != ''
    GROUP BY tenant_id, payout_id
) AS s ON s.tenant_id = p.tenant_id AND s.payout_id = p.payout_id;

-- view settlement_lines: The lines of each statement: what each collection, or adjustment, moved within it
-- line_type String: COLLECTION, or ADJUSTMENT of an earlier period or of what an earlier statement had counted.
-- period_month LowCardinality(String): The period of the collection, YYYY-MM.
-- product_code String: The insurer's product; may be empty.
-- amount_cents Int64: What the collection moved within the statement. In cents.
-- amount Decimal(18, 2): What the collection moved within the statement. In rands.
SELECT d.tenant_id AS tenant_id, d.settlement_id AS settlement_id, d.settlement_number AS settlement_number,
    if(d.period = d.period_settled AND d.cents >= 0, 'COLLECTION', 'ADJUSTMENT') AS line_type, d.period AS period_month,
    d.collection_id AS collection_id, any(d.customer_id) AS customer_id,
    any(d.external_customer_ref) AS external_customer_ref, any(d.policy_number) AS policy_number,
    any(d.product_code) AS product_code, sum(d.cents) AS amount_cents, toDecimal64(amount_cents, 2) / 100 AS amount
FROM
(
    SELECT s.tenant_id AS tenant_id, s.settlement_id AS settlement_id, s.settlement_number AS settlement_number,
        s.period_month AS period_settled, c.period_month AS period, c.collection_id AS collection_id,
        any(c.customer_id) AS customer_id, any(c.external_customer_ref) AS external_customer_ref,
        any(c.policy_number) AS policy_number, any(c.product_code) AS product_code, sum(c.moved_cents) AS cents
    FROM (SELECT * FROM collections_log FINAL WHERE moved_cents != 0) AS c
    INNER JOIN
    (
        SELECT tenant_id, settlement_id, settlement_number, period_month, covered, covered_from, covered_to
        FROM settlements_log FINAL
        ARRAY JOIN coverage_period AS covered, coverage_from AS covered_from, coverage_to AS covered_to
        WHERE version = 1
    ) AS s ON s.tenant_id = c.tenant_id AND s.covered = c.period_month
    WHERE c.seq >= s.covered_from[c.src_partition + 1] AND c.seq < s.covered_to[c.src_partition + 1]
    GROUP BY s.tenant_id, s.settlement_id, s.settlement_number, s.period_month, c.period_month, c.collection_id,
        c.change_debit_id
) AS d
GROUP BY d.tenant_id, d.settlement_id, d.settlement_number, line_type, d.period, d.collection_id;

-- view ledger: The double-entry ledger of every rand; an entry's postings add up to zero, debits positive
-- entry_id String: The fact that was booked: the event id of a movement or of a statement's version.
-- entry_kind String: MOVEMENT, STATEMENT, PAID, DISPUTED or RESOLVED.
-- settlement_id Nullable(UUID): The statement; NULL of a movement.
-- account String: bank, unsettled, collected, adjustments, settled, *_fee, vat, payable, in_dispute or paid; bank came in.
-- cents Int64: What was posted, debits positive. In cents.
-- amount Decimal(18, 2): What was posted, debits positive. In rands.
SELECT tenant_id, business_date, entry_id, entry_kind, settlement_id, posting.1 AS account, posting.2 AS cents,
    toDecimal64(cents, 2) / 100 AS amount
FROM
(
    SELECT tenant_id, business_date, toString(event_id) AS entry_id, 'MOVEMENT' AS entry_kind,
        CAST(NULL, 'Nullable(UUID)') AS settlement_id,
        arrayJoin([('bank', moved_cents), ('unsettled', -moved_cents)]) AS posting
    FROM collections_log FINAL
    WHERE moved_cents != 0
    UNION ALL
    SELECT tenant_id, business_date, toString(event_id), 'STATEMENT', settlement_id, arrayJoin([
        ('unsettled', total_collections_cents), ('collected', adjustments_cents - total_collections_cents),
        ('adjustments', -adjustments_cents), ('settled', total_collections_cents),
        ('distribution_fee', -distribution_fee_cents), ('collections_fee', -collections_fee_cents), ('vat', -vat_cents),
        ('payable', -net_cents)])
    FROM settlements_log FINAL
    WHERE version = 1
    UNION ALL
    SELECT tenant_id, business_date, toString(event_id), change_kind, settlement_id,
        arrayJoin([(multiIf(change_kind = 'PAID' AND status = 'disputed', 'in_dispute', change_kind = 'RESOLVED',
            'in_dispute', 'payable'), payable_cents), (multiIf(change_kind = 'PAID', 'paid', change_kind = 'RESOLVED',
            'payable', 'in_dispute'), -payable_cents)])
    FROM settlements_log FINAL
    WHERE payable_cents > 0 AND (change_kind = 'PAID' OR change_kind IN ('DISPUTED', 'RESOLVED') AND paid_date IS NULL)
);

-- view ledger_balances: The balance of each account of the ledger; those of a tenant add up to zero
-- tenant_id LowCardinality(String): The insurer.
-- account String: The account, as in the ledger.
-- cents Int64: The balance, debits positive. In cents.
-- amount Decimal(18, 2): The balance, debits positive. In rands.
SELECT l.tenant_id AS tenant_id, l.account AS account, sum(l.cents) AS cents, toDecimal64(cents, 2) / 100 AS amount
FROM ledger AS l
GROUP BY l.tenant_id, l.account;

-- view settlement_proof: Each statement held against its lines, the ledger and its payments; ok says that all agree
-- status String: State of the statement.
-- lines Decimal(18, 2): What the statement's lines add up to. In rands.
-- instructed Decimal(18, 2): EFT instructions for it that have not failed. In rands.
-- paid Decimal(18, 2): What the ledger says was paid. In rands.
-- ok Bool: Lines, figures, what is brought forward, ledger and payments agree to the cent.
SELECT s.tenant_id AS tenant_id, s.settlement_id AS settlement_id, s.settlement_number AS settlement_number,
    s.period_month AS period_month, n.now AS status, s.total_collections AS total_collections,
    toDecimal64(l.cents, 2) / 100 AS lines, s.net_amount AS net_amount, s.brought_forward AS brought_forward,
    s.payable_amount AS payable_amount, toDecimal64(p.cents, 2) / 100 AS instructed,
    toDecimal64(b.paid_out, 2) / 100 AS paid,
    toBool(s.total_collections_cents = l.cents AND s.adjustments_cents = l.adjusted
        AND s.total_collections_cents = s.distribution_fee_cents + s.collections_fee_cents + s.vat_cents + s.net_cents
        AND s.total_fees_cents = s.distribution_fee_cents + s.collections_fee_cents
        AND s.payable_cents = s.net_cents + s.brought_forward_cents AND s.brought_forward_cents = least(s.payable_before, 0)
        AND b.rest = 0 AND b.counted = s.total_collections_cents
        AND b.paid_out = if(n.state = 'PAID', s.payable_cents, 0)
        AND p.cents = if(n.state = '' OR n.state = 'FAILED', 0, s.payable_cents)) AS ok
FROM
(
    SELECT *, total_collections, net_amount, brought_forward, payable_amount,
        lagInFrame(payable_cents, 1, toInt64(0)) OVER (PARTITION BY tenant_id ORDER BY seq
            ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS payable_before
    FROM settlements_log FINAL
    WHERE version = 1
) AS s
INNER JOIN
(
    SELECT settlement_id, argMax(status, version) AS now, argMax(payout_state, version) AS state
    FROM settlements_log
    GROUP BY settlement_id
) AS n ON n.settlement_id = s.settlement_id
LEFT JOIN
(
    SELECT settlement_id, sum(amount_cents) AS cents, sumIf(amount_cents, line_type = 'ADJUSTMENT') AS adjusted
    FROM settlement_lines
    GROUP BY settlement_id
) AS l ON l.settlement_id = s.settlement_id
LEFT JOIN
(
    SELECT settlement_id, sum(cents) AS rest, sumIf(cents, account = 'unsettled') AS counted,
        -sumIf(cents, account = 'paid') AS paid_out
    FROM ledger
    WHERE settlement_id IS NOT NULL
    GROUP BY settlement_id
) AS b ON b.settlement_id = s.settlement_id
LEFT JOIN
(
    SELECT settlement_id, sum(amount_cents) AS cents FROM payouts WHERE payout_state != 'FAILED' GROUP BY settlement_id
) AS p ON p.settlement_id = s.settlement_id;

-- view calendar: The calendar's day and the cut-offs passed on it; no row before the first tick
-- business_date Date: The calendar's day.
-- cutoff UInt32: The cut-offs passed on it.
SELECT max(t.business_date) AS business_date, argMax(t.cutoff, (t.business_date, t.cutoff)) AS cutoff
FROM calendar_log AS t;

-- view executions: Executions as they are now: how far each is on all partitions together
-- period_month String: The period whose collections are made, YYYY-MM.
-- request_id String: The API request that asked for it.
-- status String: processing, or completed once nothing is left to do on any partition.
-- policies_queued Int64: Active policies without a collection of the period at the call.
-- collections_created Int64: Collections made so far.
-- unchanged Int64: Active policies that had their collection already.
-- refused Int64: Active policies whose collection was refused, because the period had passed by then.
-- named Bool: The call named its policies; what became of each is in the outcomes of its request.
-- created_at DateTime64(3, 'UTC'): When it was asked for, UTC.
SELECT e.tenant_id AS tenant_id, e.execution_id AS execution_id, any(e.period_month) AS period_month,
    any(e.request_id) AS request_id, if(countIf(e.done) >= any(e.parts), 'completed', 'processing') AS status,
    any(e.policies_queued) AS policies_queued, sum(e.collections_created) AS collections_created,
    sum(e.unchanged) AS unchanged, sum(e.refused) AS refused, any(e.named) AS named, min(e.at) AS created_at
FROM
(
    SELECT * FROM executions_log FINAL
    ORDER BY tenant_id, execution_id, part, piece DESC LIMIT 1 BY tenant_id, execution_id, part
) AS e
GROUP BY e.tenant_id, e.execution_id;
