CREATE TABLE IF NOT EXISTS audit_log
( ... )
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, at, request_id)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS collections_log
( ... )
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, period_month, collection_id, version)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS outcomes_log
( ... )
ENGINE = ReplacingMergeTree
ORDER BY (request_id, row, event_id)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS executions_log
( ... )
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, execution_id, part, piece)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS calendar_log
( ... )
ENGINE = ReplacingMergeTree
ORDER BY (business_date, cutoff)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS debits_log
( ... )
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, period_month, collection_id, attempt)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS decisions_log
( ... )
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, policy_number, period_month, business_date, seq, event_id)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS transactions_log
( ... )
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, customer_id, transaction_id, account_id, event_id)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS deposits_log
( ... )
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, customer_id, deposit_date, event_id)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS imports_log
( ... )
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, import_id, no, event_id)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS open_items_log
( ... )
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, item_id, version)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS payouts_log
( ... )
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, settlement_id, payout_id)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS policies_log
( ... )
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, policy_id, version)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS settlements_log
( ... )
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, period_month, sequence, version)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS webhook_deliveries_log
( ... )
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, webhook_id, delivery_id, src_offset)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS collections_now
( ... )
ENGINE = ReplacingMergeTree(version)
PARTITION BY period_month
ORDER BY (tenant_id, period_month, policy_number, collection_id)
SETTINGS min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, number_of_free_entries_in_pool_to_execute_optimize_entire_partition = 1;

CREATE TABLE IF NOT EXISTS decisions_now
( ... )
ENGINE = ReplacingMergeTree(at)
PARTITION BY period_month
ORDER BY (tenant_id, period_month, policy_number, collection_id)
SETTINGS min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, number_of_free_entries_in_pool_to_execute_optimize_entire_partition = 1;

CREATE TABLE IF NOT EXISTS income_streams_now
( ... )
ENGINE = ReplacingMergeTree(seq)
ORDER BY (tenant_id, customer_id, stream_id)
SETTINGS min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, number_of_free_entries_in_pool_to_execute_optimize_entire_partition = 1;

CREATE TABLE IF NOT EXISTS policies_now
( ... )
ENGINE = ReplacingMergeTree(version)
ORDER BY (tenant_id, policy_number, policy_id)
SETTINGS min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, number_of_free_entries_in_pool_to_execute_optimize_entire_partition = 1;

CREATE TABLE IF NOT EXISTS debits_now
( ... )
ENGINE = AggregatingMergeTree
PARTITION BY period_month
ORDER BY (tenant_id, period_month, policy_number, collection_id, debit_id)
SETTINGS min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, number_of_free_entries_in_pool_to_execute_optimize_entire_partition = 1;

CREATE OR REPLACE VIEW transactions ...;
CREATE OR REPLACE VIEW deposits ...;
CREATE OR REPLACE VIEW decisions ...;
CREATE OR REPLACE VIEW standing_decisions ...;
CREATE OR REPLACE VIEW policies ...;
CREATE OR REPLACE VIEW collections ...;
CREATE OR REPLACE VIEW movements ...;
CREATE OR REPLACE VIEW reason_codes ...;
CREATE OR REPLACE VIEW debits ...;
CREATE OR REPLACE VIEW attempts ...;
CREATE OR REPLACE VIEW income_streams ...;
CREATE OR REPLACE VIEW customers ...;
CREATE OR REPLACE VIEW arrears ...;
CREATE OR REPLACE VIEW open_items ...;
CREATE OR REPLACE VIEW settlements ...;
CREATE OR REPLACE VIEW payouts ...;
CREATE OR REPLACE VIEW settlement_lines ...;
CREATE OR REPLACE VIEW ledger ...;
CREATE OR REPLACE VIEW ledger_balances ...;
CREATE OR REPLACE VIEW settlement_proof ...;
CREATE OR REPLACE VIEW calendar ...;
CREATE OR REPLACE VIEW executions ...;

