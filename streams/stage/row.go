// Package stage is the exactly-once loop: it takes records in, has a Task work on them, and writes outputs, dead
// letters, changelog and consumed offsets in one transaction. It knows no topic and no group of ours: those come with
// the Row. What it guarantees stands at the top of session.go, step.go and store.go, and in ../DESIGN.md.
package stage

// Row is one stage as data: what it reads, what decides, what it writes, what it remembers.
type Row struct {
	// Name is part of the transactional id, of every log line and, for a stage that answers commands, of its outcomes.
	Name string
	// Role is the process that runs the stage: `kasi run ROLE`.
	Role string
	// Group is the consumer group whose committed offsets are the stage's progress.
	Group  string
	Inputs []string
	// Processor says what decides; it is for the reader.
	Processor string
	Outputs   []Output
	// State is the changelog topic, empty for a stage without state. A stage with state has one input, and input partition
	// p has its state on changelog partition p.
	State    string
	StateKey string
	// DeadLetters is the one of the outputs that gets what the stage refuses.
	DeadLetters string
	// CountOf is the topic whose partition count all partitioned topics of ours share.
	CountOf string
}

// Output is one topic that a stage writes.
type Output struct {
	Topic string
	// Key says what the record's key is made of; it is for the reader.
	Key string
	// Routed outputs go to the partition of a routing hash, the others to the partition of their input. Topics with one
	// partition use that.
	Routed bool
	// Dense outputs carry Seq 1, 2, 3... per partition, without a gap.
	Dense bool
}
