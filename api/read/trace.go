package read

import (
	"context"
	"time"

	"github.com/kasi-collections/kasi/schemas"
)

// Traced is what is traced: a debit, collection, settlement, transaction or income, and the ids along its path.
type Traced struct {
	Kind                              string
	Collections, Debits, Transactions []string
	Settlements                       []string
}

const sqlTraceKind = `SELECT kind FROM
(
    SELECT 1 AS rank, 'debit' AS kind FROM debits_log WHERE tenant_id = {tenant:String} AND debit_id = {id:String}
    UNION ALL
    SELECT 2, 'collection' FROM collections_log
    WHERE tenant_id = {tenant:String} AND collection_id = toUUIDOrZero({id:String}) AND notEmpty({id:String})
    UNION ALL
    SELECT 3, 'settlement' FROM settlements_log
    WHERE tenant_id = {tenant:String} AND settlement_id = toUUIDOrZero({id:String}) AND notEmpty({id:String})
    UNION ALL
    SELECT 4, 'transaction' FROM transactions_log WHERE tenant_id = {tenant:String} AND transaction_id = {id:String}
    UNION ALL
    SELECT 5, 'income' FROM deposits_log WHERE tenant_id = {tenant:String} AND transaction_id = {id:String}
)
ORDER BY rank
LIMIT 1`

const sqlTraceDebits = `SELECT debit_id, toString(collection_id), transaction_ids
FROM debits_log
WHERE tenant_id = {tenant:String} AND multiIf({kind:String} = 'debit', debit_id = {id:String},
    {kind:String} = 'collection', collection_id = toUUIDOrZero({id:String}), has(transaction_ids, {id:String}))
ORDER BY period_month, collection_id, attempt
LIMIT 1 BY debit_id
LIMIT 1000`

// Trace finds what an id names, and what lies on its path; ok is false where it names nothing.
func (d *DB) Trace(ctx context.Context, id string) (t Traced, ok bool, err error) {
	found, ok, err := one[struct{ Kind string }](ctx, d, sqlTraceKind, params{"id": id})
	if !ok {
		return t, ok, err
	}
	t = Traced{found.Kind, []string{}, []string{}, []string{}, []string{}}
	switch t.Kind {
	case "settlement":
		t.Settlements = []string{id}
		return t, true, nil
	case "collection":
		t.Collections = []string{id}
	case "transaction", "income":
		t.Transactions = []string{id}
	}
	rows, err := all[struct {
		DebitID, CollectionID string
		TransactionIDs        []string
	}](ctx, d, sqlTraceDebits, params{"id": id, "kind": t.Kind})
	add := func(list *[]string, known map[string]bool, id string) {
		if !known[id] {
			known[id] = true
			*list = append(*list, id)
		}
	}
	known := map[string]bool{id: true}
	if t.Kind == "debit" {
		known = map[string]bool{}
	}
	for _, row := range rows {
		add(&t.Debits, known, row.DebitID)
		add(&t.Collections, known, row.CollectionID)
		if t.Kind == "debit" || t.Kind == "collection" { // else what else a debit counts on is another path
			for _, tx := range row.TransactionIDs {
				add(&t.Transactions, known, tx)
			}
		}
	}
	return t, true, err
}

// TraceLine is the line of a collection in a statement.
type TraceLine struct {
	SettlementID, Number, Type, CollectionID, PolicyNumber string
	Period                                                 schemas.Period
	AmountCents                                            schemas.Cents
}

const sqlTraceLines = `SELECT toString(settlement_id), settlement_number, line_type, toString(collection_id),
    policy_number, period_month, amount_cents
FROM settlement_lines
WHERE tenant_id = {tenant:String}
    AND if({kind:String} = 'settlement', has({settlements:Array(String)}, toString(settlement_id)),
        has({collections:Array(String)}, toString(collection_id)))
    AND period_month IN
    (
        SELECT period_month FROM collections_log
        WHERE tenant_id = {tenant:String} AND collection_id IN {collections:Array(UUID)}
        UNION ALL
        SELECT arrayJoin(coverage_period) FROM settlements_log
        WHERE tenant_id = {tenant:String} AND settlement_id IN {settlements:Array(UUID)}
    )
ORDER BY settlement_number, period_month, policy_number
LIMIT 1000`

// TraceLines are the lines that a path has in statements, 1,000 at most.
func (d *DB) TraceLines(ctx context.Context, t Traced) ([]TraceLine, error) {
	return all[TraceLine](ctx, d, sqlTraceLines, params{
		"kind": t.Kind, "settlements": t.Settlements, "collections": t.Collections,
	})
}