CREATE TABLE IF NOT EXISTS audit_log ON CLUSTER kasi
( ... )
ENGINE = ReplicatedReplacingMergeTree
ORDER BY (tenant_id, at, request_id)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS collections_log ON CLUSTER kasi
( ... )
ENGINE = ReplicatedReplacingMergeTree
ORDER BY (tenant_id, period_month, collection_id, version)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS outcomes_log ON CLUSTER kasi
( ... )
ENGINE = ReplicatedReplacingMergeTree
ORDER BY (request_id, row, event_id)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS executions_log ON CLUSTER kasi
( ... )
ENGINE = ReplicatedReplacingMergeTree
ORDER BY (tenant_id, execution_id, part, piece)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS calendar_log ON CLUSTER kasi
( ... )
ENGINE = ReplicatedReplacingMergeTree
ORDER BY (business_date, cutoff)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS debits_log ON CLUSTER kasi
( ... )
ENGINE = ReplicatedReplacingMergeTree
ORDER BY (tenant_id, period_month, collection_id, attempt)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS decisions_log ON CLUSTER kasi
( ... )
ENGINE = ReplicatedReplacingMergeTree
ORDER BY (tenant_id, policy_number, period_month, business_date, seq, event_id)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS transactions_log ON CLUSTER kasi
( ... )
ENGINE = ReplicatedReplacingMergeTree
ORDER BY (tenant_id, customer_id, transaction_id, account_id, event_id)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS deposits_log ON CLUSTER kasi
( ... )
ENGINE = ReplicatedReplacingMergeTree
ORDER BY (tenant_id, customer_id, deposit_date, event_id)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS imports_log ON CLUSTER kasi
( ... )
ENGINE = ReplicatedReplacingMergeTree
ORDER BY (tenant_id, import_id, no, event_id)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS open_items_log ON CLUSTER kasi
( ... )
ENGINE = ReplicatedReplacingMergeTree
ORDER BY (tenant_id, item_id, version)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS payouts_log ON CLUSTER kasi
( ... )
ENGINE = ReplicatedReplacingMergeTree
ORDER BY (tenant_id, settlement_id, payout_id)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS policies_log ON CLUSTER kasi
( ... )
ENGINE = ReplicatedReplacingMergeTree
ORDER BY (tenant_id, policy_id, version)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS settlements_log ON CLUSTER kasi
( ... )
ENGINE = ReplicatedReplacingMergeTree
ORDER BY (tenant_id, period_month, sequence, version)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS webhook_deliveries_log ON CLUSTER kasi
( ... )
ENGINE = ReplicatedReplacingMergeTree
ORDER BY (tenant_id, webhook_id, delivery_id, src_offset)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS collections_now ON CLUSTER kasi
( ... )
ENGINE = ReplicatedReplacingMergeTree(version)
PARTITION BY period_month
ORDER BY (tenant_id, period_month, policy_number, collection_id)
SETTINGS min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, number_of_free_entries_in_pool_to_execute_optimize_entire_partition = 1;

CREATE TABLE IF NOT EXISTS decisions_now ON CLUSTER kasi
( ... )
ENGINE = ReplicatedReplacingMergeTree(at)
PARTITION BY period_month
ORDER BY (tenant_id, period_month, policy_number, collection_id)
SETTINGS min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, number_of_free_entries_in_pool_to_execute_optimize_entire_partition = 1;

CREATE TABLE IF NOT EXISTS income_streams_now ON CLUSTER kasi
( ... )
ENGINE = ReplicatedReplacingMergeTree(seq)
ORDER BY (tenant_id, customer_id, stream_id)
SETTINGS min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, number_of_free_entries_in_pool_to_execute_optimize_entire_partition = 1;

CREATE TABLE IF NOT EXISTS policies_now ON CLUSTER kasi
( ... )
ENGINE = ReplicatedReplacingMergeTree(version)
ORDER BY (tenant_id, policy_number, policy_id)
SETTINGS min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, number_of_free_entries_in_pool_to_execute_optimize_entire_partition = 1;

CREATE TABLE IF NOT EXISTS debits_now ON CLUSTER kasi
( ... )
ENGINE = ReplicatedAggregatingMergeTree
PARTITION BY period_month
ORDER BY (tenant_id, period_month, policy_number, collection_id, debit_id)
SETTINGS min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, number_of_free_entries_in_pool_to_execute_optimize_entire_partition = 1;

CREATE OR REPLACE VIEW transactions ON CLUSTER kasi ...;
CREATE OR REPLACE VIEW deposits ON CLUSTER kasi ...;
CREATE OR REPLACE VIEW decisions ON CLUSTER kasi ...;
CREATE OR REPLACE VIEW standing_decisions ON CLUSTER kasi ...;
CREATE OR REPLACE VIEW policies ON CLUSTER kasi ...;
CREATE OR REPLACE VIEW collections ON CLUSTER kasi ...;
CREATE OR REPLACE VIEW movements ON CLUSTER kasi ...;
CREATE OR REPLACE VIEW reason_codes ON CLUSTER kasi ...;
CREATE OR REPLACE VIEW debits ON CLUSTER kasi ...;
CREATE OR REPLACE VIEW attempts ON CLUSTER kasi ...;
CREATE OR REPLACE VIEW income_streams ON CLUSTER kasi ...;
CREATE OR REPLACE VIEW customers ON CLUSTER kasi ...;
CREATE OR REPLACE VIEW arrears ON CLUSTER kasi ...;
CREATE OR REPLACE VIEW open_items ON CLUSTER kasi ...;
CREATE OR REPLACE VIEW settlements ON CLUSTER kasi ...;
CREATE OR REPLACE VIEW payouts ON CLUSTER kasi ...;
CREATE OR REPLACE VIEW settlement_lines ON CLUSTER kasi ...;
CREATE OR REPLACE VIEW ledger ON CLUSTER kasi ...;
CREATE OR REPLACE VIEW ledger_balances ON CLUSTER kasi ...;
CREATE OR REPLACE VIEW settlement_proof ON CLUSTER kasi ...;
CREATE OR REPLACE VIEW calendar ON CLUSTER kasi ...;
CREATE OR REPLACE VIEW executions ON CLUSTER kasi ...;

