-- +goose Up
-- What a sink has found that it cannot bring back, so that whoever meets the hole can say why, in whatever process.

-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS sink_holes
(
    topic LowCardinality(String) COMMENT 'Kafka topic',
    stage LowCardinality(String) COMMENT 'Stage that counts the events, where several write the topic; else empty',
    partition UInt32 COMMENT 'Kafka partition',
    from_seq Int64 COMMENT 'First number that is missing',
    to_seq Int64 COMMENT 'Last number that is missing',
    why String COMMENT 'Why the sink could not bring it back',
    at DateTime64(3, 'UTC') COMMENT 'When the sink found it'
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (topic, stage, partition, from_seq, to_seq)
COMMENT 'Events that ClickHouse lost and the sink could not bring back from Kafka; rows stay when they are back after all';
-- +goose StatementEnd

-- +goose Down
DROP TABLE IF EXISTS sink_holes;
