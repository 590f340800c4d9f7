package streams

import (
	"context"
	"encoding/json"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/letters"
	"github.com/kasi-collections/kasi/streams/stage"
)

// owner is the state of one policy number. The first customer to claim a number keeps it for good, also after a
// cancellation: the policy's id is made of the number alone, so a second owner would write over the first one's
// history.
type owner struct {
	CustomerID string `json:"customer_id"`
}

// ownerTask is the command half of intake: it decides whose a policy number is, which no customer's partition can, and
// passes the command on to that customer's timeline.
type ownerTask struct{ *stage.Store[*owner] }

func openOwners(context.Context, stage.Config, Needs) stage.Open {
	return func(int32, int32) (stage.Task, stage.Memory) {
		s := stage.NewStore(stage.JSONCodec(func(o *owner) *owner { c := *o; return &c }))
		return ownerTask{s}, s
	}
}

// Take implements stage.Task.
func (t ownerTask) Take(b *stage.Batch, rec *kgo.Record) error {
	var cmd schemas.PolicyCommand
	if kind := kindOf(rec); kind != schemas.KindPolicy {
		b.Reject(rec, schemas.Refuse(letters.ClassUnknownKind,
			"a record of the policy commands needs header kasi.kind = policy"))
		return nil
	}
	if why := readOwn(rec.Value, &cmd, "command"); why != nil {
		b.Reject(rec, why)
		return nil
	}
	if why := checkPolicy(cmd); why != nil {
		b.Reject(rec, why)
		return nil
	}
	key := schemas.CustomerKey(cmd.TenantID, cmd.PolicyNumber)
	if schemas.PartitionOf(schemas.RoutingHash(key), b.Count) != rec.Partition {
		b.Reject(rec, wrongPartition())
		return nil
	}
	value := rec.Value
	now, known := t.View(key)
	switch {
	case cmd.Action == schemas.PolicyPatch && !known:
		return t.answer(b, rec, cmd, key, schemas.OutcomeNotFound, "no policy has this number")
	case cmd.Action == schemas.PolicyPatch:
		cmd.CustomerID = now.CustomerID
		var err error
		if value, err = json.Marshal(cmd); err != nil {
			return stage.Fatal(err)
		}
	case known && now.CustomerID != cmd.CustomerID:
		return t.answer(b, rec, cmd, key, schemas.OutcomeConflict, "the policy number belongs to another customer")
	case !known:
		t.Edit(key).CustomerID = cmd.CustomerID
	}
	customer := schemas.CustomerKey(cmd.TenantID, cmd.CustomerID)
	b.Route(schemas.TopicTimeline, schemas.KindPolicy, schemas.RoutingHash(customer), customer, value, rec.Timestamp)
	return nil
}

// answer emits the outcome of a command that does not reach a customer.
func (t ownerTask) answer(b *stage.Batch, rec *kgo.Record, cmd schemas.PolicyCommand, key, code, message string) error {
	ev := schemas.OutcomeEvent{
		Meta:      schemas.Meta{At: rec.Timestamp.UTC()},
		RequestID: cmd.RequestID, TenantID: cmd.TenantID, Row: cmd.Row, Code: code, Message: message,
		PolicyNumber: cmd.PolicyNumber,
		Stage:        b.Row.Name,
	}
	if code == schemas.OutcomeConflict {
		ev.ObjectID = schemas.PolicyID(cmd.TenantID, cmd.PolicyNumber)
	}
	ev.EventID = outcomeID(&ev, rec.Timestamp)
	return b.Event(schemas.TopicOutcomes, key, &ev, rec.Timestamp)
}

// checkPolicy keeps out what a later stage would have to guess about.
func checkPolicy(cmd schemas.PolicyCommand) *schemas.Reject {
	bad := func(m string) *schemas.Reject { return schemas.Refuse(letters.ClassBadCommand, m) }
	switch {
	case cmd.TenantID == "" || cmd.PolicyNumber == "":
		return bad("tenant_id and policy_number are required")
	case cmd.Action == schemas.PolicyPatch:
		return nil
	case cmd.Action != schemas.PolicyCreate && cmd.Action != schemas.PolicyImport:
		return bad("action is none of CREATE, IMPORT, PATCH")
	case cmd.CustomerID == "" || cmd.Terms == nil:
		return bad("customer_id and terms are required")
	}
	return nil
}
