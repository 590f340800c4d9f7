package read

import (
	"context"
	"time"

	"github.com/kasi-collections/kasi/schemas"
)

const itemColumns = `item_id, kind, state, period_month, customer_id, policy_number, toString(collection_id), debit_id,
    amount_cents, said_cents, toString(action_date), toString(since), result_id, note, version, at,
    toString(business_date)`

// OpenItem is one version of an open item. SaidCents is 0 where the bank named no other amount.
type OpenItem struct {
	ID                                              string
	Kind                                            schemas.OpenItemKind
	State                                           schemas.OpenItemState
	Period                                          schemas.Period
	CustomerID, PolicyNumber, CollectionID, DebitID string
	AmountCents, SaidCents                          schemas.Cents
	ActionDate, Since                               string
	ResultID, Note                                  string
	Version                                         int64
	At                                              time.Time
	BusinessDate                                    string
}

const sqlItemList = `SELECT ` + itemColumns + `
FROM
(
    SELECT * FROM open_items_log
    WHERE tenant_id = {tenant:String} AND (empty({after:String}) OR item_id > toUUIDOrZero({after:String}))
        AND (empty({policy_number:String}) OR policy_number = {policy_number:String})
        AND (empty({customer_id:String}) OR customer_id = {customer_id:String})
        AND (empty({period:String}) OR period_month = {period:String})
    ORDER BY item_id, version DESC
    LIMIT 1 BY item_id
)
WHERE empty({status:String}) OR state = {status:String}
ORDER BY item_id
LIMIT {limit:UInt32}`

// OpenItems are a page of the open items in the order of their ids.
func (d *DB) OpenItems(ctx context.Context, p Page) ([]OpenItem, error) {
	return all[OpenItem](ctx, d, sqlItemList, d.page(p, "after"))
}

const sqlItemByID = `SELECT ` + itemColumns + `
FROM open_items_log
WHERE tenant_id = {tenant:String} AND item_id = {id:UUID}
ORDER BY version DESC
LIMIT 1`

// OpenItem is the latest version of an open item.
func (d *DB) OpenItem(ctx context.Context, id string) (OpenItem, bool, error) {
	return one[OpenItem](ctx, d, sqlItemByID, params{"id": id})
}
