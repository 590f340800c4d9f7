package main

import (
	"os"
	"path/filepath"
	"strings"
)

const dictionaryHead = `# A dictionary for analysts

<!-- Written by make generate from schemas/catalog/views.sql and sinks/clickhouse/questions; changes are lost. -->

Ask with 'kasi sql', or any ClickHouse client as user 'analyst', or 'analyst_<tenant>' for one tenant alone.
Start with the questions; a query of yours is mostly one of them with another filter.

- **Join by tenant and id**: 'USING (tenant_id, customer_id)'. 'customers' has one row a customer, so joining it
  multiplies nothing; 'deposits' and 'income_streams' have many.
- **Money** is in rands, Decimal(18, 2); the same in cents stands beside it, for tools without decimals.
- **Days** are of type Date, in Africa/Johannesburg. Instants ('..._at', 'at') are UTC: group by the day beside them.
- **Words** such as a status are written as the API and the events write them.
- **Limits**: a query may take 60 s (up to 300 by 'SETTINGS max_execution_time'), 1 GB of memory and 1,000,000 rows
  of result. It is stopped beyond, and nothing else is. An analyst has an hour of queries an hour.
`

// dictionary writes the page for analysts: the views, their columns, and questions with their SQL.
func dictionary(c *catalog, questions string) string {
	var t text
	t.f("%s", strings.ReplaceAll(dictionaryHead, "'", "`"))
	t.f("## Views\n\n| view | shows |\n|---|---|")
	for _, v := range c.views {
		t.f("| [`%s`](#%s) | %s |", v.name, v.name, v.comment)
	}
	t.f("\n## Questions")
	paths, _ := filepath.Glob(filepath.Join(questions, "*.sql")) // the pattern is right
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			fail("%v", err)
		}
		question, sql, _ := strings.Cut(strings.TrimPrefix(string(b), "-- "), "\n")
		sql, _, _ = strings.Cut(sql, "-- answer:")
		t.f("\n%s\n```sql\n%s\n```", question, strings.TrimSpace(sql))
	}
	t.f("\n## Columns")
	for _, v := range c.views {
		t.f("\n### %s\n%s.\n", v.name, strings.TrimSuffix(v.comment, "."))
		for _, col := range v.columns {
			t.f("%s", wrap("- `"+col.name+"` "+col.chType+": "+col.doc, "  "))
		}
	}
	return t.String()
}

// wrap breaks a line of a list where it would be too long.
func wrap(line, indent string) string {
	const most = 138
	var out strings.Builder
	for len(line) > most {
		at := strings.LastIndex(line[:most], " ")
		out.WriteString(line[:at] + "\n")
		line = indent + line[at+1:]
	}
	return out.String() + line
}
