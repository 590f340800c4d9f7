package clickhouse

import (
	"encoding/json"
	"time"

	"github.com/kasi-collections/kasi/schemas"
)

// tables maps each sunk topic to how its records become rows. It is the whole mapping between events and tables; a test
// compares it with the columns ClickHouse has.
func tables() map[string]table {
	ts := make(map[string]table, len(schemas.SunkTopics))
	for topic, t := range map[string]table{
		schemas.TopicTransactions: transactions(), schemas.TopicDeposits: deposits(), schemas.TopicDecisions: decisions(),
		schemas.TopicDebits: debits(), schemas.TopicPolicies: policies(), schemas.TopicCollections: collections(),
		schemas.TopicSettlements: settlements(), schemas.TopicOutcomes: outcomes(), schemas.TopicCalendar: calendar(),
	} {
		ts[topic] = t
	}
	return ts
}

func transactions() table {
	type E = schemas.TransactionEvent
	t := newTable(schemas.TopicTransactions, append([]column[E]{
		text("tenant_id", func(e *E) string { return e.TenantID }),
		text("customer_id", func(e *E) string { return e.CustomerID }),
		text("transaction_id", func(e *E) string { return e.TransactionID }),
		instants("booked_at", func(e *E) time.Time { return e.BookedAt }),
		cents("amount_cents", func(e *E) schemas.Cents { return e.AmountCents }),
		text("direction", func(e *E) schemas.Direction { return e.Direction }),
		text("account_id", func(e *E) string { return e.AccountID }),
		maybeCents("balance_after_cents", func(e *E) *schemas.Cents { return e.BalanceAfterCents }),
		text("currency", func(e *E) string { return e.Currency }),
		text("description", func(e *E) string { return e.Description }),
		text("counterparty", func(e *E) string { return e.Counterparty }),
		text("category", func(e *E) string { return e.Category }),
	}, meta(func(e *E) *schemas.Meta { return &e.Meta })...))
	t.fields = transactionFields()
	return t
}

func deposits() table {
	type E = schemas.DepositEvent
	return newTable(schemas.TopicDeposits, append([]column[E]{
		text("tenant_id", func(e *E) string { return e.TenantID }),
		text("customer_id", func(e *E) string { return e.CustomerID }),
		text("transaction_id", func(e *E) string { return e.TransactionID }),
		dates("deposit_date", func(e *E) string { return e.DepositDate }),
		cents("amount_cents", func(e *E) schemas.Cents { return e.AmountCents }),
		text("stream_id", func(e *E) string { return e.StreamID }),
		text("kind", func(e *E) schemas.IncomeKind { return e.Kind }),
		text("frequency", func(e *E) string { return e.Frequency }),
		text("stream_status", func(e *E) string { return e.StreamStatus }),
		uint8s("confidence_percent", func(e *E) int { return e.ConfidencePercent }),
		maybeDates("next_expected_date", func(e *E) string { return e.NextExpectedDate }),
	}, meta(func(e *E) *schemas.Meta { return &e.Meta })...))
}

// decisionRow keeps alternatives and inputs as the JSON they came in: the table shows them, nothing computes with them.
type decisionRow struct {
	schemas.DecisionEvent
	Alternatives json.RawMessage `json:"alternatives"`
	Inputs       json.RawMessage `json:"inputs"`
}

func decisions() table {
	type E = decisionRow
	return newTable(schemas.TopicDecisions, append([]column[E]{
		text("tenant_id", func(e *E) string { return e.TenantID }),
		text("customer_id", func(e *E) string { return e.CustomerID }),
		text("policy_number", func(e *E) string { return e.PolicyNumber }),
		ids("collection_id", func(e *E) string { return e.CollectionID }),
		text("period_month", func(e *E) schemas.Period { return e.PeriodMonth }),
		text("action", func(e *E) schemas.DecisionAction { return e.Action }),
		text("reason", func(e *E) string { return e.Reason }),
		text("explanation", func(e *E) string { return e.Explanation }),
		text("debit_id", func(e *E) string { return e.DebitID }),
		cents("amount_cents", func(e *E) schemas.Cents { return e.AmountCents }),
		maybeDates("next_date", func(e *E) string { return e.NextDate }),
		text("alternatives", func(e *E) string { return orJSON(e.Alternatives, "[]") }),
		text("inputs", func(e *E) string { return orJSON(e.Inputs, "{}") }),
	}, meta(func(e *E) *schemas.Meta { return &e.Meta })...))
}

