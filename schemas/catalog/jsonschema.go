package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// What the bounds of a feed's texts look like; package feeds checks the same.
const (
	noControls  = `^[^\x00-\x1f]*$`
	years       = `^(19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}`
	instantText = years + `T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	periodText  = `^[0-9]{4}-(0[1-9]|1[0-2])$`
	maxCents    = "1000000000000"
)

// limit bounds a feed's texts whose tag has the word.
type limit struct {
	word, plural string
	bytes        int
	pattern      string
}

func limits() []limit {
	return []limit{{"id", "ids", 128, noControls}, {"code", "codes", 35, noControls}, {"text", "others", 4096, ""}}
}

// jsonSchemas writes the schema of each public topic.
func jsonSchemas(c *catalog) map[string]string {
	files := map[string]string{}
	for _, e := range c.where(func(e *event) bool { return e.title != "" }) {
		name, about := c.topics[e.topic]+".schema.json", e.doc
		if e.feed() {
			var bounds []string
			for _, l := range limits() {
				if slices.ContainsFunc(e.fields, func(f *field) bool { return f.is(l.word) }) {
					bounds = append(bounds, fmt.Sprint(l.plural, " ", l.bytes))
				}
			}
			about += " Unknown fields are ignored; null is the same as absent. Texts are bounded in bytes of UTF-8: " +
				strings.Join(bounds, ", ") + "."
		}
		var b bytes.Buffer
		text := fmt.Sprintf(`{"$schema":"https://json-schema.org/draft/2020-12/schema",
			"$id":%q,"title":%q,"description":%q,%s}`,
			"https://schemas.kasi-collections.example/"+name, e.title, about, object(e.structure, e.feed()))
		if err := json.Indent(&b, []byte(text), "", "  "); err != nil {
			fail("%s: %v", e.name, err)
		}
		files["schemas/json/"+name] = b.String() + "\n"
	}
	return files
}

func object(s *structure, feed bool) string {
	var required, properties []string
	for _, f := range s.fields {
		if !f.omit {
			required = append(required, strconv.Quote(f.json))
		}
		properties = append(properties, fmt.Sprintf(`%q:{"description":%q,%s}`, f.json, f.about(feed), f.schema(feed)))
	}
	return fmt.Sprintf(`"type":"object","required":[%s],"properties":{%s}`, strings.Join(required, ","),
		strings.Join(properties, ","))
}

// about is the field's comment with its unit and, of a feed, how it is written.
func (f *field) about(feed bool) string {
	switch about := f.doc + f.unit(); {
	case !feed:
		return about
	case f.unit() != "":
		return about + " Digits only: not 150.0 or 1e3."
	case f.goType == "time.Time":
		return about + " RFC 3339 with an offset, at most nine decimals."
	case f.is("date"):
		return about + " YYYY-MM-DD."
	default:
		return about
	}
}

// schema is what the type, the tags and, of a feed, the decoder demand of a field.
func (f *field) schema(feed bool) string {
	typ, orNull := strconv.Quote(f.kind.schema), feed && f.omit
	switch {
	case len(f.enum) > 0:
		var values []string
		for _, v := range f.enum {
			values = append(values, strconv.Quote(v.value))
		}
		if orNull {
			values = append(values, `""`, "null")
		}
		return `"enum":[` + strings.Join(values, ",") + "]"
	case f.shape == "struct":
		return object(f.elem, feed)
	case f.shape == "[]struct":
		return fmt.Sprintf(`"type":"array","items":{"description":%q,%s}`, f.elem.doc, object(f.elem, feed))
	case f.shape[0] == '[':
		return `"type":"array","items":{"type":` + typ + f.bounds(feed) + "}"
	case orNull && f.shape != "bool":
		typ = "[" + typ + `,"null"]`
	}
	return `"type":` + typ + f.bounds(feed)
}

// bounds are the schema's demands beside the type.
func (f *field) bounds(feed bool) (demands string) {
	add := func(format string, args ...any) { demands += fmt.Sprintf(","+format, args...) }
	switch {
	case f.kind.schema == "integer":
		for _, bound := range [][3]string{{"min", "minimum", "-" + maxCents}, {"max", "maximum", maxCents}} {
			if f.is(bound[0]) {
				add("%q:%s", bound[1], f.tag[bound[0]])
			} else if feed && f.unit() != "" {
				add("%q:%s", bound[1], bound[2])
			}
		}
	case f.is("pattern"):
		add(`"pattern":%q`, f.tag["pattern"])
	case f.goType == "Period":
		add(`"pattern":%q`, periodText)
	case f.is("uuid"):
		add(`"format":"uuid"`)
	case f.is("date"):
		add(`"format":"date"`)
		if feed {
			add(`"pattern":%q`, years+"$")
		}
	case f.goType == "time.Time":
		add(`"format":"date-time"`)
		if feed {
			add(`"pattern":%q`, instantText)
		}
	case feed:
		for _, l := range limits() {
			if !f.is(l.word) {
				continue
			}
			if !f.omit {
				add(`"minLength":1`)
			}
			add(`"maxLength":%d`, l.bytes)
			if l.pattern != "" {
				add(`"pattern":%q`, l.pattern)
			}
		}
	}
	return demands
}
