package read

import (
	"context"
	"time"

	"github.com/kasi-collections/kasi/schemas"
)

// Deposit is money of a customer that was detected as income or other money. TakenBack is empty, or why it does not
// count any more.
type Deposit struct {
	TransactionID, Date       string
	AmountCents               schemas.Cents
	StreamID, Kind, Frequency string
	StreamStatus              string
	ConfidencePercent         uint8
	NextExpectedDate          string
	TakenBack                 string
}

const sqlDeposits = `SELECT any(transaction_id), toString(min(deposit_date)) AS day, any(amount_cents),
    any(stream_id), argMax(kind, seq), argMax(frequency, seq), argMax(stream_status, seq),
    argMax(confidence_percent, seq), argMax(ifNull(toString(next_expected_date), ''), seq), max(taken_back)
FROM deposits_log
WHERE tenant_id = {tenant:String} AND customer_id = {customer_id:String}
    AND deposit_date BETWEEN toDate({from:String}) AND toDate({to:String})
GROUP BY deposit_no
ORDER BY day DESC, deposit_no DESC
LIMIT 1000`

// Deposits are the deposits of a customer from one day (YYYY-MM-DD) to another, the latest first, 1,000 at most.
func (d *DB) Deposits(ctx context.Context, customer, from, to string) ([]Deposit, error) {
	return all[Deposit](ctx, d, sqlDeposits, params{"customer_id": customer, "from": from, "to": to})
}

// Fact is one change of a customer's collections.
type Fact struct {
	CollectionID, PolicyNumber  string
	Period                      schemas.Period
	Kind                        schemas.ChangeKind
	DebitID                     string
	AmountCents, MovedCents     schemas.Cents
	Scheme, Code, EffectiveDate string
	CollectedCents, DueCents    schemas.Cents
	BusinessDate                string
	At                          time.Time
}

const sqlFacts = `SELECT collection_id, policy_number, period_month, change_kind, change_debit_id,
    change_amount_cents, moved_cents, reason_scheme, reason_code, ifNull(toString(effective_date), ''),
    collected_cents, due_cents, toString(business_date), at
FROM collections_log
WHERE tenant_id = {tenant:String} AND period_month IN {periods:Array(String)}
    AND policy_number IN {numbers:Array(String)} AND customer_id = {customer_id:String}
ORDER BY business_date DESC, period_month, collection_id, version DESC
LIMIT 1 BY period_month, collection_id, version
LIMIT 2000`

// Facts are the changes of a customer's collections of some periods and policies, the latest first, 2,000 at most.
func (d *DB) Facts(ctx context.Context, customer string, periods, numbers []string) ([]Fact, error) {
	return all[Fact](ctx, d, sqlFacts, params{"customer_id": customer, "periods": periods, "numbers": numbers})
}

// Turn is a decision in short. It stands until the next one of its collection.
type Turn struct {
	CollectionID, PolicyNumber string
	BusinessDate               string
	Action                     schemas.DecisionAction
	Reason, Explanation        string
	AmountCents                schemas.Cents
	NextDate                   string
}

const sqlTurns = `SELECT collection_id, policy_number, toString(business_date), action, reason, explanation,
    amount_cents, ifNull(toString(next_date), '')
FROM decisions_log
WHERE tenant_id = {tenant:String} AND policy_number IN {numbers:Array(String)}
    AND period_month IN {periods:Array(String)} AND customer_id = {customer_id:String}
ORDER BY business_date DESC, seq DESC
LIMIT 1 BY event_id
LIMIT 2000`

// Turns are the decisions about a customer's collections of some periods and policies, the latest first, 2,000 at most.
func (d *DB) Turns(ctx context.Context, customer string, periods, numbers []string) ([]Turn, error) {
	return all[Turn](ctx, d, sqlTurns, params{"customer_id": customer, "periods": periods, "numbers": numbers})
}

// Found is what a text that somebody searches for names. Kind is policy, customer, collection, debit, settlement or
// transaction; ID leads to it.
type Found struct{ Kind, ID, CustomerID, Text string }

const sqlSearch = `SELECT kind, id, customer, text FROM
(
    SELECT DISTINCT 'policy' AS kind, toString(policy_id) AS id, customer_id AS customer, policy_number AS text
    FROM policies_now FINAL WHERE tenant_id = {tenant:String} AND policy_number = {q:String}
    UNION ALL
    SELECT DISTINCT 'customer', customer_id, customer_id, customer_id
    FROM policies_now WHERE tenant_id = {tenant:String} AND customer_id = {q:String}
    UNION ALL
    SELECT DISTINCT 'customer', customer_id, customer_id, external_customer_ref
    FROM policies_now WHERE tenant_id = {tenant:String} AND external_customer_ref = {q:String}
    UNION ALL
    SELECT 'collection', toString(collection_id), argMax(customer_id, version),
        any(concat(policy_number, ' ', period_month))
    FROM collections_log WHERE tenant_id = {tenant:String} AND collection_id = toUUIDOrZero({q:String})
        AND notEmpty({q:String})
    GROUP BY collection_id
    UNION ALL
    SELECT DISTINCT 'debit', toString(collection_id), customer_id, concat(policy_number, ' ', period_month)
    FROM debits_log WHERE tenant_id = {tenant:String} AND debit_id = {q:String}
    UNION ALL
    SELECT DISTINCT 'settlement', toString(settlement_id), '', settlement_number
    FROM settlements_log WHERE tenant_id = {tenant:String}
        AND (settlement_number = {q:String} OR settlement_id = toUUIDOrZero({q:String}) AND notEmpty({q:String})
            OR payment_reference = {q:String} AND notEmpty({q:String}))
    UNION ALL
    SELECT DISTINCT 'transaction', customer_id, customer_id, transaction_id
    FROM transactions_log WHERE tenant_id = {tenant:String} AND transaction_id = {q:String}
)
ORDER BY kind, text, id
LIMIT 50`

// Search finds what has a text as its number, id or reference, 50 things at most.
func (d *DB) Search(ctx context.Context, q string) ([]Found, error) {
	return all[Found](ctx, d, sqlSearch, params{"q": q})
}

// StreamCount is how many income streams of a tenant's customers are of one kind and frequency.
type StreamCount struct {
	Kind, Frequency, Status string
	Streams                 uint64
	ConfidencePercent       uint64 // the mean
}

const sqlStreams = `SELECT kind, frequency, stream_status, count(), toUInt64(avg(confidence_percent))
FROM income_streams_now FINAL
WHERE tenant_id = {tenant:String}
GROUP BY kind, frequency, stream_status
ORDER BY count() DESC, kind, frequency, stream_status`

// Streams counts the income streams found.
func (d *DB) Streams(ctx context.Context) ([]StreamCount, error) {
	return all[StreamCount](ctx, d, sqlStreams, nil)
}

// Payday is how many income streams are expected to pay next on a day.
type Payday struct {
	Date    string
	Streams uint64
}

const sqlPaydays = `SELECT toString(next_expected_date), count()
FROM income_streams_now FINAL
WHERE tenant_id = {tenant:String}
    AND next_expected_date BETWEEN toDate({from:String}) AND toDate({from:String}) + 34
GROUP BY next_expected_date
ORDER BY next_expected_date`

// Paydays are the expected paydays of the five weeks from a day on.
func (d *DB) Paydays(ctx context.Context, from string) ([]Payday, error) {
	return all[Payday](ctx, d, sqlPaydays, params{"from": from})
}