func orJSON(raw json.RawMessage, empty string) string {
	if len(raw) == 0 || string(raw) == "null" {
		return empty
	}
	return string(raw)
}

func debits() table {
	type E = schemas.DebitInstruction
	return newTable(schemas.TopicDebits, append([]column[E]{
		text("tenant_id", func(e *E) string { return e.TenantID }),
		text("customer_id", func(e *E) string { return e.CustomerID }),
		text("policy_number", func(e *E) string { return e.PolicyNumber }),
		ids("collection_id", func(e *E) string { return e.CollectionID }),
		text("period_month", func(e *E) schemas.Period { return e.PeriodMonth }),
		text("debit_id", func(e *E) string { return e.DebitID }),
		uint32s("attempt", func(e *E) int { return e.Attempt }),
		cents("amount_cents", func(e *E) schemas.Cents { return e.AmountCents }),
		text("currency", func(e *E) string { return e.Currency }),
		dates("action_date", func(e *E) string { return e.ActionDate }),
		text("rail", func(e *E) schemas.Rail { return e.Rail }),
		text("mandate_reference", func(e *E) string { return e.MandateReference }),
	}, meta(func(e *E) *schemas.Meta { return &e.Meta })...))
}

func policies() table {
	type E = schemas.PolicyEvent
	return newTable(schemas.TopicPolicies, append([]column[E]{
		text("tenant_id", func(e *E) string { return e.TenantID }),
		ids("policy_id", func(e *E) string { return e.PolicyID }),
		text("policy_number", func(e *E) string { return e.PolicyNumber }),
		text("customer_id", func(e *E) string { return e.CustomerID }),
		text("external_customer_ref", func(e *E) string { return e.ExternalCustomerRef }),
		text("product_code", func(e *E) string { return e.ProductCode }),
		cents("premium_cents", func(e *E) schemas.Cents { return e.PremiumCents }),
		text("status", func(e *E) schemas.PolicyStatus { return e.Status }),
		text("rail", func(e *E) schemas.Rail { return e.Rail }),
		text("mandate_reference", func(e *E) string { return e.MandateReference }),
		cents("mandate_max_cents", func(e *E) schemas.Cents { return e.MandateMaxCents }),
		bools("mandate_fixed", func(e *E) bool { return e.MandateFixed }),
		uint8s("collection_day", func(e *E) int { return e.CollectionDay }),
		text("hold_reason", func(e *E) string { return e.HoldReason }),
		int64s("version", func(e *E) int64 { return e.Version }),
		text("request_id", func(e *E) string { return e.RequestID }),
		instants("created_at", func(e *E) time.Time { return e.CreatedAt }),
		instants("updated_at", func(e *E) time.Time { return e.UpdatedAt }),
	}, meta(func(e *E) *schemas.Meta { return &e.Meta })...))
}

func collections() table {
	type E = schemas.CollectionEvent
	t := newTable(schemas.TopicCollections, append([]column[E]{
		text("tenant_id", func(e *E) string { return e.TenantID }),
		text("period_month", func(e *E) schemas.Period { return e.PeriodMonth }),
		ids("collection_id", func(e *E) string { return e.CollectionID }),
		int64s("version", func(e *E) int64 { return e.Version }),
		text("customer_id", func(e *E) string { return e.CustomerID }),
		text("external_customer_ref", func(e *E) string { return e.ExternalCustomerRef }),
		ids("policy_id", func(e *E) string { return e.PolicyID }),
		text("policy_number", func(e *E) string { return e.PolicyNumber }),
		text("product_code", func(e *E) string { return e.ProductCode }),
		text("execution_id", func(e *E) string { return e.ExecutionID }),
		cents("due_cents", func(e *E) schemas.Cents { return e.DueCents }),
		cents("collected_cents", func(e *E) schemas.Cents { return e.CollectedCents }),
		cents("in_flight_cents", func(e *E) schemas.Cents { return e.InFlightCents }),
		text("collection_status", func(e *E) schemas.CollectionStatus { return e.Status }),
		maybeDates("first_attempt_date", func(e *E) string { return e.FirstAttemptDate }),
		maybeDates("last_attempt_date", func(e *E) string { return e.LastAttemptDate }),
		uint32s("number_of_attempts", func(e *E) int { return e.Attempts }),
		text("last_failure_reason", func(e *E) string { return e.LastFailureReason }),
		text("change_kind", func(e *E) schemas.ChangeKind { return e.Change.Kind }),
		text("change_debit_id", func(e *E) string { return e.Change.DebitID }),
		text("change_result_id", func(e *E) string { return e.Change.ResultID }),
		cents("moved_cents", func(e *E) schemas.Cents { return e.Change.MovedCents }),
		cents("change_amount_cents", func(e *E) schemas.Cents { return e.Change.AmountCents }),
		text("reason_code", func(e *E) string { return e.Change.ReasonCode }),
		text("reason_scheme", func(e *E) string { return e.Change.ReasonScheme }),
		maybeDates("effective_date", func(e *E) string { return e.Change.EffectiveDate }),
	}, meta(func(e *E) *schemas.Meta { return &e.Meta })...))
	t.fields = collectionFields()
	return t
}

