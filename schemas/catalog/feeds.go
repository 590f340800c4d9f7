package main

import (
	"fmt"
	"strings"
)

// feeds writes a strict decoder of each topic that comes from outside. The checks are in the order of the fields.
func feeds(c *catalog) string {
	var t text
	t.f("package feeds\n\nimport \"github.com/kasi-collections/kasi/schemas\"\n")
	for _, e := range c.where((*event).feed) {
		t.f("func index%s(key []byte) int {\nswitch string(key) {", e.name)
		for i, f := range e.fields {
			t.f("case %q:\nreturn %d", f.json, i)
		}
		t.f("}\nreturn -1\n}\n")
		t.f(`func decode%s(b []byte) (v schemas.%[1]s, err error) {
var fields [%d]value
s := scanner{text: b}
if err := s.object(fields[:], index%[1]s); err != nil {
return v, err
}
r := record{fields: fields[:], err: &err}
v = schemas.%[1]s{`, e.name, len(e.fields))
		for i, f := range e.fields {
			t.f("%s: %s,", f.name, e.taker(i, f))
		}
		t.f("}\nif err != nil {\nreturn schemas.%s{}, err\n}\nreturn v, nil\n}\n", e.name)
	}
	return t.String()
}

// taker is the expression that takes a field from the record.
func (e *event) taker(i int, f *field) string {
	place := fmt.Sprintf("%d, %q", i, f.json)
	id, choice := "needID", "choice"
	if f.omit {
		id, choice = "maybeID", "choiceOrNone"
	}
	switch amount := strings.TrimPrefix(f.goType, "*") == "Cents" && f.omit == (f.goType[0] == '*'); {
	case len(f.enum) > 0:
		for _, v := range f.enum {
			place += ", " + v.name
		}
		return choice + "(&r, " + place + ")"
	case f.is("id"):
		return "r." + id + "(" + place + ", maxID)"
	case f.is("code"):
		return "r." + id + "(" + place + ", maxCode)"
	case f.is("text") && f.omit:
		return "r.text(" + place + ", maxText)"
	case f.goType == "time.Time" && !f.omit:
		return "r.instant(" + place + ")"
	case f.is("date") && !f.omit:
		return "r.date(" + place + ")"
	case amount && f.tag["min"] == "1" && !f.omit:
		return "r.needPositive(" + place + ")"
	case amount && f.tag["min"] == "1":
		return "optional(r.positive(" + place + "))"
	case amount && f.omit && !f.is("min"):
		return "optional(r.cents(" + place + ", true))"
	}
	fail("%s.%s: no strict decoder for it; say id, code, text, date or enum, or min=1 of an amount", e.name, f.name)
	return ""
}
