package main

import "fmt"

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
	stored := c.where((*event).stored)
	for _, e := range stored {
		t.f("schemas.%s: %s(),", e.topic, lower(e.name))
	}
	t.f("}\n}\n")
	for _, e := range stored {
		row := rowType(&t, e)
		t.f("func %s() table {\ntype E = %s", lower(e.name), row)
		t.f("return newTable(schemas.%s, %sFields(), []column[E]{", e.topic, lower(e.name))
		for _, col := range c.columns(e) {
			if col.fill != "" {
				t.f("%s,", col.fill)
			}
		}
		t.f("})\n}\n")
		readers(&t, e.structure, row)
	}
	for _, s := range held(stored) {
		readers(&t, s, "schemas."+s.name)
	}
	return t.String()
}

// rowType is the event's own type, or one that keeps as JSON what the table keeps as JSON.
func rowType(t *text, e *event) string {
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
		if f.holds() {
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
