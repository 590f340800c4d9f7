package streams

import "github.com/kasi-collections/kasi/schemas"

// Topology is everything that runs between topics: read a row as "stage, what it reads, what decides, what it writes,
// what it remembers".
//
// Every partitioned topic of ours has the same number of partitions. A keyed output goes to the partition of its key's
// routing hash; every other output goes to the partition that its input came from, so that one partition of a stage
// never waits for another. Each stage takes in records, and writes outputs, dead letters, changelog and consumed
// offsets, in one transaction (DESIGN.md).
var Topology = []Stage{
	{
		Name:      "intake",
		Group:     schemas.GroupIntake,
		Inputs:    []string{schemas.TopicFeedTransactions, schemas.TopicFeedIncomes, schemas.TopicRailResults},
		Processor: "processors.Decode*: validate, pass on byte for byte",
		Outputs: []Output{
			{Topic: schemas.TopicTimeline, Key: "customer; debit_id of a result", Routed: true},
			{Topic: schemas.TopicDeadLetters, Key: "as it came"},
		},
	},
	{
		Name:      "policies",
		Group:     schemas.GroupPolicies,
		Inputs:    []string{schemas.TopicPolicyCommands},
		Processor: "ownerTask: which customer a policy number belongs to",
		Outputs: []Output{
			{Topic: schemas.TopicTimeline, Key: "customer", Routed: true},
			{Topic: schemas.TopicOutcomes, Key: "tenant, policy number", Dense: true},
			{Topic: schemas.TopicDeadLetters, Key: "as it came"},
		},
		State:    schemas.TopicStateIntake,
		StateKey: "tenant, policy number",
	},
	{
		Name:      "collect",
		Group:     schemas.GroupCollect,
		Inputs:    []string{schemas.TopicTimeline},
		Processor: "processors.Engine: deposits, decisions, debits, outcomes",
		Outputs: []Output{
			{Topic: schemas.TopicTransactions, Key: "customer", Dense: true},
			{Topic: schemas.TopicDeposits, Key: "customer", Dense: true},
			{Topic: schemas.TopicDecisions, Key: "customer", Dense: true},
			{Topic: schemas.TopicDebits, Key: "customer", Dense: true},
			{Topic: schemas.TopicPolicies, Key: "customer", Dense: true},
			{Topic: schemas.TopicCollections, Key: "customer", Dense: true},
			{Topic: schemas.TopicOutcomes, Key: "customer", Dense: true},
			{Topic: schemas.TopicDeadLetters, Key: "as it came"},
		},
		State:    schemas.TopicStateCollect,
		StateKey: "customer",
	},
	{
		Name:      "settle",
		Group:     schemas.GroupSettle,
		Inputs:    []string{schemas.TopicSettlementCommands},
		Processor: "rules.Rules.Settle over Ledger sums",
		Outputs: []Output{
			{Topic: schemas.TopicSettlements, Key: "tenant", Dense: true},
			{Topic: schemas.TopicOutcomes, Key: "tenant", Dense: true},
			{Topic: schemas.TopicDeadLetters, Key: "as it came"},
		},
		State:    schemas.TopicStateSettle,
		StateKey: "tenant",
	},
}

// Stage is one row of the topology.
type Stage struct {
	// Name is part of the transactional id, of every log line and, for a stage that answers commands, of its outcomes.
	Name string
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

// row finds a stage by name. A name that is not in the table is a programmer's error.
func row(name string) Stage {
	for _, s := range Topology {
		if s.Name == name {
			return s
		}
	}
	panic("streams: no stage " + name + " in the topology")
}

// output finds one of the stage's outputs; ok is false for a topic the table does not list.
func (s *Stage) output(topic string) (Output, bool) {
	for _, o := range s.Outputs {
		if o.Topic == topic {
			return o, true
		}
	}
	return Output{}, false
}
