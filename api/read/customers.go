package read

import (
	"context"

	"github.com/kasi-collections/kasi/schemas"
)

// IncomeStream is a stream of a customer's income as it is now.
type IncomeStream struct {
	ID, Kind, Frequency, Status string
	ConfidencePercent           uint8
	LastDepositDate             string
	LastAmountCents             schemas.Cents
	TakenBack, NextExpectedDate string
}

const sqlIncomeStreams = `SELECT stream_id, kind, frequency, stream_status, confidence_percent, toString(deposit_date),
    amount_cents, taken_back, ifNull(toString(next_expected_date), '')
FROM income_streams_now FINAL
WHERE tenant_id = {tenant:String} AND customer_id = {customer_id:String}
ORDER BY stream_status = 'ENDED', amount_cents DESC, stream_id
LIMIT 1000`

// IncomeStreams are a customer's, those that have not ended first, the largest first.
func (d *DB) IncomeStreams(ctx context.Context, customer string) ([]IncomeStream, error) {
	return all[IncomeStream](ctx, d, sqlIncomeStreams, params{"customer_id": customer})
}

const sqlCustomerCollections = `SELECT ` + collectionColumns + `
FROM
(
    SELECT * FROM collections_log
    WHERE tenant_id = {tenant:String} AND collection_id IN
        (
            SELECT collection_id FROM collections_log
            WHERE tenant_id = {tenant:String} AND customer_id = {customer_id:String}
        )
    ORDER BY period_month, collection_id, version DESC
    LIMIT 1 BY period_month, collection_id
)
WHERE customer_id = {customer_id:String} AND collection_status != 'VOIDED'
ORDER BY period_month DESC, policy_number
LIMIT {limit:UInt32}`

// CustomerCollections are a customer's, the latest period first.
func (d *DB) CustomerCollections(ctx context.Context, customer string, limit int) ([]Collection, error) {
	return all[Collection](ctx, d, sqlCustomerCollections, params{"customer_id": customer, "limit": limit})
}
