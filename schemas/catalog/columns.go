package main

import (
	"fmt"
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
		chType, _ := f.stored()
		all = append(all, column{name: f.tag["col"], chType: chType, doc: f.doc, fill: fill})
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
	chType, filler := f.stored()
	if e.nullable == name {
		chType, filler = "Nullable(Date)", "maybeDates"
	}
	goType, more := f.goType, ""
	switch {
	case f.is("json") && strings.HasPrefix(goType, "[]"):
		goType, more = "json.RawMessage", ", `[]`"
	case f.is("json"):
		goType, more = "json.RawMessage", ", `{}`"
	case goType == "*Cents":
		goType = "*schemas.Cents"
	case len(f.enum) > 0 && goType != "string" || goType == "Period" || goType == "Cents":
		goType = "schemas." + goType
	}
	fill := fmt.Sprintf("%s(%q, func(e *E) %s { return %s }%s)", filler, name, goType, value, more)
	col := column{name: name, chType: chType, doc: f.comment(), after: f.tag["after"], fill: fill}
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

// stored is the ClickHouse type of a field and the sink's function that makes such a column.
func (f *field) stored() (chType, filler string) {
	switch base := strings.TrimPrefix(f.goType, "*"); {
	case f.is("json"):
		return "String", "jsons"
	case f.is("uuid"):
		return "UUID", "ids"
	case f.is("date") && f.omit:
		return "Nullable(Date)", "maybeDates"
	case f.is("date"):
		return "Date", "dates"
	case base == "time.Time":
		return "DateTime64(3, 'UTC')", "instants"
	case f.goType == "*Cents":
		return "Nullable(Int64)", "maybeCents"
	case base == "Cents":
		return "Int64", "cents"
	case base == "int64":
		return "Int64", "int64s"
	case f.is("UInt8"):
		return "UInt8", "uint8s"
	case base == "int" || base == "uint32":
		return "UInt32", "uint32s"
	case base == "bool":
		return "Bool", "bools"
	case base == "[]string":
		return "Array(String)", "texts"
	case base == "[]int64":
		return "Array(Int64)", "" // only within a list
	case f.is("low") || len(f.enum) > 0 || base == "Period":
		return "LowCardinality(String)", "text"
	case base == "string":
		return "String", "text"
	}
	fail("%s %s: no ClickHouse type for it", f.name, f.goType)
	return "", ""
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
