package main

import (
	"fmt"
	"strings"
)

// feeds writes a strict decoder of each topic that comes from outside. The checks are in the order of the fields.
func feeds(c *catalog) string {
	var t text
	t.f("package feeds\n\nimport \"github.com/kasi-collections/kasi/schemas\"\n")
	for _, e := range c.events {
		if e.kind != "feed" {
			continue
		}
		t.f("func index%s(key []byte) int {\nswitch string(key) {", e.name)
		for i, f := range e.fields {
			t.f("case %q:\nreturn %d", f.json, i)
		}
		t.f("}\nreturn -1\n}\n")
		t.f("func decode%s(b []byte) (v schemas.%[1]s, err error) {", e.name)
		t.f("var fields [%d]value\ns := scanner{text: b}", len(e.fields))
		t.f("if err := s.object(fields[:], index%s); err != nil {\nreturn v, err\n}", e.name)
		t.f("r := record{fields: fields[:], err: &err}\nv = schemas.%s{", e.name)
		for i, f := range e.fields {
			t.f("%s: %s,", f.name, taker(e, i, f))
		}
		t.f("}\nif err != nil {\nreturn schemas.%s{}, err\n}\nreturn v, nil\n}\n", e.name)
	}
	return t.String()
}

// taker is the expression that takes a field from the record.
func taker(e *event, i int, f *field) string {
	call := func(method string, more ...string) string {
		return fmt.Sprintf("r.%s(%s)", method, strings.Join(append([]string{fmt.Sprintf("%d, %q", i, f.json)}, more...),
			", "))
	}
	need := func(method string) string {
		if f.omit {
			return "maybe" + method
		}
		return "need" + method
	}
	switch {
	case len(f.enum) > 0:
		values := []string{fmt.Sprintf("&r, %d, %q", i, f.json)}
		for _, v := range f.enum {
			values = append(values, v.name)
		}
		if f.omit {
			return "choiceOrNone(" + strings.Join(values, ", ") + ")"
		}
		return "choice(" + strings.Join(values, ", ") + ")"
	case f.is("id"):
		return call(need("ID"), "maxID")
	case f.is("code"):
		return call(need("ID"), "maxCode")
	case f.is("text") && f.omit:
		return call("text", "maxText")
	case f.goType == "time.Time" && !f.omit:
		return call("instant")
	case f.is("date") && !f.omit:
		return call("date")
	case f.goType == "Cents" && f.tag["min"] == "1" && !f.omit:
		return call("needPositive")
	case f.goType == "*Cents" && f.tag["min"] == "1" && f.omit:
		return "optional(" + call("positive") + ")"
	case f.goType == "*Cents" && !f.is("min") && f.omit:
		return "optional(" + call("cents", "true") + ")"
	}
	fail("%s.%s: no strict decoder for it; say id, code, text, date or enum, or min=1 of an amount", e.name, f.name)
	return ""
}
