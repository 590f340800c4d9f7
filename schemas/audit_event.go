package schemas

// AuditEvent is one call of the API that changes something, or would have: when, with which key, from where, what, and
// what came of it. It holds ids only.
//
//catalog:event TopicAudit
//catalog:table audit_log tenant_id, at, request_id
//catalog:nullable business_date
type AuditEvent struct {
	Meta
	// The insurer; empty where no good key was given.
	TenantID string `json:"tenant_id,omitempty" cat:"low"`
	// The call.
	RequestID string `json:"request_id"`
	// The key's id; empty where no good one was given.
	KeyID string `json:"key_id,omitempty" cat:"low"`
	// The caller's address.
	Address string `json:"address,omitempty"`
	// HTTP method.
	Method string `json:"method" cat:"low"`
	// The route, such as /v1/policies/{id}.
	Route string `json:"route,omitempty" cat:"low"`
	// The id in the path, where there is one.
	ObjectID string `json:"object_id,omitempty"`
	// HTTP status of the answer.
	Status int `json:"status" cat:"min=1"`
	// OK, or the code of the error.
	Outcome string `json:"outcome" cat:"low"`
	// The answer is the first one again, by Idempotency-Key; absent means false.
	Replayed bool `json:"replayed,omitempty"`
}
