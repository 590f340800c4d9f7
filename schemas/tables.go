package schemas

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Table is a ClickHouse table that keeps each event of one topic once. Its sorting key holds the version or event id,
// so a row inserted twice collapses; readers use the views, which resolve duplicates before and after merges. Money is
// kept as integer cents and shown as Decimal(18, 2). src_partition, src_offset and seq make "complete and unique" one
// query a partition: count() = uniqExact(seq) = max(seq) - min(seq) + 1.
type Table struct {
	Name, Comment string
	// Key is the sorting key: names of columns between commas.
	Key string
	// Of and Latest are set of a table of current states: the table whose latest rows it keeps, and the column whose
	// greatest value is the latest. Both are empty of a state that several tables make.
	Of, Latest string
	// Month says that each period is a part of its own, which can be dropped.
	Month bool
	// Indexes are bloom filters: a name and its column.
	Indexes []string
	Columns []Column
}

// Column is a column of a table or view.
type Column struct {
	Name, Type, Comment string
	// Expression computes the column when it is read; empty where the column is stored.
	Expression string
}

// View is what readers query.
type View struct {
	Name, Comment, Select string
	Columns               []Column
}

// deduplication is how long a table remembers the tokens of its inserts: long enough for a block that is sent again
// late.
const deduplication = "non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000, " +
	"replicated_deduplication_window_seconds = 604800"

// Cluster is the name of a ClickHouse cluster whose servers are replicas of each other; empty is one server. The same
// definitions make both.
type Cluster string

// On is the clause that has a statement carried out on every server.
func (c Cluster) On() string {
	if c == "" {
		return ""
	}
	return " ON CLUSTER " + string(c)
}

// Engine is a table's engine. Replicas find each other by the server's default path and the macros shard and replica.
func (c Cluster) Engine(engine string) string {
	if c == "" {
		return engine
	}
	return "Replicated" + engine
}

// Create makes the table where it is missing.
func (t Table) Create(on Cluster) string {
	lines := definitions(t.Columns)
	for _, index := range t.Indexes {
		lines = append(lines, "    INDEX "+index+" TYPE bloom_filter GRANULARITY 1")
	}
	partition := ""
	if t.Month {
		partition = "\nPARTITION BY period_month"
	}
	return "CREATE TABLE IF NOT EXISTS " + t.Name + on.On() + "\n(\n" + strings.Join(lines, ",\n") + "\n)\nENGINE = " +
		on.Engine(t.engine()) + partition + "\nORDER BY (" + t.Key + ")\nSETTINGS " + t.Settings() + "\nCOMMENT " +
		Quote(t.Comment)
}

func (t Table) engine() string {
	switch {
	case t.Latest != "":
		return "ReplacingMergeTree(" + t.Latest + ")"
	case t.Month:
		return "AggregatingMergeTree"
	}
	return "ReplacingMergeTree"
}

// restful has a state's rows merged, month by month, once no row came for an hour. FINAL costs nothing then, and a
// month that is over is read like any table. The last setting lets a server with a small pool do it too.
const restful = "min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, " +
	"number_of_free_entries_in_pool_to_execute_optimize_entire_partition = 1"

// Settings are the windows of a table of events. A state has none: whatever is written twice changes nothing, and a
// remembered token could hide rows that are gone.
func (t Table) Settings() string {
	if t.Latest != "" || t.Month {
		return restful
	}
	return deduplication
}

// Create makes the view or replaces it.
func (v View) Create(on Cluster) string { return v.create(on) + "\nCOMMENT " + Quote(v.Mark()) }

func (v View) create(on Cluster) string {
	return "CREATE OR REPLACE VIEW " + v.Name + on.On() + "\n(\n" + strings.Join(definitions(v.Columns), ",\n") +
		"\n)\nAS " + v.Select
}

// Mark is the view's comment with a digest of its text, from which a later start tells whether the view has changed.
func (v View) Mark() string {
	sum := sha256.Sum256([]byte(v.create("")))
	return v.Comment + " [" + hex.EncodeToString(sum[:4]) + "]"
}

func definitions(columns []Column) []string {
	lines := make([]string, len(columns))
	for i, c := range columns {
		lines[i] = "    " + c.Definition()
	}
	return lines
}

// Definition is the column as CREATE TABLE and ADD COLUMN take it.
func (c Column) Definition() string {
	text := c.Name + " " + c.Type
	if c.Expression != "" {
		text += " ALIAS " + c.Expression
	}
	return text + " COMMENT " + Quote(c.Comment)
}

// Quote writes a text of ours, which holds no backslash, as SQL does.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
