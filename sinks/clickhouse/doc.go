// Package clickhouse brings Kasi's topics into ClickHouse and reads from there what settlements need.
//
// The guarantee of Run: every record committed to a topic of schemas.SunkTopics is in its table once, whatever crashes,
// breaks off or changes hands in between. It stands on three legs, each of which alone would do for most failures
// (DESIGN.md beside this file lists them, with the test of each):
//
//  1. Rows are named by facts, and the tables collapse equal names. So a whole replay changes no view.
//  2. A retry carries the same rows under the same token. So ClickHouse itself drops what it has already.
//  3. The range of offsets of an insert is written down in Kafka before the insert. So whoever comes next repeats
//     exactly that range, and therefore exactly that token. What may be there already is looked up first, because
//     ClickHouse forgets tokens.
//
// What has arrived is published in sink_marks after the rows and before Kafka's commit. A mark never promises a row
// that is not there.
package clickhouse
