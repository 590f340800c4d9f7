package bench

import (
	"context"
	"fmt"
	"strings"

	"github.com/kasi-collections/kasi/schemas"
)

// engineSettings are the Kafka engine's. A consumer a thread each, blocks as large as the sink's flushes.
const engineSettings = "kafka_format = 'JSONEachRow', kafka_num_consumers = 2, kafka_thread_per_consumer = 1, " +
	"kafka_max_block_size = 65536, kafka_poll_max_batch_size = 65536, " +
	"kafka_flush_interval_ms = 500, input_format_skip_unknown_fields = 1, date_time_input_format = 'best_effort'"

// engineTables are the fields that the Kafka engine reads and what a materialized view makes of them, for each topic.
var engineTables = []struct{ topic, fields, selected string }{
	{
		schemas.TopicTransactions,
		`tenant_id String, customer_id String, transaction_id String, booked_at DateTime64(3, 'UTC'), amount_cents Int64,
		direction String, account_id String,
		balance_after_cents Nullable(Int64), currency String, description String, counterparty String, category String,
		event_id UUID, business_date Date,
		at DateTime64(3, 'UTC'), seq Int64`,
		`*`,
	},
	{
		schemas.TopicCollections,
		`tenant_id String, period_month String, collection_id UUID, version Int64, customer_id String,
		external_customer_ref String, policy_id UUID, policy_number String,
		product_code String, execution_id String, due_cents Int64, collected_cents Int64, in_flight_cents Int64,
		collection_status String, first_attempt_date Nullable(Date),
		last_attempt_date Nullable(Date), number_of_attempts UInt32, last_failure_reason String, change Tuple(kind String,
		debit_id String, result_id String, moved_cents Int64,
		amount_cents Int64, reason_code String, reason_scheme String, effective_date Nullable(Date)), event_id UUID,
		business_date Date, at DateTime64(3, 'UTC'), seq Int64`,
		`* EXCEPT change, change.kind AS change_kind, change.debit_id AS change_debit_id,
		change.result_id AS change_result_id, change.moved_cents AS moved_cents,
		change.amount_cents AS change_amount_cents, change.reason_code AS reason_code,
		change.reason_scheme AS reason_scheme, change.effective_date AS effective_date`,
	},
}

// engine lets ClickHouse read the topics by itself, into the same tables.
func (ch *clickHouse) engine(ctx context.Context, k *kafka, warm, all uint64) (run, error) {
	database, err := ch.database(ctx)
	if err != nil {
		return run{}, err
	}
	var drops []string
	for _, t := range engineTables {
		table := schemas.SunkTopics[t.topic]
		queue := database + ".queue_" + table
		settings := fmt.Sprintf("kafka_broker_list = '%s', kafka_topic_list = '%s', kafka_group_name = '%s', %s", k.brokers(),
			t.topic, database+"-"+table, engineSettings)
		if err := ch.conn.Exec(ctx, fmt.Sprintf("CREATE TABLE %s (%s) ENGINE = Kafka SETTINGS %s", queue, t.fields,
			settings)); err != nil {
			return run{}, err
		}
		view := database + ".view_" + table
		if err := ch.conn.Exec(ctx,
			fmt.Sprintf("CREATE MATERIALIZED VIEW %s TO %s.%s AS SELECT %s, toUInt32(_partition) AS src_partition, "+
				"toInt64(_offset) AS src_offset FROM %s",
				view, database, table, t.selected, queue)); err != nil {
			return run{}, err
		}
		drops = append(drops, view, queue)
	}
	r, err := ch.contend(ctx, k, nil, database, warm, all)
	if err != nil {
		return r, fmt.Errorf("%w; %s", err, strings.Join(drops, " "))
	}
	for _, name := range drops {
		if err := ch.conn.Exec(ctx, "DROP TABLE "+name+" SYNC"); err != nil {
			return r, err
		}
	}
	return r, nil
}
