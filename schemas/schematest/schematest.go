// Package schematest lets tests ask what the published JSON Schemas say of a record.
package schematest

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
)

// Of compiles the published schema of a topic, with its formats asserted.
func Of(t testing.TB, topic string) *jsonschema.Schema {
	name := "json/" + topic + ".schema.json"
	text, err := schemas.JSONSchemas.ReadFile(name)
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	require.NoError(t, c.AddResource(name, doc))
	schema, err := c.Compile(name)
	require.NoError(t, err, "the schema follows its own metaschema")
	return schema
}

// Accepts tells what an integrator's own check would say.
func Accepts(schema *jsonschema.Schema, record []byte) bool {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(record))
	return err == nil && schema.Validate(doc) == nil
}
