package main

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// tables writes the ClickHouse tables of the events, and the views of views.sql with the types and comments of their
// columns.
func tables(c *catalog, viewsFile string) string {
	views, err := os.ReadFile(viewsFile)
	if err != nil {
		fail("%v", err)
	}
	var t text
	t.f(`package schemas

// FirstYear and LastYear are the years that columns of days and instants hold.
const FirstYear, LastYear = %d, %d

// SunkTopics are the topics that the ClickHouse sink reads, each into the table named beside it.
var SunkTopics = map[string]string{`, firstYear, lastYear)
	stored := c.where((*structure).stored)
	for _, e := range stored {
		t.f("%s: %q,", e.topic, e.table)
	}
	all := map[string][]column{}
	t.f("}\n\n// Tables are the tables of the events.\nfunc Tables() []Table {\nreturn []Table{")
	for _, e := range stored {
		all[e.table] = c.columns(e)
		t.f("{\nName: %q, Key: %q,\nComment: %q,", e.table, e.key, e.doc+" ("+c.topics[e.topic]+")")
		if indexes := e.more["index"]; len(indexes) > 0 {
			t.f("Indexes: %#v,", indexes)
		}
		t.columns(all[e.table])
	}
	t.f("}\n}\n\n// stateTables are the tables of current states.\nfunc stateTables() []Table {\nreturn []Table{")
	for _, e := range stored {
		for _, l := range latestOf(e) {
			all[l.table] = l.columns(all[e.table])
			t.f("{\nName: %q, Of: %q, Latest: %q, Key: %q, Month: %t,\nComment: %q,", l.table, e.table, l.version, l.key,
				strings.Contains(l.key, "period_month"), "The latest row of each in "+e.table+".")
			t.columns(all[l.table])
		}
	}
	for _, e := range c.states {
		all[e.table] = c.columns(e)
		t.f("{\nName: %q, Key: %q, Month: true,\nComment: %q,", e.table, e.key, e.doc)
		t.columns(all[e.table])
	}
	t.f("}\n}\n\n// Views are what readers query.\nfunc Views() []View {\nreturn []View{")
	for _, block := range strings.Split(strings.TrimSpace(string(views)), "\n\n") {
		if strings.HasPrefix(block, "-- view ") {
			c.views = append(c.views, t.view(block, all))
		}
	}
	t.f("}\n}")
	return t.String()
}

// latest is a table that keeps the latest row of each of an event's objects, told by the highest version. It has the
// event's columns but for some.
type latest struct {
	table, version, key string
	without             []string
}

// latestOf reads the directives `//catalog:latest table version key` and `//catalog:without table columns`.
func latestOf(e *structure) (all []latest) {
	for _, text := range e.more["latest"] {
		words := strings.SplitN(text, " ", 3)
		l := latest{table: words[0], version: words[1], key: words[2]}
		for _, text := range e.more["without"] {
			if names, ok := strings.CutPrefix(text, l.table+" "); ok {
				l.without = strings.Split(names, ", ")
			}
		}
		all = append(all, l)
	}
	return all
}

func (l latest) columns(cols []column) []column {
	return slices.DeleteFunc(slices.Clone(cols), func(col column) bool { return slices.Contains(l.without, col.name) })
}

// columns ends a table or view.
func (t *text) columns(cols []column) {
	t.f("Columns: []Column{")
	for _, col := range cols {
		more := ""
		if col.expression != "" {
			more = fmt.Sprintf(", Expression: %q", col.expression)
		}
		t.f("{Name: %q, Type: %q%s, Comment: %q},", col.name, col.chType, more, col.doc)
	}
	t.f("},\n},")
}

// column is one column of an event's table.
type column struct {
	name, chType, expression, doc string // an expression computes the column when it is read
	after                         string
	fill                          string // Go: a column[E] of the sink; empty where the column is computed
}

// columns are those of an event's table in their order: the event's own, those of Meta, those of Source.
func (c *catalog) columns(e *structure) []column {
	var cols, ordered []column
	for _, meta := range []bool{false, true} {
		for _, f := range e.fields {
			if f.meta == meta {
				cols = append(cols, e.columnsOf(f)...)
			}
		}
	}
	for _, text := range e.more["rands"] {
		head, about, _ := strings.Cut(text, ": ")
		words := strings.SplitN(head, " ", 3)
		cols = append(cols, rands(words[0], words[2], strings.TrimPrefix(words[1], "after="), about))
	}
	for _, f := range c.structs["Source"].fields {
		col := e.column(f, "")[0]
		col.fill = fmt.Sprintf("of(%q, func(r *row[E]) (%s, error) { return r.%s, nil })", col.name, f.goType, f.name)
		cols = append(cols, col)
	}
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
	if slices.Contains(c.states, e) {
		merged(ordered, strings.Split(e.key, ", "))
	}
	return ordered
}

