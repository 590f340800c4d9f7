package main

import "strings"

// kind is what the targets make of a Go type. In its pieces of code, $f is the field, $k what appends its key, $T the
// struct that the field holds, and $t that struct's name in lower case.
type kind struct {
	column, fill string // ClickHouse's type, and the sink's function that fills such a column
	plain, scan  string // the type that the driver takes and the scan gives, and how the scan reads it
	there, write string // when a field that may be absent is written, and how
	schema       string // JSON Schema's type
}

// The years that columns of days and instants hold: ClickHouse's Date wraps silently beyond. From here they reach the
// sink, the feeds' decoders and the JSON Schemas.
const firstYear, lastYear = 1970, 2148

// kinds has a kind for each Go type that events hold; a text of a named type is a string, whatever its name.
func kinds() map[string]*kind {
	integer := kind{
		"Int64", "value", "int64", "c.integer()", "$f != 0", "strconv.AppendInt($k, int64($f), 10)", "integer",
	}
	count := integer
	count.column, count.fill = "UInt32", "counts[uint32]"
	maybe := kind{
		"Nullable(Int64)", "value", "*int64", "c.maybeInteger()", "$f != nil", "strconv.AppendInt($k, int64(*$f), 10)",
		"integer",
	}
	return map[string]*kind{
		"string": {"String", "value", "string", "c.text()", `$f != ""`, "AppendText($k, string($f))", "string"},
		"int":    &count, "int64": &integer, "Cents": &integer,
		"*Cents": &maybe, "*int64": &maybe,
		"bool": {"Bool", "value", "bool", "c.boolean()", "$f", "strconv.AppendBool($k, $f)", "boolean"},
		"time.Time": {
			"DateTime64(3, 'UTC')", "instants", "time.Time", "c.instant()", "", "appendInstant($k, $f, &err)", "string",
		},
		"[]string": {
			"Array(String)", "value", "[]string", "list(c, $f, (*scan).text)", "len($f) > 0",
			"appendList($k, $f, AppendText)", "string",
		},
		"[]int64": {
			"Array(Int64)", "value", "[]int64", "list(c, $f, (*scan).integer)", "len($f) > 0",
			"appendList($k, $f, appendInteger)", "integer",
		},
		"struct": {scan: "object(c, $ts, &$f)", write: "$f.appendJSON($k)", schema: "object"},
		"[]struct": {
			scan:  "list(c, $f, func(c *scan) (v schemas.$T) { object(c, $ts, &v); return v })",
			there: "len($f) > 0", schema: "object",
			write: "appendList($k, $f, func(b []byte, e $T) []byte { return e.appendJSON(b) })",
		},
		"uint32": {column: "UInt32"},
	}
}

// code is a piece of a kind's code for this field.
func (f *field) code(piece string) string {
	piece = strings.ReplaceAll(piece, "$f", "e."+f.name)
	if f.elem == nil {
		return piece
	}
	return strings.NewReplacer("$T", f.elem.name, "$t", lower(f.elem.name)).Replace(piece)
}

// convert is a value as another Go type.
func convert(value, from, to string) string {
	if from == to {
		return value
	}
	if to[0] == '*' {
		to = "(" + to + ")"
	}
	return to + "(" + value + ")"
}

func lower(name string) string { return strings.ToLower(name[:1]) + name[1:] }
