package clickhouse

import "github.com/kasi-collections/kasi/schemas"

// Nearly all rows are transactions and collections, so these two have readers of their own. Fields stand in the order
// in which they are written.

func metaFields[E any](get func(e *E) *schemas.Meta) []field[E] {
	return []field[E]{
		named("event_id", func(c *scan, e *E) { get(e).EventID = c.text() }),
		named("seq", func(c *scan, e *E) { get(e).Seq = c.integer() }),
		named("business_date", func(c *scan, e *E) { get(e).BusinessDate = c.text() }),
		named("at", func(c *scan, e *E) { get(e).At = c.instant() }),
	}
}

func transactionFields() []field[schemas.TransactionEvent] {
	type E = schemas.TransactionEvent
	return append(metaFields(func(e *E) *schemas.Meta { return &e.Meta }), []field[E]{
		named("transaction_id", func(c *scan, e *E) { e.TransactionID = c.text() }),
		named("tenant_id", func(c *scan, e *E) { e.TenantID = c.text() }),
		named("customer_id", func(c *scan, e *E) { e.CustomerID = c.text() }),
		named("booked_at", func(c *scan, e *E) { e.BookedAt = c.instant() }),
		named("amount_cents", func(c *scan, e *E) { e.AmountCents = schemas.Cents(c.integer()) }),
		named("direction", func(c *scan, e *E) { e.Direction = schemas.Direction(c.text()) }),
		named("account_id", func(c *scan, e *E) { e.AccountID = c.text() }),
		named("balance_after_cents", func(c *scan, e *E) {
			balance := schemas.Cents(c.integer())
			e.BalanceAfterCents = &balance
		}),
		named("currency", func(c *scan, e *E) { e.Currency = c.text() }),
		named("description", func(c *scan, e *E) { e.Description = c.text() }),
		named("counterparty", func(c *scan, e *E) { e.Counterparty = c.text() }),
		named("category", func(c *scan, e *E) { e.Category = c.text() }),
		named("booked_date", func(c *scan, e *E) { e.BookedDate = c.text() }),
	}...)
}

func collectionFields() []field[schemas.CollectionEvent] {
	type E = schemas.CollectionEvent
	change := changeFields()
	return append(metaFields(func(e *E) *schemas.Meta { return &e.Meta }), []field[E]{
		named("collection_id", func(c *scan, e *E) { e.CollectionID = c.text() }),
		named("tenant_id", func(c *scan, e *E) { e.TenantID = c.text() }),
		named("customer_id", func(c *scan, e *E) { e.CustomerID = c.text() }),
		named("policy_id", func(c *scan, e *E) { e.PolicyID = c.text() }),
		named("policy_number", func(c *scan, e *E) { e.PolicyNumber = c.text() }),
		named("external_customer_ref", func(c *scan, e *E) { e.ExternalCustomerRef = c.text() }),
		named("product_code", func(c *scan, e *E) { e.ProductCode = c.text() }),
		named("period_month", func(c *scan, e *E) { e.PeriodMonth = schemas.Period(c.text()) }),
		named("execution_id", func(c *scan, e *E) { e.ExecutionID = c.text() }),
		named("version", func(c *scan, e *E) { e.Version = c.integer() }),
		named("due_cents", func(c *scan, e *E) { e.DueCents = schemas.Cents(c.integer()) }),
		named("collected_cents", func(c *scan, e *E) { e.CollectedCents = schemas.Cents(c.integer()) }),
		named("in_flight_cents", func(c *scan, e *E) { e.InFlightCents = schemas.Cents(c.integer()) }),
		named("collection_status", func(c *scan, e *E) { e.Status = schemas.CollectionStatus(c.text()) }),
		named("first_attempt_date", func(c *scan, e *E) { e.FirstAttemptDate = c.text() }),
		named("last_attempt_date", func(c *scan, e *E) { e.LastAttemptDate = c.text() }),
		named("number_of_attempts", func(c *scan, e *E) { e.Attempts = int(c.integer()) }),
		named("last_failure_reason", func(c *scan, e *E) { e.LastFailureReason = c.text() }),
		named("change", func(c *scan, e *E) { object(c, change, &e.Change) }),
	}...)
}

func changeFields() []field[schemas.Change] {
	type E = schemas.Change
	return []field[E]{
		named("kind", func(c *scan, e *E) { e.Kind = schemas.ChangeKind(c.text()) }),
		named("debit_id", func(c *scan, e *E) { e.DebitID = c.text() }),
		named("result_id", func(c *scan, e *E) { e.ResultID = c.text() }),
		named("moved_cents", func(c *scan, e *E) { e.MovedCents = schemas.Cents(c.integer()) }),
		named("amount_cents", func(c *scan, e *E) { e.AmountCents = schemas.Cents(c.integer()) }),
		named("reason_code", func(c *scan, e *E) { e.ReasonCode = c.text() }),
		named("reason_scheme", func(c *scan, e *E) { e.ReasonScheme = c.text() }),
		named("effective_date", func(c *scan, e *E) { e.EffectiveDate = c.text() }),
	}
}
