package schemas

// Topic names. The first group is the public contract (CONTRACT 8), the second is Kasi's own.
const (
	TopicFeedTransactions = "kasi.feed.transactions.v1"
	TopicFeedIncomes      = "kasi.feed.incomes.v1"
	TopicRailResults      = "kasi.rail.results.v1"
	TopicDebits           = "kasi.debits.v1"
	TopicDeposits         = "kasi.deposits.v1"
	TopicDecisions        = "kasi.decisions.v1"
	TopicPolicies         = "kasi.policies.v1"
	TopicCollections      = "kasi.collections.v1"
	TopicSettlements      = "kasi.settlements.v1"
	TopicOpenItems        = "kasi.openitems.v1"
	TopicPayouts          = "kasi.payouts.v1"
	TopicPayoutResults    = "kasi.payout.results.v1"

	TopicPolicyCommands     = "kasi.policy.commands.v1"     // key (tenant, policy number): who owns a number
	TopicTimeline           = "kasi.customer.timeline.v1"   // key (tenant, customer): all that can change a customer
	TopicTransactions       = "kasi.transactions.v1"        // each accepted bank transaction once
	TopicOutcomes           = "kasi.outcomes.v1"            // the answer to each API command
	TopicImports            = "kasi.imports.v1"             // what each import of policies has to say
	TopicExecutions         = "kasi.executions.v1"          // how far each execution is
	TopicSettlementCommands = "kasi.settlement.commands.v1" // key tenant
	TopicCalendar           = "kasi.calendar.v1"            // one partition: every tick, in order
	TopicDeadLetters        = "kasi.deadletters.v1"
	TopicTenants            = "kasi.tenants.v1"       // key tenant: who the insurers are
	TopicKeys               = "kasi.keys.v1"          // key: the API key's id
	TopicAudit              = "kasi.audit.v1"         // key tenant: every changing call of the API
	TopicIdempotency        = "kasi.idempotency.v1"   // key: hash of tenant and Idempotency-Key
	TopicStateIntake        = "kasi.state.intake.v1"  // changelog: owner of each policy number
	TopicStateCollect       = "kasi.state.collect.v1" // changelog: a customer in rows
	TopicStateSettle        = "kasi.state.settle.v1"  // changelog: one state a tenant
	TopicWebhooks           = "kasi.webhooks.v1"      // key webhook: where tenants want to be told
	// Key webhook: what it is to be told, and what became of that.
	TopicWebhookDeliveries = "kasi.webhook.deliveries.v1"
)

// Topic is one row of the topic table.
type Topic struct {
	Name string
	// Partitioned topics have the timeline's partition count; the others have exactly one partition.
	Partitioned bool
	// Compacted topics are changelogs: the last record of a key is the state.
	Compacted bool
	// KeepDays is after how many days records are forgotten; 0 means never.
	KeepDays int
	// Public topics are the contract of CONTRACT 8.
	Public bool
}

// Topics is every topic Kasi needs. Outside topics may exist already with any number of partitions.
var Topics = []Topic{
	{Name: TopicFeedTransactions, Partitioned: true, Public: true},
	{Name: TopicFeedIncomes, Partitioned: true, Public: true},
	{Name: TopicRailResults, Partitioned: true, Public: true},
	{Name: TopicPayoutResults, Partitioned: true, Public: true},
	{Name: TopicDebits, Partitioned: true, Public: true},
	{Name: TopicDeposits, Partitioned: true, Public: true},
	{Name: TopicDecisions, Partitioned: true, Public: true},
	{Name: TopicPolicies, Partitioned: true, Public: true},
	{Name: TopicCollections, Partitioned: true, Public: true},
	{Name: TopicSettlements, Partitioned: true, Public: true},
	{Name: TopicOpenItems, Partitioned: true, Public: true},
	{Name: TopicPayouts, Partitioned: true, Public: true},
	{Name: TopicPolicyCommands, Partitioned: true},
	{Name: TopicTimeline, Partitioned: true},
	{Name: TopicTransactions, Partitioned: true},
	{Name: TopicOutcomes, Partitioned: true},
	{Name: TopicImports, Partitioned: true},
	{Name: TopicExecutions, Partitioned: true},
	{Name: TopicSettlementCommands, Partitioned: true},
	{Name: TopicCalendar},
	{Name: TopicDeadLetters},
	{Name: TopicTenants, Compacted: true},
	{Name: TopicKeys, Compacted: true},
	{Name: TopicAudit, Partitioned: true},
	{Name: TopicIdempotency, Compacted: true, KeepDays: 31},
	{Name: TopicStateIntake, Partitioned: true, Compacted: true},
	{Name: TopicStateCollect, Partitioned: true, Compacted: true},
	{Name: TopicStateSettle, Partitioned: true, Compacted: true},
	{Name: TopicWebhooks, Compacted: true},
	{Name: TopicWebhookDeliveries, Partitioned: true},
}

// Inside are the topics that only Kasi reads.
var Inside = func() map[string]bool {
	inside := map[string]bool{}
	for _, t := range Topics {
		inside[t.Name] = !t.Public
	}
	return inside
}()

// Counted tells whether the events of a topic that ClickHouse holds have a seq. Ticks and deliveries have none.
func Counted(topic string) bool { return topic != TopicCalendar && topic != TopicWebhookDeliveries }
