package feeds_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kasi-collections/kasi/schemas/schematest"
)

func TestDecodersAgreeWithTheSchemas(t *testing.T) {
	for _, f := range allFeeds() {
		schema := schematest.Of(t, f.topic)
		require.True(t, schematest.Accepts(schema, f.record(nil)), f.topic)
		for name, raw := range f.good {
			none := []string{"", "null"}
			if raw[0] == '"' {
				none = append(none, `""`)
			}
			for _, value := range none {
				record := f.record(map[string]string{name: value})
				_, err := f.decode(record)
				require.Equal(t, err == nil, schematest.Accepts(schema, record), "%s: %s = %q: %v", f.topic, name, value, err)
			}
		}
		for _, c := range fieldCases() {
			if c.topic == f.topic {
				record := f.record(map[string]string{c.field: c.raw})
				require.Equal(t, c.class == "" || c.stricter, schematest.Accepts(schema, record), "%s: %s = %.60s", c.topic,
					c.field,
					c.raw)
			}
		}
		for _, text := range brokenTexts() {
			_, err := f.decode([]byte(text))
			require.Error(t, err)
		}
	}
}

// Any mixture of good and bad values, in any order and with any spacing: the decoder never takes what the schema
// refuses, and refuses what it takes only where a case says so.
func TestDecodersAgreeWithTheSchemasOnMixtures(t *testing.T) {
	for _, f := range allFeeds() {
		schema := schematest.Of(t, f.topic)
		pool := map[string][]fieldCase{}
		var names []string
		for name, raw := range f.good {
			names = append(names, name)
			pool[name] = []fieldCase{{raw: raw}, {raw: raw}, {raw: raw}, {raw: raw}, {raw: "null"}}
		}
		names = append(names, "unknown", "Tenant_ID", "")
		pool["unknown"], pool["Tenant_ID"], pool[""] = []fieldCase{{raw: `{"a":[]}`}}, []fieldCase{{raw: `5`}},
			[]fieldCase{{raw: `""`}}
		for _, c := range fieldCases() {
			for _, name := range names { // every value at every field, its own more often
				pool[name] = append(pool[name], fieldCase{raw: c.raw, stricter: c.stricter})
				if c.topic == f.topic && c.field == name {
					pool[name] = append(pool[name], c, c)
				}
			}
		}
		rapid.Check(t, func(t *rapid.T) {
			stricter := false
			space := rapid.SampledFrom([]string{"", " ", "\n\t", "\r\n  "})
			var text strings.Builder
			text.WriteString(space.Draw(t, "space") + "{")
			present := rapid.Permutation(names).Draw(t, "order")[rapid.IntRange(0, 3).Draw(t, "missing"):]
			odd := rapid.SliceOfN(rapid.IntRange(0, len(names)-1), 0, 2).Draw(t, "odd")
			for i, name := range present {
				raw := f.good[name]
				if raw == "" {
					raw = pool[name][0].raw
				}
				for _, n := range odd {
					if names[n] == name {
						c := rapid.SampledFrom(pool[name]).Draw(t, "case")
						raw, stricter = c.raw, stricter || c.stricter
					}
				}
				if i > 0 {
					text.WriteString(space.Draw(t, "space") + ",")
				}
				text.WriteString(space.Draw(t, "space") + `"` + name + `"` + space.Draw(t, "space") + ":" + space.Draw(t, "space") +
					raw)
			}
			text.WriteString(space.Draw(t, "space") + "}")
			_, err := f.decode([]byte(text.String()))
			accepted := schematest.Accepts(schema, []byte(text.String()))
			if stricter && err != nil {
				return
			}
			require.Equal(t, accepted, err == nil, "%s: %v", text.String(), err)
		})
	}
}
