package schemas

import "time"

// WebhookType names what a webhook can hear of (CONTRACT 3.3).
type WebhookType string

// The types of webhook events.
const (
	WebhookPaid               WebhookType = "collection.paid"
	WebhookFailed             WebhookType = "collection.failed"
	WebhookStopped            WebhookType = "collection.stopped"
	WebhookOnHold             WebhookType = "policy.on_hold"
	WebhookImported           WebhookType = "import.completed"
	WebhookExecuted           WebhookType = "execution.completed"
	WebhookSettled            WebhookType = "settlement.created"
	WebhookSettlementPaid     WebhookType = "settlement.paid"
	WebhookSettlementDisputed WebhookType = "settlement.disputed"
)

// WebhookTypes are all of them.
var WebhookTypes = []WebhookType{
	WebhookPaid, WebhookFailed, WebhookStopped, WebhookOnHold, WebhookImported, WebhookExecuted, WebhookSettled,
	WebhookSettlementPaid, WebhookSettlementDisputed,
}

// Webhook is where a tenant wants to be told of events. The last record of its id on kasi.webhooks.v1 is the webhook as
// it is. One that was deleted keeps its record, so that the topic's last record is never compacted away.
type Webhook struct {
	ID       string        `json:"webhook_id"`
	TenantID string        `json:"tenant_id"`
	URL      string        `json:"url"`
	Events   []WebhookType `json:"events"`
	// Secrets sign what is sent, the newest first. They are sealed: nobody reads them off the topic.
	Secrets   []WebhookSecret `json:"secrets"`
	CreatedAt time.Time       `json:"created_at"`
	UpdatedAt time.Time       `json:"updated_at"`
	Deleted   bool            `json:"deleted,omitempty"`
	// From holds, for each topic, the offset of each partition from which on its events are told: a webhook hears of
	// nothing that happened before it was made, whoever reads a topic again.
	From map[string][]int64 `json:"from"`
}

// WebhookSecret is a secret that signs until an instant; a zero one has no end.
type WebhookSecret struct {
	Sealed []byte    `json:"sealed"`
	Until  time.Time `json:"until,omitzero"`
}

// WebhookSources are the topics of which webhooks are told.
func WebhookSources() []string {
	return []string{
		TopicCollections, TopicDecisions, TopicExecutions, TopicImports, TopicPolicies, TopicSettlements,
	}
}

// WebhookDeliveryID is made of the webhook and the event, so an event has one id however often it is told.
func WebhookDeliveryID(webhookID, eventID string, t WebhookType) string {
	return FactID("webhook", webhookID, eventID, string(t))
}

// DeliveryStatus is how a delivery stands.
type DeliveryStatus string

// The statuses of deliveries.
const (
	DeliveryPending   DeliveryStatus = "pending"
	DeliveryRetrying  DeliveryStatus = "retrying"
	DeliveryDelivered DeliveryStatus = "delivered"
	DeliveryFailed    DeliveryStatus = "failed"
)

// WebhookDelivery is the delivery of an event to a webhook after a change. The latest offset is the delivery as it is:
// all changes lie on one partition. The first, and one that was asked for again, has the payload.
//
//catalog:row TopicWebhookDeliveries
//catalog:table webhook_deliveries_log tenant_id, webhook_id, delivery_id, src_offset
type WebhookDelivery struct {
	// Made of the webhook and the event; what is sent as webhook-id.
	DeliveryID string `json:"delivery_id" cat:"uuid"`
	// The insurer.
	TenantID string `json:"tenant_id" cat:"low"`
	// The webhook.
	WebhookID string `json:"webhook_id" cat:"uuid"`
	// What happened, such as collection.paid.
	Type WebhookType `json:"type" cat:"col=event_type"`
	// The collection, policy, import, execution or settlement it happened to.
	ObjectID string `json:"object_id"`
	// How the delivery stands.
	Status DeliveryStatus `json:"status"`
	// Requests made since it was asked for.
	Attempts int `json:"attempts" cat:"min=0"`
	// HTTP status of the last answer; 0 where none came.
	StatusCode int `json:"status_code,omitempty" cat:"min=0"`
	// Why the last attempt failed; empty where it did not.
	Error string `json:"error,omitempty"`
	// When it is tried next, RFC 3339; empty where it is not known or not tried again.
	NextAttemptAt string `json:"next_attempt_at,omitempty"`
	// What is sent, a JSON text.
	Payload string `json:"payload,omitempty"`
	// When the delivery was asked for, UTC.
	Since time.Time `json:"since"`
	// When the change was made, UTC.
	At time.Time `json:"at"`
}
