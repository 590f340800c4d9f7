-- What readers query. FINAL resolves rows that were inserted twice, so the answer is the same before and after merges;
-- LIMIT 1 BY takes the latest version; it names policy_number, which the ids decide, so that a filter on it reaches the
-- table and its index. Money is in rands (Decimal); the columns in cents stay beside it for exact sums in other tools.
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

-- view policies: Policies as they are now
SELECT * FROM policies_log FINAL
ORDER BY tenant_id, policy_id, version DESC LIMIT 1 BY tenant_id, policy_id, policy_number;

-- view collections: Collections as they are now
SELECT * FROM collections_log FINAL
ORDER BY tenant_id, period_month, collection_id, version DESC
LIMIT 1 BY tenant_id, period_month, collection_id, policy_number;

-- view movements: The money ledger: each movement of money, positive when collected, negative when returned
SELECT tenant_id, period_month, collection_id, policy_number, customer_id, change_kind, change_debit_id AS debit_id,
    change_result_id AS result_id, effective_date, reason_code, moved_cents, moved, business_date, at, src_partition,
    src_offset
FROM collections_log FINAL WHERE moved_cents != 0;

-- view debits: Debits with the latest the bank said of each: pending, paid, unpaid, rejected or disputed
-- status String: What the bank said last: pending (nothing yet), paid, unpaid, rejected or disputed.
-- reason_code String: The bank's reason code, where it gave one.
-- effective_date Nullable(Date): The bank's date of what it said last.
SELECT d.*,
    multiIf(r.kind = 'DEBIT_PAID', 'paid', r.kind IN ('DEBIT_UNPAID', 'LATE_UNPAID'), 'unpaid',
        r.kind = 'DEBIT_REJECTED', 'rejected', r.kind IN ('DEBIT_DISPUTED', 'PAID_DISPUTED'), 'disputed',
        'pending') AS status,
    r.code AS reason_code, r.effective AS effective_date
FROM debits_log AS d FINAL
LEFT JOIN
(
    SELECT tenant_id, change_debit_id, argMax(change_kind, version) AS kind, argMax(reason_code, version) AS code,
        argMax(effective_date, version) AS effective
    FROM collections_log FINAL
    WHERE change_kind IN ('DEBIT_PAID', 'DEBIT_UNPAID', 'LATE_UNPAID', 'DEBIT_REJECTED', 'DEBIT_DISPUTED',
        'PAID_DISPUTED')
    GROUP BY tenant_id, change_debit_id
) AS r ON r.tenant_id = d.tenant_id AND r.change_debit_id = d.debit_id;

-- view open_items: What people must see about debits, as it is now; state OPEN until it is closed
SELECT * FROM open_items_log FINAL
ORDER BY tenant_id, item_id, version DESC LIMIT 1 BY tenant_id, item_id, policy_number;

-- view settlements: Settlement statements as they are now
SELECT * FROM settlements_log FINAL
ORDER BY tenant_id, period_month, sequence, version DESC LIMIT 1 BY tenant_id, period_month, sequence;

-- view settlement_lines: The lines of each statement: what each collection, or adjustment of an earlier period, moved
-- line_type String: COLLECTION, or ADJUSTMENT where the movement belongs to an earlier period.
-- period_month LowCardinality(String): The period of the collection, YYYY-MM.
-- product_code String: The insurer's product; may be empty.
-- amount_cents Int64: What the collection moved within the statement. In cents.
-- amount Decimal(18, 2): What the collection moved within the statement. In rands.
SELECT s.tenant_id AS tenant_id, s.settlement_id AS settlement_id, s.settlement_number AS settlement_number,
    if(c.period_month = s.period_month, 'COLLECTION', 'ADJUSTMENT') AS line_type, c.period_month AS period_month,
    c.collection_id AS collection_id, any(c.customer_id) AS customer_id,
    any(c.external_customer_ref) AS external_customer_ref, any(c.policy_number) AS policy_number,
    any(c.product_code) AS product_code, sum(c.moved_cents) AS amount_cents,
    toDecimal64(amount_cents, 2) / 100 AS amount
FROM
(
    SELECT tenant_id, settlement_id, settlement_number, period_month, covered, covered_from, covered_to
    FROM settlements_log FINAL
    ARRAY JOIN coverage_period AS covered, coverage_from AS covered_from, coverage_to AS covered_to
    WHERE version = 1
) AS s
INNER JOIN (SELECT * FROM collections_log FINAL WHERE moved_cents != 0) AS c
    ON c.tenant_id = s.tenant_id AND c.period_month = s.covered
WHERE c.seq >= s.covered_from[c.src_partition + 1] AND c.seq < s.covered_to[c.src_partition + 1]
GROUP BY s.tenant_id, s.settlement_id, s.settlement_number, s.period_month, c.period_month, c.collection_id;

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