func settlements() table {
	type E = schemas.SettlementEvent
	return newTable(schemas.TopicSettlements, append([]column[E]{
		text("tenant_id", func(e *E) string { return e.TenantID }),
		ids("settlement_id", func(e *E) string { return e.SettlementID }),
		text("settlement_number", func(e *E) string { return e.Number }),
		text("period_month", func(e *E) schemas.Period { return e.PeriodMonth }),
		uint32s("sequence", func(e *E) int { return e.Sequence }),
		int64s("version", func(e *E) int64 { return e.Version }),
		cents("total_collections_cents", func(e *E) schemas.Cents { return e.TotalCollectionsCents }),
		cents("adjustments_cents", func(e *E) schemas.Cents { return e.AdjustmentsCents }),
		cents("distribution_fee_cents", func(e *E) schemas.Cents { return e.DistributionFeeCents }),
		cents("collections_fee_cents", func(e *E) schemas.Cents { return e.CollectionsFeeCents }),
		cents("total_fees_cents", func(e *E) schemas.Cents { return e.TotalFeesCents }),
		cents("vat_cents", func(e *E) schemas.Cents { return e.VATCents }),
		cents("net_cents", func(e *E) schemas.Cents { return e.NetCents }),
		dates("payment_date", func(e *E) string { return e.PaymentDate }),
		text("payment_reference", func(e *E) string { return e.PaymentReference }),
		text("status", func(e *E) schemas.SettlementStatus { return e.Status }),
		text("request_id", func(e *E) string { return e.RequestID }),
		instants("created_at", func(e *E) time.Time { return e.CreatedAt }),
		coverage("coverage_period", func(c schemas.Coverage) string { return string(c.Period) }),
		coverage("coverage_from", func(c schemas.Coverage) []int64 { return c.From }),
		coverage("coverage_to", func(c schemas.Coverage) []int64 { return c.To }),
	}, meta(func(e *E) *schemas.Meta { return &e.Meta })...))
}

// coverage is an array column with one element for each covered period.
func coverage[V any](name string, get func(c schemas.Coverage) V) column[schemas.SettlementEvent] {
	return of(name, func(r *row[schemas.SettlementEvent]) ([]V, error) {
		vs := make([]V, len(r.event.Coverage))
		for i, c := range r.event.Coverage {
			vs[i] = get(c)
		}
		return vs, nil
	})
}

func outcomes() table {
	type E = schemas.OutcomeEvent
	return newTable(schemas.TopicOutcomes, append([]column[E]{
		text("tenant_id", func(e *E) string { return e.TenantID }),
		text("request_id", func(e *E) string { return e.RequestID }),
		uint32s("row", func(e *E) int { return e.Row }),
		text("code", func(e *E) string { return e.Code }),
		text("message", func(e *E) string { return e.Message }),
		text("policy_number", func(e *E) string { return e.PolicyNumber }),
		text("object_id", func(e *E) string { return e.ObjectID }),
		text("stage", func(e *E) string { return e.Stage }),
		ids("event_id", func(e *E) string { return e.EventID }),
		maybeDates("business_date", func(e *E) string { return e.BusinessDate }),
		instants("at", func(e *E) time.Time { return e.At }),
		int64s("seq", func(e *E) int64 { return e.Seq }),
	}, source[E]()...))
}

func calendar() table {
	type E = tickRow
	return newTable(schemas.TopicCalendar, append([]column[E]{
		dates("business_date", func(e *E) string { return e.Date }),
		uint32s("cutoff", func(e *E) int { return e.Cutoff }),
		instants("at", func(e *E) time.Time { return e.at }),
	}, source[E]()...))
}

// tickRow is a tick with the time Kafka gave its record: a tick itself carries only business time.
type tickRow struct {
	schemas.Tick
	at time.Time
}

func (t *tickRow) stamp(at time.Time) { t.at = at }
