package schemas

// Consumer groups, one a stage. A stage's progress is its group's committed offsets.
const (
	GroupIntake   = "kasi.intake"          // the three outside topics
	GroupPolicies = "kasi.intake.policies" // the policy commands
	GroupCollect  = "kasi.collect"
	GroupSettle   = "kasi.settle"
	GroupSink     = "kasi.sink"
)

// SunkTopics are the topics that the ClickHouse sink reads, each into the table named beside it.
var SunkTopics = map[string]string{
	TopicTransactions: "transactions_log",
	TopicDeposits:     "deposits_log",
	TopicDecisions:    "decisions_log",
	TopicDebits:       "debits_log",
	TopicPolicies:     "policies_log",
	TopicCollections:  "collections_log",
	TopicSettlements:  "settlements_log",
	TopicOutcomes:     "outcomes_log",
	TopicCalendar:     "calendar_log",
}

// LedgerSums is what a settlement needs to know of the movements its coverage counts.
type LedgerSums struct {
	// TotalCents is the signed sum of all movements counted; AdjustmentsCents is the part of it from other periods.
	TotalCents, AdjustmentsCents Cents
	// Movements is how many were counted.
	Movements int64
}
