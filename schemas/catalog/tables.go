package main

import (
	"regexp"
	"strings"
)

// tables writes the ClickHouse tables of the events, and the views of views.sql with the types and comments of their
// columns.
func tables(c *catalog, views string) string {
	var t text
	t.f("package schemas\n")
	t.f("// SunkTopics are the topics that the ClickHouse sink reads, each into the table named beside it.")
	t.f("var SunkTopics = map[string]string{")
	for _, e := range c.stored() {
		t.f("%s: %q,", e.topic, e.table)
	}
	t.f("}\n")
	all := map[string][]column{}
	t.f("// Tables are the tables of the events.\nfunc Tables() []Table {\nreturn []Table{")
	for _, e := range c.stored() {
		all[e.table] = c.columns(e)
		t.f("{\nName: %q, Key: %q,\nComment: %q,", e.table, e.key, e.doc+" ("+c.topics[e.topic]+")")
		if len(e.indexes) > 0 {
			t.f("Indexes: %#v,", e.indexes)
		}
		writeColumns(&t, all[e.table])
		t.f("},")
	}
	t.f("}\n}\n")
	t.f("// Views are what readers query.\nfunc Views() []View {\nreturn []View{")
	for _, block := range strings.Split(strings.TrimSpace(views), "\n\n") {
		if strings.HasPrefix(block, "-- view ") {
			view(&t, block, all)
		}
	}
	t.f("}\n}")
	return t.String()
}

// stored are the events that have a table.
func (c *catalog) stored() (events []*event) {
	for _, e := range c.events {
		if e.table != "" {
			events = append(events, e)
		}
	}
	return events
}

func writeColumns(t *text, cols []column) {
	t.f("Columns: []Column{")
	for _, col := range cols {
		if col.expression == "" {
			t.f("{Name: %q, Type: %q, Comment: %q},", col.name, col.chType, col.doc)
			continue
		}
		t.f("{\nName: %q, Type: %q, Expression: %q,\nComment: %q,\n},", col.name, col.chType, col.expression, col.doc)
	}
	t.f("},")
}

var (
	headLine   = regexp.MustCompile(`^-- (?:view )?(\w+)(?: ([^:]+))?: (.*)$`)
	selectList = regexp.MustCompile(`(?s)^SELECT (.*?)\s+FROM\s`)
	fromTable  = regexp.MustCompile(`\b(\w+_log)\b`)
	lastName   = regexp.MustCompile(`(\w+)\)*$`)
)

// view writes one block of views.sql. Its select list is read for the columns' names; a column that the block's head
// does not declare is one of the tables', under its own name or another.
func view(t *text, block string, tables map[string][]column) {
	var name, comment string
	declared := map[string]column{}
	var query []string
	for _, line := range strings.Split(block, "\n") {
		switch head := headLine.FindStringSubmatch(line); {
		case head == nil:
			query = append(query, line)
		case name == "":
			name, comment = head[1], head[3]
		default:
			declared[head[1]] = column{name: head[1], chType: head[2], doc: head[3]}
		}
	}
	sql := strings.TrimSuffix(strings.Join(query, "\n"), ";")
	list := selectList.FindStringSubmatch(sql)
	if list == nil {
		fail("view %s: expected SELECT ... FROM", name)
	}
	var from []string
	for _, table := range fromTable.FindAllString(sql, -1) {
		if tables[table] == nil {
			fail("view %s: no event has the table %s", name, table)
		}
		from = append(from, table)
	}
	var cols []column
	for _, item := range splitList(list[1]) {
		if alias, star := strings.CutSuffix(item, "*"); star {
			stored, computed := allOf(tables[from[0]])
			cols = append(cols, append(stored, computed...)...)
			for _, col := range computed {
				sql = strings.Replace(sql, item, item+", "+alias+col.name, 1)
				item += ", " + alias + col.name
			}
			continue
		}
		expression, as, renamed := strings.Cut(item, " AS ")
		found := lastName.FindStringSubmatch(expression)
		if !renamed && found != nil {
			as = found[1]
		}
		col, ok := declared[as]
		for i := 0; !ok && found != nil && i < len(from); i++ {
			col, ok = find(tables[from[i]], found[1])
		}
		if !ok {
			fail("view %s: declare the column %s in the view's head, as `-- name Type: comment`", name, as)
		}
		col.name, col.expression = as, ""
		cols = append(cols, col)
	}
	t.f("{\nName: %q, Comment: %q,\nSelect: `%s`,", name, comment, sql)
	for i := range cols {
		cols[i].expression = ""
	}
	writeColumns(t, cols)
	t.f("},")
}

func allOf(cols []column) (stored, computed []column) {
	for _, col := range cols {
		if col.expression == "" {
			stored = append(stored, col)
		} else {
			computed = append(computed, col)
		}
	}
	return stored, computed
}

func find(cols []column, name string) (column, bool) {
	for _, col := range cols {
		if col.name == name {
			return col, true
		}
	}
	return column{}, false
}

// splitList splits at the commas that are in no parentheses.
func splitList(list string) (items []string) {
	depth, from := 0, 0
	for i, r := range list {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == ',' && depth == 0:
			items = append(items, strings.TrimSpace(list[from:i]))
			from = i + 1
		}
	}
	return append(items, strings.TrimSpace(list[from:]))
}