// merged makes columns of a state out of those of its events: a merge takes the greatest of each, which is the one that
// is there. Lists are joined.
func merged(cols []column, key []string) {
	for i := range cols {
		col := &cols[i]
		switch {
		case col.expression != "" || slices.Contains(key, col.name):
		case col.chType == "Array(Int64)":
			col.chType = "SimpleAggregateFunction(groupUniqArrayArray, " + col.chType + ")"
		default:
			col.chType = maxOf + col.chType + ")"
		}
	}
}

const maxOf = "SimpleAggregateFunction(max, "

// plain is a column's type as a view shows it.
func plain(chType string) string {
	if inner, ok := strings.CutPrefix(chType, maxOf); ok {
		return strings.TrimSuffix(inner, ")")
	}
	return chType
}

// columnsOf are the columns of a field: several of an object or list of objects.
func (e *structure) columnsOf(f *field) (cols []column) {
	if !f.apart() {
		return e.column(f, "e."+f.name)
	}
	for _, inner := range f.elem.fields {
		if f.shape == "struct" {
			cols = append(cols, e.column(inner, "e."+f.name+"."+inner.name)...)
			continue
		}
		col := e.column(inner, "")[0]
		col.chType = "Array(" + strings.Replace(col.chType, "LowCardinality(String)", "String", 1) + ")"
		col.fill = fmt.Sprintf("lists(%q, func(e *E) %s { return e.%s }, func(e *schemas.%s) %s { return %s })", col.name,
			f.typ, f.name, f.elem.name, inner.kind.plain, convert("e."+inner.name, inner.typ, inner.kind.plain))
		cols = append(cols, col)
	}
	return cols
}

// column is the field's column, and the one in rands beside it; value is the Go expression of the field.
func (e *structure) column(f *field, value string) []column {
	name := cmp.Or(f.tag["col"], strings.TrimPrefix(f.json, "-"), strings.ToLower(f.name))
	chType, fill, plain, empty := f.kind.column, f.kind.fill, f.kind.plain, ""
	switch {
	case f.is("json"):
		chType, fill, plain, empty = "String", "jsons", "json.RawMessage", ", `{}`"
		if f.shape[0] == '[' {
			empty = ", `[]`"
		}
	case f.is("uuid"):
		chType, fill = "UUID", "ids"
	case f.is("date") && (f.omit || slices.Contains(e.more["nullable"], name)):
		chType, fill = "Nullable(Date)", "maybeDates"
	case f.is("date"):
		chType, fill = "Date", "dates"
	case f.is("UInt8"):
		chType, fill = "UInt8", "counts[uint8]"
	case f.is("low") || f.shape == "string" && (f.goType != "string" || len(f.values) > 0):
		chType = "LowCardinality(String)"
	}
	if plain != "" && !f.is("json") {
		value = convert(value, f.typ, plain)
	}
	fill = fmt.Sprintf("%s(%q, func(e *E) %s { return %s }%s)", fill, name, plain, value, empty)
	cols := []column{{name: name, chType: chType, doc: f.comment(), after: f.tag["after"], fill: fill}}
	if day := strings.TrimSuffix(name, "_at") + "_date"; f.goType == "time.Time" && name != "at" && !e.has(day) {
		return append(cols, column{
			name: day, chType: "Date", expression: "toDate(" + name + ", 'Africa/Johannesburg')",
			doc: "The day of " + name + " in Africa/Johannesburg.", after: name,
		})
	}
	if f.goType != "Cents" || f.omit {
		return cols
	}
	beside := cmp.Or(f.tag["rands"], strings.TrimSuffix(name, "_cents"))
	return append(cols, rands(beside, name, name, f.doc))
}

// has tells whether the event says something itself.
func (s *structure) has(json string) bool {
	return slices.ContainsFunc(s.fields, func(f *field) bool { return f.json == json })
}

