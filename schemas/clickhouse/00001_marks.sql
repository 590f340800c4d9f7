-- +goose Up
-- The tables of events are made from the catalogue (tables.gen.go); this one is the sink's own.

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS sink_marks
(
    topic LowCardinality(String) COMMENT 'Kafka topic',
    partition UInt32 COMMENT 'Kafka partition',
    next_offset SimpleAggregateFunction(max, Int64) COMMENT 'Everything before this offset is in ClickHouse',
    next_seq SimpleAggregateFunction(max, Int64) 
        COMMENT 'Every event with a smaller seq is in ClickHouse; 0 where events have no dense count by partition',
    at SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'When the mark was set'
)
ENGINE = AggregatingMergeTree
ORDER BY (topic, partition)
COMMENT 'How far the sink has got: what read-your-writes and settlements wait for';
-- +goose StatementEnd

-- +goose Down
DROP TABLE IF EXISTS sink_marks;
