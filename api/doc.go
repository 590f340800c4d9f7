// Package api is the HTTP API of SPEC section 3. openapi.yaml is the source of its routes and types.
//
// Writes go through Kafka (Commands), reads come from ClickHouse. A write is answered only when it can be read back:
// the API waits, bounded, for the outcome of its request and for the rows it caused. The API itself decides nothing
// about policies, collections or statements, so two calls at once cannot lose an update.
//
// Decisions where the SPEC leaves a choice:
//   - The request id is always made here, never taken from the caller: outcomes are found by it, so it must be unique.
//   - An id that is no UUID names no object: 404, as for another tenant's.
//   - - 409 where the object's state is in the way (number exists, policy cancelled, nothing executed to settle); 422
//     where the request can never be carried out (a period that has passed).
//   - A null for an optional field is the field left out.
//   - - Unknown query parameters and unknown CSV columns are refused: dropping a misspelt filter would answer another
//     question.
//   - - CSV answers are data for machines: values are written as they came, also those a spreadsheet would take for a
//     formula.
package api

//go:generate go tool oapi-codegen --config oapi-codegen.yaml openapi.yaml
