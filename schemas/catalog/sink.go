package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// sink writes, for each event with a table, what reads it from JSON and what fills its columns.
func sink(c *catalog) string {
	var t text
	t.f("package clickhouse\n\nimport (\n\"encoding/json\"\n\"time\"\n")
	t.f("\"github.com/kasi-collections/kasi/schemas\"\n)\n")
	t.f("// tables maps each sunk topic to how its records become rows.")
	t.f("func tables() map[string]table {\nreturn map[string]table{")
	for _, e := range c.stored() {
		t.f("schemas.%s: %s(),", e.topic, lower(e.name))
	}
	t.f("}\n}\n")
	inner := map[string]*structure{}
	for _, e := range c.stored() {
		row := rowType(&t, e)
		fields := lower(e.name) + "Fields"
		t.f("func %s() table {\ntype E = %s\nreturn newTable(schemas.%s, %s(), []column[E]{",
			lower(e.name), row, e.topic, fields)
		for _, col := range c.columns(e) {
			if col.fill != "" {
				t.f("%s,", col.fill)
			}
		}
		t.f("})\n}\n")
		readers(&t, e.structure, row, inner)
	}
	for _, name := range slices.Sorted(maps.Keys(inner)) {
		readers(&t, inner[name], "schemas."+name, nil)
	}
	return t.String()
}

// rowType is the event's own type, or one that keeps as JSON what the table keeps as JSON.
func rowType(t *text, e *event) string {
	var kept []*field
	for _, f := range e.fields {
		if f.is("json") {
			kept = append(kept, f)
		}
	}
	if len(kept) == 0 {
		return "schemas." + e.name
	}
	name := lower(e.name) + "Row"
	t.f("// %s keeps some fields as the JSON they came in: the table shows them, nothing computes with them.", name)
	t.f("type %s struct {\nschemas.%s", name, e.name)
	for _, f := range kept {
		t.f("%s json.RawMessage `json:%q`", f.name, f.json)
	}
	t.f("}\n")
	return name
}

// readers writes the list of fields from which the scan reads a struct, in the order in which they are written.
func readers(t *text, s *structure, row string, inner map[string]*structure) {
	t.f("func %sFields() []field[%s] {\ntype E = %s", lower(s.name), row, row)
	var lines []string
	local := map[string]bool{}
	for _, f := range s.fields {
		if f.json == "-" {
			continue
		}
		if f.elem != nil && !f.is("json") {
			if inner == nil {
				fail("%s.%s: objects within objects within an event have no reader", s.name, f.name)
			}
			inner[f.elem.name] = f.elem
			if !local[f.elem.name] {
				t.f("%[1]ss := %[1]sFields()", lower(f.elem.name))
			}
			local[f.elem.name] = true
		}
		lines = append(lines, fmt.Sprintf("named(%q, func(c *scan, e *E) { %s }),", f.json, reader(s, f)))
	}
	t.f("return []field[E]{\n%s\n}\n}\n", strings.Join(lines, "\n"))
}

// reader is the statement that reads one field.
func reader(s *structure, f *field) string {
	set := "e." + f.name + " = "
	switch {
	case f.is("json"):
		return set + "c.raw()"
	case f.elem != nil && f.goType == f.elem.name:
		return fmt.Sprintf("object(c, %ss, &e.%s)", lower(f.goType), f.name)
	case f.elem != nil:
		return fmt.Sprintf("e.%[1]s = list(c, e.%[1]s, func(c *scan) (v schemas.%[2]s) { object(c, %[3]ss, &v); return v })",
			f.name, f.elem.name, lower(f.elem.name))
	case f.goType == "time.Time":
		return set + "c.instant()"
	case f.goType == "string":
		return set + "c.text()"
	case f.goType == "int64":
		return set + "c.integer()"
	case f.goType == "int":
		return set + "int(c.integer())"
	case f.goType == "bool":
		return set + "c.boolean()"
	case f.goType == "Cents":
		return set + "schemas.Cents(c.integer())"
	case f.goType == "*Cents":
		return set + "c.maybeCents()"
	case f.goType == "[]string":
		return fmt.Sprintf("e.%[1]s = list(c, e.%[1]s, (*scan).text)", f.name)
	case f.goType == "[]int64":
		return fmt.Sprintf("e.%[1]s = list(c, e.%[1]s, (*scan).integer)", f.name)
	case len(f.enum) > 0 || f.goType == "Period":
		return set + "schemas." + f.goType + "(c.text())"
	}
	fail("%s.%s: no way to read a %s", s.name, f.name, f.goType)
	return ""
}

func lower(name string) string { return strings.ToLower(name[:1]) + name[1:] }
