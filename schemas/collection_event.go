package schemas

// CollectionStatus is the outcome of a collection as reports show it.
type CollectionStatus string

// The collection statuses.
const (
	PaidFull            CollectionStatus = "PAID_FULL"
	PaidPartial         CollectionStatus = "PAID_PARTIAL"
	Unpaid              CollectionStatus = "UNPAID"
	CollectionCancelled CollectionStatus = "CANCELLED"
	// CollectionVoided is taken back with its execution before any attempt. Reports and lists leave it out.
	CollectionVoided CollectionStatus = "VOIDED"
)

// CollectionEvent is a collection after a change, with the fact behind it. The highest version is the collection as it
// is; the sum of moved_cents over all versions is what was collected.
//
//catalog:event TopicCollections Collection
//catalog:table collections_log tenant_id, period_month, collection_id, version
//catalog:latest collections_now version tenant_id, period_month, policy_number, collection_id
//catalog:index by_policy policy_number
//catalog:rands shortfall after=in_flight_cents due_cents - collected_cents: Due less collected.
type CollectionEvent struct {
	Meta
	// Made of policy and period.
	CollectionID string `json:"collection_id" cat:"uuid after=period_month"`
	// The insurer.
	TenantID string `json:"tenant_id" cat:"low"`
	// The insurer's id of the customer.
	CustomerID string `json:"customer_id"`
	// The policy collected for.
	PolicyID string `json:"policy_id" cat:"uuid"`
	// The insurer's policy number.
	PolicyNumber string `json:"policy_number"`
	// The insurer's further reference of the customer; may be empty.
	ExternalCustomerRef string `json:"external_customer_ref" cat:"after=customer_id"`
	// The insurer's product; may be empty.
	ProductCode string `json:"product_code" cat:"low"`
	// The period collected for, YYYY-MM.
	PeriodMonth Period `json:"period_month" cat:"after=tenant_id"`
	// The execution that made the collection.
	ExecutionID string `json:"execution_id"`
	// Counts the changes: 1, 2, 3...
	Version int64 `json:"version" cat:"min=1 after=collection_id"`
	// Amount due, fixed once the period has begun.
	DueCents Cents `json:"due_cents" cat:"min=0"`
	// Collected so far.
	CollectedCents Cents `json:"collected_cents"`
	// With the bank, result not known yet.
	InFlightCents Cents `json:"in_flight_cents" cat:"min=0"`
	// Outcome so far.
	Status CollectionStatus `json:"collection_status"`
	// Action date of the first debit; absent before it.
	FirstAttemptDate string `json:"first_attempt_date,omitempty" cat:"date"`
	// Action date of the latest debit; absent before the first.
	LastAttemptDate string `json:"last_attempt_date,omitempty" cat:"date"`
	// Debits instructed.
	Attempts int `json:"number_of_attempts" cat:"min=0"`
	// Why the last failed debit failed; absent once paid in full.
	LastFailureReason string `json:"last_failure_reason,omitempty" cat:"low"`
	// The fact that made this version.
	Change Change `json:"change"`
}

// ChangeKind names the fact that made a version of a collection.
type ChangeKind string

// The facts in a collection's life. Where the bank answers a debit several times, each worse answer is a fact of its
// own. An answer that says no takes back what had been paid.
const (
	ChangeCreated     ChangeKind = "CREATED"
	ChangeInstructed  ChangeKind = "DEBIT_INSTRUCTED"
	ChangeUnpaid      ChangeKind = "DEBIT_UNPAID"
	ChangeRejected    ChangeKind = "DEBIT_REJECTED" // - the amount, or 0 where it had not been paid
	ChangeCancelled   ChangeKind = "CANCELLED"
	ChangeReactivated ChangeKind = "REACTIVATED"
	// POLICY_CHANGED: before its period began, the collection follows its policy. VOIDED: taken back with its execution,
	// before any attempt; a later execution makes it again, REACTIVATED.
	ChangePolicy       ChangeKind = "POLICY_CHANGED"
	ChangeVoided       ChangeKind = "VOIDED"
	ChangePaid         ChangeKind = "DEBIT_PAID"     // + the debit's amount
	ChangeLateUnpaid   ChangeKind = "LATE_UNPAID"    // - the debit's amount: paid before, returned late
	ChangeDisputed     ChangeKind = "DEBIT_DISPUTED" // - the amount, or 0 where it had not been paid yet
	ChangePaidDisputed ChangeKind = "PAID_DISPUTED"  // 0: paid, but a dispute had arrived before
)

// Change is the fact behind a version of a collection. MovedCents is what it added to collected: positive, negative or
// zero. The sum of MovedCents over a collection's events is its collected amount.
type Change struct {
	// What happened.
	Kind ChangeKind `json:"kind" cat:"col=change_kind"`
	// The debit it is about, where there is one.
	DebitID string `json:"debit_id,omitempty" cat:"col=change_debit_id"`
	// The bank's result behind it, where there is one.
	ResultID string `json:"result_id,omitempty" cat:"col=change_result_id"`
	// What it added to collected: positive, negative or zero.
	MovedCents Cents `json:"moved_cents"`
	// Amount of the debit it is about, where there is one.
	AmountCents Cents `json:"amount_cents,omitempty" cat:"min=1 col=change_amount_cents"`
	// The bank's reason code, where there is one.
	ReasonCode string `json:"reason_code,omitempty" cat:"low"`
	// The scheme of the code.
	ReasonScheme string `json:"reason_scheme,omitempty" cat:"enum=ZA,ISO"`
	// The bank's date, where there is one.
	EffectiveDate string `json:"effective_date,omitempty" cat:"date"`
}
