package main

import (
	"fmt"
	"slices"
	"strings"
)

// column is one column of an event's table.
type column struct {
	name, chType, expression, doc string // an expression computes the column when it is read
	after                         string
	fill                          string // Go: a column[E] of the sink; empty where the column is computed
}

// columns are those of an event's table in their order: the event's own, those of Meta, those of Source.
func (c *catalog) columns(e *event) []column {
	var own, last []column
	for _, f := range e.fields {
		if f.meta {
			last = append(last, e.columnsOf(f)...)
		} else {
			own = append(own, e.columnsOf(f)...)
		}
	}
	for _, text := range e.rands {
		head, about, _ := strings.Cut(text, ": ")
		words := strings.SplitN(head, " ", 3)
		own = append(own, rands(words[0], words[2], strings.TrimPrefix(words[1], "after="), about))
	}
	all := append(e.order(own), e.order(last)...)
	for _, f := range c.structs["Source"].fields {
		fill := fmt.Sprintf("of(%q, func(r *row[E]) (%s, error) { return r.%s, nil })", f.tag["col"], f.goType, f.name)
		all = append(all, column{name: f.tag["col"], chType: f.chType(), doc: f.doc, fill: fill})
	}
	return all
}

// order puts each column behind the one that it says it comes after.
func (e *event) order(cols []column) (ordered []column) {
	var place func(after string)
	place = func(after string) {
		for _, col := range cols {
			if col.after == after {
				ordered = append(ordered, col)
				place(col.name)
			}
		}
	}
	place("")
	if len(ordered) != len(cols) {
		fail("%s: a column is said to come after one that is not there", e.name)
	}
	return ordered
}

// columnsOf are the columns of a field: none of a field that only travels, and several of an object or list of objects.
func (e *event) columnsOf(f *field) []column {
	if f.elem == nil || f.is("json") {
		return f.column(e, "e."+f.name)
	}
	var cols []column
	for _, inner := range f.elem.fields {
		if !strings.HasPrefix(f.goType, "[]") {
			cols = append(cols, inner.column(e, "e."+f.name+"."+inner.name)...)
			continue
		}
		inner := *inner
		col := inner.column(e, "")[0]
		col.chType = "Array(" + strings.Replace(col.chType, "LowCardinality(String)", "String", 1) + ")"
		col.fill = fmt.Sprintf("lists(%q, func(e *E) []schemas.%s { return e.%s }, func(e *schemas.%s) %s { return %s })",
			col.name, f.elem.name, f.name, f.elem.name, inner.plainType(), inner.plainValue())
		cols = append(cols, col)
	}
	return cols
}

// plainType and plainValue are what an element of an array column is to the driver.
func (f *field) plainType() string { return strings.Replace(f.goType, "Period", "string", 1) }

func (f *field) plainValue() string {
	if f.plainType() == "string" {
		return "string(e." + f.name + ")"
	}
	return "e." + f.name
}

// column is the field's column, and the one in rands beside it; value is the Go expression of the field.
func (f *field) column(e *event, value string) []column {
	name := f.json
	if f.is("col") {
		name = f.tag["col"]
	} else if name == "-" {
		name = strings.ToLower(f.name)
	}
	col := column{name: name, chType: f.chType(), doc: f.comment(), after: f.tag["after"]}
	if e.nullable == name {
		col.chType = "Nullable(" + col.chType + ")"
	}
	goType := f.goType
	if len(f.enum) > 0 && goType != "string" || goType == "Period" || strings.HasSuffix(goType, "Cents") {
		goType = strings.Replace("schemas."+goType, "schemas.*", "*schemas.", 1)
	}
	if f.is("json") {
		goType = "json.RawMessage"
	}
	empty := map[bool]string{true: ", `{}`", false: ", `[]`"}[f.elem != nil && f.goType == f.elem.name]
	if !f.is("json") {
		empty = ""
	}
	col.fill = fmt.Sprintf("%s(%q, func(e *E) %s { return %s }%s)", f.filler(col.chType), name, goType, value, empty)
	if f.goType != "Cents" || f.tag["rands"] == "no" {
		return []column{col}
	}
	beside := strings.TrimSuffix(name, "_cents")
	if f.is("rands") {
		beside = f.tag["rands"]
	}
	return []column{col, rands(beside, name, name, f.doc)}
}

// rands is a column that shows cents as rands.
func rands(name, cents, after, about string) column {
	return column{
		name: name, chType: "Decimal(18, 2)", expression: "toDecimal64(" + cents + ", 2) / 100", doc: about + " In rands.",
		after: after,
	}
}

// chType is the ClickHouse type of a field.
func (f *field) chType() string {
	switch base, omit := strings.TrimPrefix(f.goType, "*"), f.omit; {
	case f.is("json"):
		return "String"
	case f.is("uuid"):
		return "UUID"
	case f.is("date") && omit:
		return "Nullable(Date)"
	case f.is("date"):
		return "Date"
	case base == "time.Time":
		return "DateTime64(3, 'UTC')"
	case f.goType == "*Cents":
		return "Nullable(Int64)"
	case base == "Cents" || base == "int64":
		return "Int64"
	case f.is("UInt8"):
		return "UInt8"
	case base == "int" || base == "uint32":
		return "UInt32"
	case base == "bool":
		return "Bool"
	case base == "[]string":
		return "Array(String)"
	case base == "[]int64":
		return "Array(Int64)"
	case f.is("low") || len(f.enum) > 0 || base == "Period":
		return "LowCardinality(String)"
	case base == "string":
		return "String"
	}
	fail("%s %s: no ClickHouse type for it", f.name, f.goType)
	return ""
}

// filler is the sink's function that makes a column of this type.
func (f *field) filler(chType string) string {
	switch {
	case f.is("json"):
		return "jsons"
	case chType == "Nullable(Int64)":
		return "maybeCents"
	case f.goType == "Cents":
		return "cents"
	}
	names := map[string]string{
		"UUID": "ids", "Date": "dates", "Nullable(Date)": "maybeDates", "DateTime64(3, 'UTC')": "instants",
		"Int64": "int64s", "UInt32": "uint32s", "UInt8": "uint8s", "Bool": "bools", "Array(String)": "texts",
		"String": "text", "LowCardinality(String)": "text", "Array(Int64)": "",
	}
	return names[chType]
}

// comment is what the column says of itself: the field's comment, its values and its unit.
func (f *field) comment() string {
	about := f.doc
	if n := len(f.enum); n > 1 && !strings.Contains(about, f.enum[0].value) {
		var values []string
		for _, v := range f.enum {
			values = append(values, v.value)
		}
		about += " " + strings.Join(values[:n-1], ", ") + " or " + values[n-1] + "."
	}
	if strings.HasSuffix(f.goType, "Cents") {
		about += " In cents."
	}
	return about
}

// sorted are the keys of a map in order, so that the same declarations give the same files.
func sorted[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
