package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// appenders writes AppendJSON of every event that Kasi writes, and appendJSON of what such events hold.
func appenders(c *catalog) string {
	var t text
	t.f("package schemas\n\nimport (\n\"cmp\"\n\"strconv\"\n)\n")
	inner := map[string]*structure{}
	for _, e := range c.events {
		if e.kind != "event" {
			continue
		}
		t.f("// AppendJSON appends the event as encoding/json writes it, to the byte.")
		t.f("func (e *%s) AppendJSON(b []byte) ([]byte, error) {", e.name)
		if instants := appendFields(&t, e.structure, inner); len(instants) == 1 {
			t.f("return append(b, '}'), %s\n}\n", instants[0])
		} else {
			t.f("return append(b, '}'), cmp.Or(%s)\n}\n", strings.Join(instants, ", "))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(inner)) {
		t.f("func (e *%s) appendJSON(b []byte) []byte {", name)
		if len(appendFields(&t, inner[name], inner)) > 0 {
			fail("%s: an instant within a field has no way to hand on its error", name)
		}
		t.f("return append(b, '}')\n}\n")
	}
	return t.String()
}

// appendFields gives the names of the instants' errors.
func appendFields(t *text, s *structure, inner map[string]*structure) (instants []string) {
	for i, f := range s.fields {
		key := fmt.Sprintf("`,%q:`", f.json)
		if i == 0 {
			key = strings.Replace(key, ",", "{", 1)
			if f.omit {
				fail("%s.%s: the first field is always written", s.name, f.name)
			}
		}
		there := ""
		value := func(format string, args ...any) { // appends the key, then the value
			if there != "" {
				t.f("if %s {", there)
			}
			t.f("b = "+format, append([]any{"append(b, " + key + "...)"}, args...)...)
			if there != "" {
				t.f("}")
			}
		}
		when := func(condition string) {
			if f.omit {
				there = fmt.Sprintf(condition, "e."+f.name)
			}
		}
		list := strings.HasPrefix(f.goType, "[]")
		if f.elem != nil {
			inner[f.elem.name] = f.elem
		}
		switch {
		case f.goType == "time.Time":
			instants = append(instants, "wrong"+f.name)
			t.f("b, wrong%s := appendInstant(append(b, %s...), e.%s)", f.name, key, f.name)
		case f.goType == "int" || f.goType == "int64" || f.goType == "Cents":
			when("%s != 0")
			value("strconv.AppendInt(%s, int64(e.%s), 10)", f.name)
		case f.goType == "*Cents" && f.omit:
			when("%s != nil")
			value("strconv.AppendInt(%s, int64(*e.%s), 10)", f.name)
		case f.goType == "bool":
			when("%s")
			value("strconv.AppendBool(%s, e.%s)", f.name)
		case f.goType == "[]string":
			when("len(%s) > 0")
			value("appendList(%s, e.%s, AppendText)", f.name)
		case f.goType == "[]int64":
			when("len(%s) > 0")
			value("appendList(%s, e.%s, appendInteger)", f.name)
		case f.elem != nil && list:
			when("len(%s) > 0")
			value("appendList(%s, e.%s, func(b []byte, e %s) []byte { return e.appendJSON(b) })", f.name, f.elem.name)
		case f.elem != nil && !f.omit:
			value("e.%[2]s.appendJSON(%[1]s)", f.name)
		case strings.ContainsAny(f.goType, "[*.") || f.elem != nil:
			fail("%s.%s: no way to write a %s", s.name, f.name, f.goType)
		case f.omit:
			t.f("b = appendOptional(b, %s, string(e.%s))", key, f.name)
		default:
			value("AppendText(%s, string(e.%s))", f.name)
		}
	}
	return instants
}
