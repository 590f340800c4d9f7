package read

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/schemas"
)

// Attempt is one debit of a collection as the bank was told it. TrackingUntil is empty where the bank presents it on
// its action date only.
type Attempt struct {
	Attempt                   uint32
	Period                    schemas.Period // of the collection
	DebitID                   string
	AmountCents               schemas.Cents
	ActionDate, TrackingUntil string
	Rail                      schemas.Rail
	TransactionIDs            []string
}

const sqlAttemptList = `SELECT attempt, period_month, debit_id, amount_cents, toString(action_date),
    ifNull(toString(tracking_until), ''), rail, transaction_ids
FROM debits_log
WHERE tenant_id = {tenant:String} AND collection_id = {id:UUID} AND period_month IN
    (
        SELECT period_month FROM collections_log
        WHERE tenant_id = {tenant:String} AND collection_id = {id:UUID}
        LIMIT 1
    )
    AND attempt > toUInt32OrZero({after:String})
ORDER BY attempt
LIMIT 1 BY attempt
LIMIT {limit:UInt32}`

// Attempts are a page of the debits of a collection, in their order; none where there is no such collection.
func (d *DB) Attempts(ctx context.Context, collection string, p Page) ([]Attempt, error) {
	args := d.page(p, "after")
	args["id"] = collection
	return all[Attempt](ctx, d, sqlAttemptList, args)
}

// Answer is an answer of the bank that changed how a debit stands.
type Answer struct {
	DebitID                           string
	Kind                              schemas.ChangeKind
	EffectiveDate, ReasonCode, Scheme string
	MovedCents                        schemas.Cents
	ResultID, BusinessDate            string
	At                                time.Time
}

const sqlAttemptAnswers = `SELECT change_debit_id, change_kind, ifNull(toString(effective_date), ''), reason_code,
    reason_scheme, moved_cents, change_result_id, toString(business_date), at
FROM collections_log
WHERE tenant_id = {tenant:String} AND collection_id = {id:UUID} AND period_month IN
    (
        SELECT period_month FROM collections_log
        WHERE tenant_id = {tenant:String} AND collection_id = {id:UUID}
        LIMIT 1
    )
    AND change_debit_id != '' AND change_kind != 'DEBIT_INSTRUCTED'
ORDER BY version
LIMIT 1 BY version`

// Answers are the bank's answers to the debits of a collection, in the order in which they counted, by debit.
func (d *DB) Answers(ctx context.Context, collection string) (map[string][]Answer, error) {
	out := map[string][]Answer{}
	rows, err := all[Answer](ctx, d, sqlAttemptAnswers, params{"id": collection})
	for _, row := range rows {
		out[row.DebitID] = append(out[row.DebitID], row)
	}
	return out, err
}

// Answered are a page of the debits of a collection with all answers to them; both are asked for at once.
func (d *DB) Answered(ctx context.Context, collection string, p Page) ([]Attempt, map[string][]Answer, error) {
	var rows []Attempt
	var answers map[string][]Answer
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { rows, err = d.Attempts(ctx, collection, p); return err })
	g.Go(func() (err error) { answers, err = d.Answers(ctx, collection); return err })
	err := g.Wait()
	return rows, answers, err
}
