package read

import (
	"context"
	"time"

	"github.com/kasi-collections/kasi/schemas"
)

// Delivery is how a webhook's delivery stands. NextAttemptAt is empty where it is not tried again.
type Delivery struct {
	ID                   string
	Type                 schemas.WebhookType
	ObjectID             string
	Status               schemas.DeliveryStatus
	Attempts, StatusCode uint32
	Error, NextAttemptAt string
	Payload              string
	Created, At          time.Time
}

// The changes of a webhook's deliveries lie on one partition, so the latest offset is how a delivery stands.
const deliveryColumns = `toString(delivery_id) AS id, any(event_type), any(object_id),
    argMax(status, src_offset) AS stands, argMax(attempts, src_offset), argMax(status_code, src_offset),
    argMax(error, src_offset), argMax(next_attempt_at, src_offset), argMaxIf(payload, src_offset, notEmpty(payload)),
    min(since) AS created, argMax(at, src_offset)`

const sqlDeliveryList = `SELECT ` + deliveryColumns + `
FROM webhook_deliveries_log
WHERE tenant_id = {tenant:String} AND webhook_id = {id:UUID}
    AND (empty({type:String}) OR event_type = {type:String})
    AND (empty({object:String}) OR object_id = {object:String})
GROUP BY delivery_id
HAVING (empty({status:String}) OR stands = {status:String})
    AND (empty({after_created:String})
        OR (-toUnixTimestamp64Milli(created), id) > (-toInt64OrZero({after_created:String}), {after_id:String}))
ORDER BY created DESC, id
LIMIT {limit:UInt32}`

// DeliveryPage is the part of a webhook's deliveries that is wanted.
type DeliveryPage struct {
	Page
	Webhook, Type, Object string
}

// Deliveries are a page of a webhook's deliveries, the newest first.
func (d *DB) Deliveries(ctx context.Context, p DeliveryPage) ([]Delivery, error) {
	args := d.page(p.Page, "after_created", "after_id")
	args["id"], args["type"], args["object"] = p.Webhook, p.Type, p.Object
	return all[Delivery](ctx, d, sqlDeliveryList, args)
}

const sqlDeliveryByID = `SELECT ` + deliveryColumns + `
FROM webhook_deliveries_log
WHERE tenant_id = {tenant:String} AND webhook_id = {id:UUID} AND delivery_id = {delivery:UUID}
GROUP BY delivery_id`

// Delivery is a delivery of a webhook by its id.
func (d *DB) Delivery(ctx context.Context, webhook, id string) (Delivery, bool, error) {
	return one[Delivery](ctx, d, sqlDeliveryByID, params{"id": webhook, "delivery": id})
}
