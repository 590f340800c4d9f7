package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// What the bounds of a feed's texts look like; package feeds checks the same.
var (
	dateText    = "^" + years(firstYear+1, lastYear-1) + "-[0-9]{2}-[0-9]{2}"
	instantText = dateText + `T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	nameText    = name()
)

const (
	periodText = `^[0-9]{4}-(0[1-9]|1[0-2])$`
	maxCents   = "1000000000000"
)

// years is a pattern of the years from first to last, decade by decade.
func years(first, last int) string {
	var decades []string
	for d := first / 10; d <= last/10; d++ {
		decades = append(decades, fmt.Sprintf("%d[%d-%d]", d, max(first-10*d, 0), min(last-10*d, 9)))
	}
	return "(" + strings.Join(decades, "|") + ")"
}

// name is a pattern of schemas.Name: no invisible character, no blank at either end. It leaves out characters beyond
// the first 65,536, which not every language's patterns know.
func name() string {
	hidden := class(func(c rune) bool { return unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) })
	inside, edge := "[^"+hidden+"]", "[^"+hidden+class(unicode.IsSpace)+"]"
	return "^(" + edge + "(" + inside + "*" + edge + ")?)?$"
}

// class is what a pattern's brackets hold to mean these characters.
func class(is func(rune) bool) (ranges string) {
	for c := rune(0); c < 0x10000; c++ {
		if !is(c) {
			continue
		}
		first := c
		for is(c + 1) {
			c++
		}
		ranges += escaped(first)
		if c > first {
			ranges += "-" + escaped(c)
		}
	}
	return ranges
}

// escaped is a character as all languages' patterns know it; the quotes around the pattern escape what lies beyond
// ASCII.
func escaped(c rune) string {
	if c < 0x80 {
		return fmt.Sprintf(`\x%02x`, c)
	}
	return string(c)
}

// jsonSchemas writes the schema of each public topic.
func jsonSchemas(c *catalog) map[string]string {
	files := map[string]string{}
	for _, e := range c.where(func(e *structure) bool { return e.title != "" }) {
		name, about := c.topics[e.topic]+".schema.json", e.doc
		if e.feed() {
			about += " Unknown fields are ignored; null is the same as absent. Ids are compared in Unicode's form NFC." +
				" Texts are bounded in bytes of UTF-8:"
			for _, bound := range [][2]string{{"id", " ids 128,"}, {"code", " codes 35,"}, {"text", " others 4096,"}} {
				if slices.ContainsFunc(e.fields, func(f *field) bool { return f.is(bound[0]) }) {
					about += bound[1]
				}
			}
			about = strings.TrimSuffix(about, ",") + "."
		}
		var b bytes.Buffer
		text := fmt.Sprintf(`{"$schema":"https://json-schema.org/draft/2020-12/schema",
			"$id":%q,"title":%q,"description":%q,%s}`,
			"https://schemas.kasi-collections.example/"+name, e.title, about, object(e, e.feed()))
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
	about := f.doc + f.unit()
	switch {
	case feed && f.unit() != "":
		about += " Digits only: not 150.0 or 1e3."
	case feed && f.goType == "time.Time":
		about += " RFC 3339 with an offset, at most nine decimals."
	case feed && f.is("date"):
		about += " YYYY-MM-DD."
	}
	return about
}

// schema is what the type, the tags and, of a feed, the decoder demand of a field.
func (f *field) schema(feed bool) string {
	typ, list := strconv.Quote(f.kind.schema), f.shape[0] == '['
	one := `"type":` + typ + f.bounds(feed)
	switch {
	case len(f.values) > 0:
		values := `"` + strings.Join(f.values, `","`) + `"`
		if feed && f.omit {
			values += `,"",null`
		}
		return `"enum":[` + values + "]"
	case list && f.elem != nil:
		one = fmt.Sprintf(`"description":%q,%s`, f.elem.doc, object(f.elem, feed))
	case f.elem != nil:
		return object(f.elem, feed)
	case feed && f.omit:
		return `"type":[` + typ + `,"null"]` + f.bounds(feed)
	}
	if list {
		return `"type":"array","items":{` + one + "}"
	}
	return one
}

// bounds are the demands beside the type.
func (f *field) bounds(feed bool) (demands string) {
	date, instant, amount := f.is("date"), f.goType == "time.Time", feed && f.unit() != ""
	name, text := feed && !f.is("pattern") && (f.is("id") || f.is("code")), feed && f.is("text")
	for _, d := range []struct {
		holds      bool
		key, value string
	}{
		{f.is("min"), "minimum", f.tag["min"]},
		{amount && !f.is("min"), "minimum", "-" + maxCents},
		{f.is("max"), "maximum", f.tag["max"]},
		{amount && !f.is("max"), "maximum", maxCents},
		{date, "format", `"date"`},
		{instant, "format", `"date-time"`},
		{f.is("uuid"), "format", `"uuid"`},
		{(name || text) && !f.omit, "minLength", "1"},
		{name && f.is("id"), "maxLength", "128"},
		{name && f.is("code"), "maxLength", "35"},
		{text, "maxLength", "4096"},
		{f.is("pattern"), "pattern", strconv.Quote(f.tag["pattern"])},
		{f.goType == "Period", "pattern", strconv.Quote(periodText)},
		{feed && date, "pattern", strconv.Quote(dateText + "$")},
		{feed && instant, "pattern", strconv.Quote(instantText)},
		{name, "pattern", strconv.Quote(nameText)},
	} {
		if d.holds {
			demands += fmt.Sprintf(",%q:%s", d.key, d.value)
		}
	}
	return demands
}
