package main

import (
	"fmt"
	"strings"
)

// appenders writes AppendJSON of every event that Kasi writes, and appendJSON of what such events hold.
func appenders(c *catalog) string {
	var t text
	t.f("package schemas\n\nimport \"strconv\"\n")
	written := c.where(func(e *event) bool { return e.kind == "event" })
	for _, e := range written {
		t.f("// AppendJSON appends the event as encoding/json writes it, to the byte.")
		t.f("func (e *%s) AppendJSON(b []byte) (_ []byte, err error) {", e.name)
		appendFields(&t, e.structure)
		t.f("return append(b, '}'), err\n}\n")
	}
	for _, s := range held(written) {
		t.f("func (e *%s) appendJSON(b []byte) []byte {", s.name)
		appendFields(&t, s)
		t.f("return append(b, '}')\n}\n")
	}
	return t.String()
}

func appendFields(t *text, s *structure) {
	before := "{"
	for _, f := range s.fields {
		key := fmt.Sprintf("append(b, `%s%q:`...)", before, f.json)
		line := "b = " + strings.Replace(f.code(f.kind.write), "$k", key, 1)
		if f.omit {
			if before == "{" || f.kind.there == "" {
				fail("%s.%s: the first field, objects and instants are always written", s.name, f.name)
			}
			line = "if " + f.code(f.kind.there) + " {\n" + line + "\n}"
		} else if f.goType == "*Cents" {
			fail("%s.%s: a pointer needs omitempty", s.name, f.name)
		}
		t.f("%s", line)
		before = ","
	}
}
