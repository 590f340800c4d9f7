package schemas

// Consumer groups, one a stage. A stage's progress is its group's committed offsets.
const (
	GroupIntake   = "kasi.intake"          // the outside topics
	GroupPolicies = "kasi.intake.policies" // the policy commands
	GroupCollect  = "kasi.collect"
	GroupSettle   = "kasi.settle"
	GroupSink     = "kasi.sink"
	GroupWebhooks = "kasi.webhooks" // what webhooks are told of
	// GroupCouriers shares the partitions of the deliveries; GroupWebhook and a webhook's id hold how far that one is.
	GroupCouriers = "kasi.webhooks.couriers"
	GroupWebhook  = "kasi.webhook."
)

// Source says where in Kafka a row came from. These columns end every table.
type Source struct {
	// Kafka partition the row came from.
	Partition uint32 `json:"-" cat:"col=src_partition"`
	// Kafka offset the row came from.
	Offset int64 `json:"-" cat:"col=src_offset"`
}

// LedgerSums is what a settlement needs to know of the movements its coverage counts.
type LedgerSums struct {
	// TotalCents is the signed sum of all movements counted. AdjustmentsCents is the part of it from other periods, or
	// that takes back what an earlier statement had counted.
	TotalCents, AdjustmentsCents Cents
	// Movements is how many were counted.
	Movements int64
	// InFlightDebits and InFlightCents are the debits of the periods counted that were with the bank at the cut.
	InFlightDebits int
	InFlightCents  Cents
}
