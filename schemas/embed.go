package schemas

import "embed"

// JSONSchemas holds the JSON Schema (draft 2020-12) of each public topic's value: json/<topic>.schema.json.
//
//go:embed json/*.schema.json
var JSONSchemas embed.FS

// Migrations are numbered goose files under the directory "clickhouse": what the catalogue cannot do by adding tables,
// columns and views. They run after missing tables were made and before columns are compared. A file that has been
// released is never changed; the next number changes what it made.
//
//go:embed clickhouse/*.sql
var Migrations embed.FS
