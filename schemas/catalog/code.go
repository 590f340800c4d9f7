package main

import (
	"fmt"
	"strings"
)

// appenders writes AppendJSON of every event, and appendJSON of what events hold. One of a feed goes on the timeline as
// we write it, whatever it came as.
func appenders(c *catalog) string {
	var t text
	t.f("package schemas\n\nimport \"strconv\"\n")
	for _, e := range c.where(func(e *structure) bool { return e.kind != "row" }) {
		t.f("// AppendJSON appends the event as encoding/json writes it, to the byte.")
		t.f("func (e *%s) AppendJSON(b []byte) (_ []byte, err error) {", e.name)
		appendFields(&t, e)
		t.f("return append(b, '}'), err\n}\n")
	}
	for _, s := range c.order {
		if s.held {
			t.f("func (e *%s) appendJSON(b []byte) []byte {", s.name)
			appendFields(&t, s)
			t.f("return append(b, '}')\n}\n")
		}
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
		} else if f.goType[0] == '*' {
			fail("%s.%s: a pointer needs omitempty", s.name, f.name)
		}
		t.f("%s", line)
		before = ","
	}
}

// sink writes, for each event with a table, what reads it from JSON and what fills its columns.
func sink(c *catalog) string {
	var t text
	t.f(`package clickhouse

import (
"encoding/json"
"time"

"github.com/kasi-collections/kasi/schemas"
)

// tables maps each sunk topic to how its records become rows.
func tables() map[string]table {
return map[string]table{`)
	stored := c.where((*structure).stored)
	for _, e := range stored {
		t.f("schemas.%s: %s(),", e.topic, lower(e.name))
	}
	t.f("}\n}\n")
	for _, e := range stored {
		row := rowType(&t, e)
		t.f("func %s() table {\ntype E = %s", lower(e.name), row)
		t.f("return newTable(schemas.%s, %sFields(), []column[E]{", e.topic, lower(e.name))
		t.fills(c.columns(e))
		t.f("},")
		for _, l := range latestOf(e) {
			t.f("latest{%q, %#v},", l.table, l.without)
		}
		t.f(")\n}\n")
		readers(&t, e, row)
	}
	for _, s := range c.order {
		if s.apart {
			readers(&t, s, "schemas."+s.name)
		}
	}
	for _, e := range c.states {
		t.f("// %[1]sColumns are the columns of %[2]s.\nfunc %[1]sColumns() []column[schemas.%[3]s] {", lower(e.name),
			e.table, e.name)
		t.f("type E = schemas.%s", e.name)
		t.f("return []column[E]{")
		t.fills(c.columns(e))
		t.f("}\n}\n")
	}
	return t.String()
}

func (t *text) fills(cols []column) {
	for _, col := range cols {
		if col.fill != "" {
			t.f("%s,", col.fill)
		}
	}
}

// rowType is the event's own type, or one that keeps as JSON what the table keeps as JSON.
func rowType(t *text, e *structure) string {
	kept, name := "", lower(e.name)+"Row"
	for _, f := range e.fields {
		if f.is("json") {
			kept += fmt.Sprintf("%s json.RawMessage `json:%q`\n", f.name, f.json)
		}
	}
	if kept == "" {
		return "schemas." + e.name
	}
	t.f("// %s keeps some fields as the JSON they came in: the table shows them, nothing computes with them.", name)
	t.f("type %s struct {\nschemas.%s\n%s}\n", name, e.name, kept)
	return name
}

// readers writes the list of fields from which the scan reads a struct, in the order in which they are written.
func readers(t *text, s *structure, row string) {
	t.f("func %sFields() []field[%s] {\ntype E = %s", lower(s.name), row, row)
	for _, f := range s.fields {
		if f.apart() {
			t.f("%[1]ss := %[1]sFields()", lower(f.elem.name))
		}
	}
	t.f("return []field[E]{")
	for _, f := range s.fields {
		read, set := f.code(f.kind.scan), "e."+f.name+" = "
		switch {
		case f.json == "-":
			continue
		case f.is("json"):
			read = set + "c.raw()"
		case f.kind.plain != "":
			read = set + convert(read, f.kind.plain, f.typ)
		case f.shape == "[]struct":
			read = set + read
		}
		t.f("named(%q, func(c *scan, e *E) { %s }),", f.json, read)
	}
	t.f("}\n}\n")
}

// feeds writes a strict decoder of each topic that comes from outside. The checks are in the order of the fields.
func feeds(c *catalog) string {
	var t text
	t.f("package feeds\n\nimport \"github.com/kasi-collections/kasi/schemas\"\n")
	for _, e := range c.where((*structure).feed) {
		t.f("func index%s(key []byte) int {\nswitch string(key) {", e.name)
		for i, f := range e.fields {
			t.f("case %q:\nreturn %d", f.json, i)
		}
		t.f("}\nreturn -1\n}\n")
		t.f(`const fieldsOf%s = %[2]d

func decode%[1]s(b []byte) (v schemas.%[1]s, err error) {
var fields [fieldsOf%[1]s]value
s := scanner{text: b}
if err := s.object(fields[:], index%[1]s); err != nil {
return v, err
}
return take%[1]s(fields[:])
}

func take%[1]s(fields []value) (v schemas.%[1]s, err error) {
r := record{fields: fields, err: &err}
v = schemas.%[1]s{`, e.name, len(e.fields))
		for i, f := range e.fields {
			t.f("%s: %s,", f.name, e.taker(i, f))
		}
		t.f("}\nif err != nil {\nreturn schemas.%s{}, err\n}\nreturn v, nil\n}\n", e.name)
	}
	return t.String()
}

// taker is the expression that takes a field from the record.
func (e *structure) taker(i int, f *field) string {
	need := "required"
	if f.omit {
		need = "optional"
	}
	for _, t := range []struct {
		holds bool
		call  string
	}{
		{len(f.names) > 0, "choice(&r, $place, " + need + ", " + strings.Join(f.names, ", ") + ")"},
		{f.is("id"), "r.id($place, maxID, " + need + ")"},
		{f.is("code"), "r.id($place, maxCode, " + need + ")"},
		{f.is("text"), "r.text($place, maxText, " + need + ")"},
		{f.goType == "time.Time" && !f.omit, "r.instant($place)"},
		{f.is("date") && !f.omit, "r.date($place)"},
		{f.goType == "Cents" && f.tag["min"] == "1" && !f.omit, "r.needCents($place)"},
		{f.goType == "*Cents" && f.tag["min"] == "1" && f.omit, "r.maybeCents($place, false)"},
		{f.goType == "*Cents" && !f.is("min") && f.omit, "r.maybeCents($place, true)"},
	} {
		if t.holds {
			return strings.Replace(t.call, "$place", fmt.Sprintf("%d, %q", i, f.json), 1)
		}
	}
	fail("%s.%s: no strict decoder for it; say id, code, text, date or enum, or min=1 of an amount", e.name, f.name)
	return ""
}
