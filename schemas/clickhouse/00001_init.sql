-- +goose Up
-- Every table keeps each event of one topic once. Its sorting key holds the version or event id, so a row inserted twice collapses; readers use the
-- views of 00002, which resolve duplicates before and after merges. Money is kept as integer cents and shown as Decimal(18,2).
-- src_partition, src_offset and seq make "complete and unique" one query a partition: count() = uniqExact(seq) = max(seq) - min(seq) + 1.

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS transactions_log
(
    tenant_id LowCardinality(String) COMMENT 'Insurer the customer belongs to',
    customer_id String COMMENT 'Customer, as the insurer names it',
    transaction_id String COMMENT 'The bank feed''s id of the transaction; unique per customer',
    booked_at DateTime64(3, 'UTC') COMMENT 'When the bank booked it',
    amount_cents Int64 COMMENT 'Amount in cents, always positive',
    amount Decimal(18, 2) ALIAS toDecimal64(amount_cents, 2) / 100 COMMENT 'Amount in rands, always positive',
    direction LowCardinality(String) COMMENT 'CREDIT or DEBIT, seen from the customer''s account',
    account_id String COMMENT 'The account at the bank, as the feed names it; may be empty',
    balance_after_cents Nullable(Int64) COMMENT 'Balance after the transaction in cents, where the feed says it',
    currency LowCardinality(String) COMMENT 'ISO 4217 code, ZAR',
    description String COMMENT 'Text on the bank statement',
    counterparty String COMMENT 'Who paid or was paid, where known',
    category LowCardinality(String) COMMENT 'The feed''s own category, where it gives one',
    event_id UUID COMMENT 'Made from facts: the same event has the same id in every run',
    business_date Date COMMENT 'The calendar''s day when the event happened',
    at DateTime64(3, 'UTC') COMMENT 'Timestamp of the record that caused the event',
    seq Int64 COMMENT 'Dense count of events in this partition: 1, 2, 3...',
    src_partition UInt32 COMMENT 'Kafka partition the row came from',
    src_offset Int64 COMMENT 'Kafka offset the row came from'
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, customer_id, transaction_id)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'Accepted bank transactions, duplicates removed (kasi.transactions.v1)';
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS deposits_log
(
    tenant_id LowCardinality(String) COMMENT 'Insurer the customer belongs to',
    customer_id String COMMENT 'Customer, as the insurer names it',
    transaction_id String COMMENT 'The transaction (or the income record) that brought the money',
    deposit_date Date COMMENT 'Johannesburg date on which the money came',
    amount_cents Int64 COMMENT 'Amount in cents',
    amount Decimal(18, 2) ALIAS toDecimal64(amount_cents, 2) / 100 COMMENT 'Amount in rands',
    stream_id String COMMENT 'The customer''s income stream the deposit belongs to',
    kind LowCardinality(String) COMMENT 'SALARY, GRANT, WAGE, GIG or OTHER',
    frequency LowCardinality(String) COMMENT 'WEEKLY, BIWEEKLY, SEMI_MONTHLY, MONTHLY, IRREGULAR; empty while unknown',
    stream_status LowCardinality(String) COMMENT 'EARLY_DETECTION, MATURE or ENDED',
    confidence_percent UInt8 COMMENT 'How much of the stream''s history its pattern explains, 0-100',
    next_expected_date Nullable(Date) COMMENT 'When the stream should pay next',
    event_id UUID COMMENT 'Made from facts: the same event has the same id in every run',
    business_date Date COMMENT 'The calendar''s day when the deposit was detected',
    at DateTime64(3, 'UTC') COMMENT 'Timestamp of the record that caused the event',
    seq Int64 COMMENT 'Dense count of events in this partition: 1, 2, 3...',
    src_partition UInt32 COMMENT 'Kafka partition the row came from',
    src_offset Int64 COMMENT 'Kafka offset the row came from'
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, customer_id, deposit_date, event_id)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'Deposits detected and the income stream each belongs to (kasi.deposits.v1)';
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS decisions_log
(
    tenant_id LowCardinality(String) COMMENT 'Insurer the customer belongs to',
    customer_id String COMMENT 'Customer, as the insurer names it',
    policy_number String COMMENT 'Policy the decision is about',
    collection_id UUID COMMENT 'Collection the decision is about',
    period_month LowCardinality(String) COMMENT 'Period of the collection, YYYY-MM',
    action LowCardinality(String) COMMENT 'DEBIT, WAIT or STOP',
    reason LowCardinality(String) COMMENT 'Reason code',
    explanation String COMMENT 'The reason in a sentence',
    debit_id String COMMENT 'The debit it led to; empty for WAIT and STOP',
    amount_cents Int64 COMMENT 'Amount decided in cents; 0 for WAIT and STOP',
    amount Decimal(18, 2) ALIAS toDecimal64(amount_cents, 2) / 100 COMMENT 'Amount decided in rands',
    next_date Nullable(Date) COMMENT 'When the engine means to look again',
    alternatives String COMMENT 'JSON array of decisions that were possible and not taken',
    inputs String COMMENT 'JSON object of what the decision was made from',
    event_id UUID COMMENT 'Made from facts: the same event has the same id in every run',
    business_date Date COMMENT 'Day of the decision; it stands until the collection''s next one',
    at DateTime64(3, 'UTC') COMMENT 'Timestamp of the record that caused the event',
    seq Int64 COMMENT 'Dense count of events in this partition: 1, 2, 3...',
    src_partition UInt32 COMMENT 'Kafka partition the row came from',
    src_offset Int64 COMMENT 'Kafka offset the row came from'
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, policy_number, period_month, business_date, seq, event_id)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'Every decision with its inputs and reason; one stands until the next of its collection (kasi.decisions.v1)';
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS debits_log
(
    tenant_id LowCardinality(String) COMMENT 'Insurer (creditor)',
    customer_id String COMMENT 'Customer (debtor)',
    policy_number String COMMENT 'Policy the debit is for',
    collection_id UUID COMMENT 'Collection the debit is for',
    period_month LowCardinality(String) COMMENT 'Period of the collection, YYYY-MM',
    debit_id String COMMENT 'Id the bank carries: 32 hexadecimal digits',
    attempt UInt32 COMMENT 'Attempt number within the collection: 1, 2, 3...',
    amount_cents Int64 COMMENT 'Instructed amount in cents',
    amount Decimal(18, 2) ALIAS toDecimal64(amount_cents, 2) / 100 COMMENT 'Instructed amount in rands',
    currency LowCardinality(String) COMMENT 'ISO 4217 code, ZAR',
    action_date Date COMMENT 'Banking day on which the debit is presented',
    rail LowCardinality(String) COMMENT 'EFT, DEBICHECK or RM',
    mandate_reference String COMMENT 'Contract reference of the mandate; may be empty',
    event_id UUID COMMENT 'Made from facts: the same event has the same id in every run',
    business_date Date COMMENT 'The calendar''s day when the debit was instructed',
    at DateTime64(3, 'UTC') COMMENT 'Timestamp of the record that caused the event',
    seq Int64 COMMENT 'Dense count of events in this partition: 1, 2, 3...',
    src_partition UInt32 COMMENT 'Kafka partition the row came from',
    src_offset Int64 COMMENT 'Kafka offset the row came from'
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, period_month, collection_id, attempt)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'Debits instructed to the bank''s side (kasi.debits.v1)';
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS policies_log
(
    tenant_id LowCardinality(String) COMMENT 'Insurer the policy belongs to',
    policy_id UUID COMMENT 'Made of tenant and policy number',
    policy_number String COMMENT 'The insurer''s policy number',
    customer_id String COMMENT 'Customer, as the insurer names it',
    external_customer_ref String COMMENT 'The insurer''s further reference of the customer',
    product_code LowCardinality(String) COMMENT 'The insurer''s product',
    premium_cents Int64 COMMENT 'Monthly premium (collection_amount) in cents; a change counts from the next period',
    premium Decimal(18, 2) ALIAS toDecimal64(premium_cents, 2) / 100 COMMENT 'Monthly premium (collection_amount) in rands',
    status LowCardinality(String) COMMENT 'active, cancelled or lapsed',
    rail LowCardinality(String) COMMENT 'EFT, DEBICHECK or RM',
    mandate_reference String COMMENT 'Contract reference of the mandate; may be empty',
    mandate_max_cents Int64 COMMENT 'The most one debit may take, in cents; 0 where no maximum is known',
    mandate_fixed Bool COMMENT 'The mandate allows only the full amount',
    collection_day UInt8 COMMENT 'Day of the first attempt while no income is known; 0 = the configured day',
    hold_reason LowCardinality(String) COMMENT 'Why no debit is allowed until mandate or account is mended; empty if allowed',
    version Int64 COMMENT 'Counts the changes of the policy: 1, 2, 3...',
    request_id String COMMENT 'API request that made this version; empty for changes by the engine',
    created_at DateTime64(3, 'UTC') COMMENT 'When the policy was made',
    updated_at DateTime64(3, 'UTC') COMMENT 'When this version was made',
    event_id UUID COMMENT 'Made from facts: the same event has the same id in every run',
    business_date Date COMMENT 'The calendar''s day of the change',
    at DateTime64(3, 'UTC') COMMENT 'Timestamp of the record that caused the event',
    seq Int64 COMMENT 'Dense count of events in this partition: 1, 2, 3...',
    src_partition UInt32 COMMENT 'Kafka partition the row came from',
    src_offset Int64 COMMENT 'Kafka offset the row came from',
    INDEX by_request request_id TYPE bloom_filter GRANULARITY 1,
    INDEX by_policy policy_number TYPE bloom_filter GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, policy_id, version)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'Every version of every policy (kasi.policies.v1)';
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS collections_log
(
    tenant_id LowCardinality(String) COMMENT 'Insurer the collection is for',
    period_month LowCardinality(String) COMMENT 'Period collected, YYYY-MM',
    collection_id UUID COMMENT 'Made of policy and period',
    version Int64 COMMENT 'Counts the changes of the collection: 1, 2, 3...',
    customer_id String COMMENT 'Customer (debtor)',
    external_customer_ref String COMMENT 'The insurer''s further reference of the customer',
    policy_id UUID COMMENT 'Policy collected for',
    policy_number String COMMENT 'The insurer''s policy number',
    product_code LowCardinality(String) COMMENT 'The insurer''s product',
    execution_id String COMMENT 'Execution that made the collection',
    due_cents Int64 COMMENT 'Amount due in cents, fixed when the collection was made',
    due Decimal(18, 2) ALIAS toDecimal64(due_cents, 2) / 100 COMMENT 'Amount due in rands',
    collected_cents Int64 COMMENT 'Collected so far, in cents',
    collected Decimal(18, 2) ALIAS toDecimal64(collected_cents, 2) / 100 COMMENT 'Collected so far, in rands',
    in_flight_cents Int64 COMMENT 'With the bank, result not known yet, in cents',
    in_flight Decimal(18, 2) ALIAS toDecimal64(in_flight_cents, 2) / 100 COMMENT 'With the bank, result not known yet, in rands',
    shortfall Decimal(18, 2) ALIAS toDecimal64(due_cents - collected_cents, 2) / 100 COMMENT 'Due less collected, in rands',
    collection_status LowCardinality(String) COMMENT 'PAID_FULL, PAID_PARTIAL, UNPAID or CANCELLED',
    first_attempt_date Nullable(Date) COMMENT 'Action date of the first debit',
    last_attempt_date Nullable(Date) COMMENT 'Action date of the latest debit',
    number_of_attempts UInt32 COMMENT 'Debits instructed',
    last_failure_reason LowCardinality(String) COMMENT 'Why the last failed debit failed; empty once paid in full',
    change_kind LowCardinality(String) COMMENT 'The fact that made this version',
    change_debit_id String COMMENT 'Debit the fact is about; may be empty',
    change_result_id String COMMENT 'The bank''s result behind the fact; may be empty',
    moved_cents Int64 COMMENT 'What the fact added to collected, in cents; negative when money went back',
    moved Decimal(18, 2) ALIAS toDecimal64(moved_cents, 2) / 100 COMMENT 'What the fact added to collected, in rands',
    change_amount_cents Int64 COMMENT 'Amount of the debit the fact is about, in cents',
    reason_code LowCardinality(String) COMMENT 'The bank''s reason code; may be empty',
    reason_scheme LowCardinality(String) COMMENT 'ZA or ISO; may be empty',
    effective_date Nullable(Date) COMMENT 'The bank''s date of the result',
    event_id UUID COMMENT 'Made from facts: the same event has the same id in every run',
    business_date Date COMMENT 'The calendar''s day of the change',
    at DateTime64(3, 'UTC') COMMENT 'Timestamp of the record that caused the event',
    seq Int64 COMMENT 'Dense count of events in this partition: 1, 2, 3...',
    src_partition UInt32 COMMENT 'Kafka partition the row came from',
    src_offset Int64 COMMENT 'Kafka offset the row came from',
    INDEX by_policy policy_number TYPE bloom_filter GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, period_month, collection_id, version)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'Every version of every collection with the fact behind it; rows with moved_cents are the money ledger (kasi.collections.v1)';
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS settlements_log
(
    tenant_id LowCardinality(String) COMMENT 'Insurer settled with',
    settlement_id UUID COMMENT 'Made of tenant, period and sequence',
    settlement_number String COMMENT 'SETTLE-YYYY-MM-NNN, gap-free per tenant and period',
    period_month LowCardinality(String) COMMENT 'Period settled, YYYY-MM',
    sequence UInt32 COMMENT 'Statement of the period: 1, 2, 3...',
    version Int64 COMMENT 'Counts the changes of status; the figures never change',
    total_collections_cents Int64 COMMENT 'Money collected less adjustments, in cents',
    total_collections Decimal(18, 2) ALIAS toDecimal64(total_collections_cents, 2) / 100 COMMENT 'Money collected less adjustments, in rands',
    adjustments_cents Int64 COMMENT 'Part of the total that belongs to earlier periods, in cents',
    adjustments Decimal(18, 2) ALIAS toDecimal64(adjustments_cents, 2) / 100 COMMENT 'Part of the total that belongs to earlier periods, in rands',
    distribution_fee_cents Int64 COMMENT 'Distribution fee in cents',
    distribution_fee Decimal(18, 2) ALIAS toDecimal64(distribution_fee_cents, 2) / 100 COMMENT 'Distribution fee in rands',
    collections_fee_cents Int64 COMMENT 'Collections fee in cents',
    collections_fee Decimal(18, 2) ALIAS toDecimal64(collections_fee_cents, 2) / 100 COMMENT 'Collections fee in rands',
    total_fees_cents Int64 COMMENT 'Both fees in cents',
    total_fees Decimal(18, 2) ALIAS toDecimal64(total_fees_cents, 2) / 100 COMMENT 'Both fees in rands',
    vat_cents Int64 COMMENT 'VAT on the fees in cents',
    vat Decimal(18, 2) ALIAS toDecimal64(vat_cents, 2) / 100 COMMENT 'VAT on the fees in rands',
    net_cents Int64 COMMENT 'What the insurer is paid, in cents',
    net_amount Decimal(18, 2) ALIAS toDecimal64(net_cents, 2) / 100 COMMENT 'What the insurer is paid, in rands',
    payment_date Date COMMENT 'Day of the EFT',
    payment_reference String COMMENT 'EFT-YYYYMMDD-NNN',
    status LowCardinality(String) COMMENT 'pending, paid or disputed',
    request_id String COMMENT 'API request that made the statement',
    created_at DateTime64(3, 'UTC') COMMENT 'When the statement was made',
    coverage_period Array(String) COMMENT 'Periods whose movements are counted here',
    coverage_from Array(Array(Int64)) COMMENT 'For each covered period and partition of kasi.collections.v1: first seq counted',
    coverage_to Array(Array(Int64)) COMMENT 'For each covered period and partition of kasi.collections.v1: first seq not counted',
    event_id UUID COMMENT 'Made from facts: the same event has the same id in every run',
    business_date Date COMMENT 'The calendar''s day of the change',
    at DateTime64(3, 'UTC') COMMENT 'Timestamp of the record that caused the event',
    seq Int64 COMMENT 'Dense count of events in this partition: 1, 2, 3...',
    src_partition UInt32 COMMENT 'Kafka partition the row came from',
    src_offset Int64 COMMENT 'Kafka offset the row came from'
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, period_month, sequence, version)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'Every version of every settlement statement (kasi.settlements.v1)';
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS outcomes_log
(
    tenant_id LowCardinality(String) COMMENT 'Insurer that asked',
    request_id String COMMENT 'API request',
    row UInt32 COMMENT 'The command''s place in its request; of a CSV the row after the header, from 1',
    code LowCardinality(String) COMMENT 'OK, UNCHANGED, CONFLICT or NOT_FOUND',
    message String COMMENT 'Why it was refused; empty when it was not',
    policy_number String COMMENT 'Policy the command is about; may be empty',
    object_id String COMMENT 'The policy, collection or settlement the command made or met',
    stage LowCardinality(String) COMMENT 'Stage that answered: owners, collect or settle',
    event_id UUID COMMENT 'Made from facts: the same event has the same id in every run',
    business_date Nullable(Date) COMMENT 'The calendar''s day of the answer; intake knows none',
    at DateTime64(3, 'UTC') COMMENT 'Timestamp of the record that caused the event',
    seq Int64 COMMENT 'Dense count of the stage''s events in this partition: 1, 2, 3...',
    src_partition UInt32 COMMENT 'Kafka partition the row came from',
    src_offset Int64 COMMENT 'Kafka offset the row came from'
)
ENGINE = ReplacingMergeTree
ORDER BY (request_id, row, event_id)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'The answer to each API command (kasi.outcomes.v1)';
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS calendar_log
(
    business_date Date COMMENT 'Business date that opened or reached a cut-off',
    cutoff UInt32 COMMENT '0 opens the day; 1, 2... are its cut-offs',
    at DateTime64(3, 'UTC') COMMENT 'When the tick was written',
    src_partition UInt32 COMMENT 'Kafka partition the row came from',
    src_offset Int64 COMMENT 'Kafka offset the row came from'
)
ENGINE = ReplacingMergeTree
ORDER BY (business_date, cutoff)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'The calendar: every tick (kasi.calendar.v1)';
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS sink_marks
(
    topic LowCardinality(String) COMMENT 'Kafka topic',
    partition UInt32 COMMENT 'Kafka partition',
    next_offset SimpleAggregateFunction(max, Int64) COMMENT 'Everything before this offset is in ClickHouse',
    next_seq SimpleAggregateFunction(max, Int64) COMMENT 'Every event with a smaller seq is in ClickHouse; 0 where events have no dense count by partition',
    at SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'When the mark was set'
)
ENGINE = AggregatingMergeTree
ORDER BY (topic, partition)
COMMENT 'How far the sink has got: what read-your-writes and settlements wait for';
-- +goose StatementEnd

-- +goose Down
DROP TABLE sink_marks;
DROP TABLE calendar_log;
DROP TABLE outcomes_log;
DROP TABLE settlements_log;
DROP TABLE collections_log;
DROP TABLE policies_log;
DROP TABLE debits_log;
DROP TABLE decisions_log;
DROP TABLE deposits_log;
DROP TABLE transactions_log;
