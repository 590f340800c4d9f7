package main

import (
	"bytes"
	"encoding/json"
	"strings"
)

// What the bounds of a feed's texts look like; package feeds checks the same.
const (
	noControls  = `^[^\x00-\x1f]*$`
	years       = `^(19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}`
	instantText = years + `T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	periodText  = `^[0-9]{4}-(0[1-9]|1[0-2])$`
	maxCents    = 1_000_000_000_000
)

// pair is a member of a JSON object; members keeps their order.
type pair struct {
	key   string
	value any
}

type members []pair

func (m *members) add(key string, value any) { *m = append(*m, pair{key, value}) }

// MarshalJSON writes the members in their order.
func (m members) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, p := range m {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := e.Encode(p.key); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := e.Encode(p.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// jsonSchemas writes the schema of each public topic.
func jsonSchemas(c *catalog) map[string]string {
	files := map[string]string{}
	for _, e := range c.events {
		if e.title == "" {
			continue
		}
		name := c.topics[e.topic] + ".schema.json"
		about := e.doc
		if e.kind == "feed" {
			about += " Unknown fields are ignored; null is the same as absent. Texts are bounded in bytes of UTF-8: " +
				bounds(e) + "."
		}
		doc := append(members{
			{"$schema", "https://json-schema.org/draft/2020-12/schema"},
			{"$id", "https://schemas.kasi-collections.example/" + name},
			{"title", e.title},
			{"description", about},
		}, object(e.structure, e.kind == "feed")...)
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(doc); err != nil {
			fail("%s: %v", e.name, err)
		}
		files["schemas/json/"+name] = b.String()
	}
	return files
}

// bounds lists the lengths that a feed's texts may have.
func bounds(e *event) string {
	var list []string
	for _, kind := range [][2]string{{"id", "ids 128"}, {"code", "codes 35"}, {"text", "others 4096"}} {
		for _, f := range e.fields {
			if f.is(kind[0]) {
				list = append(list, kind[1])
				break
			}
		}
	}
	return strings.Join(list, ", ")
}

func object(s *structure, feed bool) members {
	required, properties := []string{}, members{}
	for _, f := range s.fields {
		if !f.omit {
			required = append(required, f.json)
		}
		properties.add(f.json, append(members{{"description", f.about(feed)}}, f.schema(feed)...))
	}
	return members{{"type", "object"}, {"required", required}, {"properties", properties}}
}

// about is the field's comment with its unit and, of a feed, how it is written.
func (f *field) about(feed bool) string {
	about := f.doc
	if strings.HasSuffix(f.goType, "Cents") {
		about += " In cents."
	}
	switch {
	case !feed:
	case strings.HasSuffix(f.goType, "Cents"):
		about += " Digits only: not 150.0 or 1e3."
	case f.goType == "time.Time":
		about += " RFC 3339 with an offset, at most nine decimals."
	case f.is("date"):
		about += " YYYY-MM-DD."
	}
	return about
}

// schema is what the type, the tags and, of a feed, the decoder demand of a field.
func (f *field) schema(feed bool) (m members) {
	orNull := func(name string) any {
		if feed && f.omit {
			return []string{name, "null"}
		}
		return name
	}
	switch {
	case len(f.enum) > 0:
		var values []any
		for _, v := range f.enum {
			values = append(values, v.value)
		}
		if feed && f.omit {
			values = append(values, "", nil)
		}
		return members{{"enum", values}}
	case strings.HasPrefix(f.goType, "[]"):
		item := &field{goType: f.goType[2:], tag: f.tag}
		if f.elem != nil {
			return members{{"type", "array"}, {"items", append(members{{"description", f.elem.doc}}, object(f.elem, feed)...)}}
		}
		return members{{"type", "array"}, {"items", item.schema(feed)}}
	case f.elem != nil:
		return object(f.elem, feed)
	case f.goType == "bool":
		return members{{"type", "boolean"}}
	case f.goType == "time.Time":
		m = members{{"type", "string"}, {"format", "date-time"}}
		if feed {
			m.add("pattern", instantText)
		}
		return m
	case f.goType == "string" || f.goType == "Period":
		return f.textSchema(feed, orNull("string"))
	}
	m = members{{"type", orNull("integer")}}
	amount := strings.HasSuffix(f.goType, "Cents")
	if f.is("min") {
		m.add("minimum", json.Number(f.tag["min"]))
	} else if feed && amount {
		m.add("minimum", -maxCents)
	}
	if f.is("max") {
		m.add("maximum", json.Number(f.tag["max"]))
	} else if feed && amount {
		m.add("maximum", maxCents)
	}
	return m
}

func (f *field) textSchema(feed bool, typ any) members {
	m := members{{"type", typ}}
	bound := func(most int, pattern string) {
		if !f.omit {
			m.add("minLength", 1)
		}
		m.add("maxLength", most)
		if pattern != "" {
			m.add("pattern", pattern)
		}
	}
	switch {
	case f.is("pattern"):
		m.add("pattern", f.tag["pattern"])
	case f.goType == "Period":
		m.add("pattern", periodText)
	case f.is("date"):
		m.add("format", "date")
		if feed {
			m.add("pattern", years+"$")
		}
	case f.is("uuid"):
		m.add("format", "uuid")
	case feed && f.is("id"):
		bound(128, noControls)
	case feed && f.is("code"):
		bound(35, noControls)
	case feed && f.is("text"):
		bound(4096, "")
	}
	return m
}