// rands is a column that shows cents as rands.
func rands(name, cents, after, about string) column {
	return column{
		name: name, chType: "Decimal(18, 2)", expression: "toDecimal64(" + cents + ", 2) / 100", doc: about + " In rands.",
		after: after,
	}
}

// comment is what the column says of itself: the field's comment, its values and its unit.
func (f *field) comment() string {
	about := f.doc
	if n := len(f.values) - 1; n > 0 && !strings.Contains(about, f.values[0]) {
		about += " " + strings.Join(f.values[:n], ", ") + " or " + f.values[n] + "."
	}
	return about + f.unit()
}

var (
	headLine   = regexp.MustCompile(`^-- (?:view )?(\w+)(?: ([^:]+))?: (.*)$`)
	selectList = regexp.MustCompile(`(?s)^(?:WITH .*?\n)?SELECT (.*?)\s+FROM\s`)
	fromTable  = regexp.MustCompile(`(?:FROM|JOIN)\s+(\w+)`) // a table, or a view above
	starBut    = regexp.MustCompile(`^(\w+\.)?\*(?: EXCEPT \(([^)]*)\))?$`)
	lastName   = regexp.MustCompile(`\w+\)*$`)
)

// view writes one block of views.sql. Its select list is read for the columns' names; a column that the block's head
// does not declare is one of the tables', under its own name or another.
func (t *text) view(block string, tables map[string][]column) view {
	var name, comment string
	var query []string
	var declared, stored, cols []column
	for _, line := range strings.Split(block, "\n") {
		switch head := headLine.FindStringSubmatch(line); {
		case head == nil:
			query = append(query, line)
		case name == "":
			name, comment = head[1], head[3]
		default:
			declared = append(declared, column{name: head[1], chType: head[2], doc: head[3]})
		}
	}
	sql := strings.TrimSuffix(strings.Join(query, "\n"), ";")
	var from []string
	for _, found := range fromTable.FindAllStringSubmatch(sql, -1) {
		table := found[1]
		if tables[table] == nil && regexp.MustCompile(`_(log|now)$`).MatchString(table) {
			fail("view %s: no event has the table %s", name, table)
		}
		from, stored = append(from, table), append(stored, tables[table]...)
	}
	list := selectList.FindStringSubmatch(sql)
	if list == nil {
		fail("view %s: expected SELECT ... FROM", name)
	}
	for _, item := range items(list[1]) {
		item = strings.TrimSpace(item)
		if star := starBut.FindStringSubmatch(item); star != nil {
			var computed []column // are not in a star
			alias, whole := star[1], item
			for _, col := range tables[from[0]] {
				if slices.Contains(strings.Split(star[2], ", "), col.name) {
					continue
				}
				if col.expression == "" {
					cols = append(cols, col)
					continue
				}
				computed, whole = append(computed, col), whole+", "+alias+col.name
			}
			cols, sql = append(cols, computed...), strings.Replace(sql, item, whole, 1)
			continue
		}
		expression, as, _ := strings.Cut(item, " AS ")
		own := strings.TrimRight(lastName.FindString(expression), ")")
		as = cmp.Or(as, own)
		col := append(append(find(declared, as), find(stored, own)...), find(stored, as)...)
		if len(col) == 0 {
			fail("view %s: declare the column %s in the view's head, as `-- name Type: comment`", name, as)
		}
		col[0].name = as
		cols = append(cols, col[0])
	}
	for i := range cols {
		cols[i].expression = "" // the view's query has it
		cols[i].chType = plain(cols[i].chType)
	}
	tables[name] = cols
	t.f("{\nName: %q, Comment: %q,\nSelect: `%s`,", name, comment, sql)
	t.columns(cols)
	return view{name, comment, cols}
}

// view is what readers query.
type view struct {
	name, comment string
	columns       []column
}

// items splits a select list: a comma in parentheses or brackets ends none.
func items(list string) (items []string) {
	depth, from := 0, 0
	for i, c := range list + "," {
		switch {
		case strings.ContainsRune("([", c):
			depth++
		case strings.ContainsRune(")]", c):
			depth--
		case c == ',' && depth == 0:
			items, from = append(items, list[from:i]), i+1
		}
	}
	return items
}

// find gives the columns of a name.
func find(cols []column, name string) (found []column) {
	for _, col := range cols {
		if col.name == name {
			found = append(found, col)
		}
	}
	return found
}
