-- +goose Up
-- The table of the numbered files themselves is made without comments; an analyst finds one at every table and column.

-- +goose StatementBegin
ALTER TABLE goose_db_version
    MODIFY COMMENT 'Which numbered files of schemas/clickhouse this database has seen; the latest row of a version counts',
    COMMENT COLUMN version_id 'Number of the file; 0 stands for the beginning',
    COMMENT COLUMN is_applied 'Whether the file is carried out: 1, or 0 where it was taken back',
    COMMENT COLUMN date 'Day on which that was noted, UTC',
    COMMENT COLUMN tstamp 'When that was noted, UTC';
-- +goose StatementEnd

-- +goose Down
-- The comments stay.
