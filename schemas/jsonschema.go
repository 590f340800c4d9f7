package schemas

import "embed"

// JSONSchemas holds the JSON Schema (draft 2020-12) of each public topic's value: json/<topic>.schema.json.
//
//go:embed json/*.schema.json
var JSONSchemas embed.FS
