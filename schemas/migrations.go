package schemas

import "embed"

// Migrations are the ClickHouse tables and views, as numbered goose files under the directory "clickhouse". A file that
// has been released is never changed; the next number changes what it made.
//
//go:embed clickhouse/*.sql
var Migrations embed.FS