// TraceStep is one record on a path. AmountCents is 0 where none belongs to it.
type TraceStep struct {
	Kind, ID, CollectionID string
	Date                   string
	At                     time.Time
	Topic                  string
	Partition              uint32
	Offset                 int64
	Table, Status          string
	AmountCents            schemas.Cents
	Text                   string
}

const sqlTraceSteps = `SELECT kind, id, collection, date, at, topic, partition, offset, table, status, cents, text FROM
(
    SELECT 1 AS rank, 'transaction' AS kind, transaction_id AS id, '' AS collection, toString(business_date) AS date,
        at, 'kasi.transactions.v1' AS topic, src_partition AS partition, src_offset AS offset,
        'transactions_log' AS table, toString(direction) AS status, amount_cents AS cents,
        concat(description, if(empty(description), '', ', '), 'booked ', toString(booked_date)) AS text, event_id
    FROM transactions_log WHERE tenant_id = {tenant:String} AND transaction_id IN {transactions:Array(String)}
    UNION ALL
    SELECT 2, 'deposit', transaction_id, '', toString(business_date), at, 'kasi.deposits.v1', src_partition, src_offset,
        'deposits_log', if(empty(taken_back), 'COUNTED', toString(taken_back)), amount_cents,
        concat(kind, if(empty(frequency), '', ' '), frequency, ' ', stream_status, ', stream ', stream_id), event_id
    FROM deposits_log WHERE tenant_id = {tenant:String} AND transaction_id IN {transactions:Array(String)}
    UNION ALL
    SELECT 3, 'decision', toString(event_id), toString(collection_id), toString(business_date), at, 'kasi.decisions.v1',
        src_partition, src_offset, 'decisions_log', toString(action), amount_cents, concat(reason, ': ', explanation),
        event_id
    FROM decisions_log
    WHERE tenant_id = {tenant:String} AND collection_id IN {collections:Array(UUID)}
        AND ({kind:String} = 'collection' OR debit_id IN {debits:Array(String)})
    UNION ALL
    SELECT 4, 'debit', debit_id, toString(collection_id), toString(business_date), at, 'kasi.debits.v1', src_partition,
        src_offset, 'debits_log', toString(rail), amount_cents,
        concat('attempt ', toString(attempt), ' of ', policy_number, ', action date ', toString(action_date)), event_id
    FROM debits_log WHERE tenant_id = {tenant:String} AND debit_id IN {debits:Array(String)}
    UNION ALL
    SELECT 5, 'collection', toString(collection_id), toString(collection_id), toString(business_date), at,
        'kasi.collections.v1', src_partition, src_offset, 'collections_log', toString(change_kind), moved_cents,
        concat('version ', toString(version), ': ', collection_status, if(empty(reason_code), '',
            concat(', the bank said ', trimLeft(concat(reason_scheme, ' ', reason_code))))), event_id
    FROM collections_log
    WHERE tenant_id = {tenant:String} AND collection_id IN {collections:Array(UUID)}
        AND ({kind:String} = 'collection' OR change_debit_id IN {debits:Array(String)})
    UNION ALL
    SELECT 7, 'settlement', toString(settlement_id), '', toString(business_date), at, 'kasi.settlements.v1',
        src_partition, src_offset, 'settlements_log', toString(status), net_cents,
        concat(settlement_number, ', version ', toString(version), ': ', change_kind), event_id
    FROM settlements_log
    WHERE tenant_id = {tenant:String} AND settlement_id IN {settlements:Array(UUID)}
    UNION ALL
    SELECT 8, 'payout', payout_id, '', toString(business_date), at, 'kasi.payouts.v1', src_partition, src_offset,
        'payouts_log', 'INSTRUCTED', amount_cents, concat(payment_reference, ' of ', settlement_number), event_id
    FROM payouts_log
    WHERE tenant_id = {tenant:String} AND settlement_id IN {settlements:Array(UUID)}
)
ORDER BY date, at, rank, offset, id
LIMIT 1 BY kind, event_id, id
LIMIT 5000`

// TraceSteps are the records on a path in the order in which they came, 5,000 at most.
func (d *DB) TraceSteps(ctx context.Context, t Traced) ([]TraceStep, error) {
	return all[TraceStep](ctx, d, sqlTraceSteps, params{
		"kind": t.Kind, "settlements": t.Settlements, "collections": t.Collections, "debits": t.Debits,
		"transactions": t.Transactions,
	})
}
