package streams

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// intakeStage is how outcomes name this stage (schemas.OutcomeEvent.Stage).
const intakeStage = "intake"

// owner is the state of one policy number. The first customer to claim a number keeps it for good, also after a
// cancellation: the policy's id is made of the number alone, so a second owner would write over the first one's
// history.
type owner struct {
	CustomerID string `json:"customer_id"`
}

// ownerTask is the command half of intake: it decides whose a policy number is, which no customer's partition can, and
// passes the command on to that customer's timeline.
type ownerTask struct{ *store[*owner] }

func newOwnerTask(int32, int32) (task, memory) {
	s := newStore(jsonCodec(func(o *owner) *owner { c := *o; return &c }))
	return ownerTask{s}, s
}

// take implements task.
func (t ownerTask) take(b *batch, rec *kgo.Record) error {
	var cmd schemas.PolicyCommand
	if kind := kindOf(rec); kind != schemas.KindPolicy {
		b.reject(rec, schemas.Refuse(ClassUnknownKind,
			"a record of the policy commands needs header kasi.kind = policy"))
		return nil
	}
	if why := readCommand(rec.Value, &cmd); why != nil {
		b.reject(rec, why)
		return nil
	}
	if why := checkPolicy(cmd); why != nil {
		b.reject(rec, why)
		return nil
	}
	key := schemas.CustomerKey(cmd.TenantID, cmd.PolicyNumber)
	if schemas.PartitionOf(schemas.RoutingHash(key), b.count) != rec.Partition {
		b.reject(rec, wrongPartition())
		return nil
	}
	value := rec.Value
	now, known := t.view(key)
	switch {
	case cmd.Action == schemas.PolicyPatch && !known:
		return t.answer(b, rec, cmd, key, schemas.OutcomeNotFound, "no policy has this number")
	case cmd.Action == schemas.PolicyPatch:
		cmd.CustomerID = now.CustomerID
		var err error
		if value, err = json.Marshal(cmd); err != nil {
			return bug(err)
		}
	case known && now.CustomerID != cmd.CustomerID:
		return t.answer(b, rec, cmd, key, schemas.OutcomeConflict, "the policy number belongs to another customer")
	case !known:
		t.edit(key).CustomerID = cmd.CustomerID
	}
	customer := schemas.CustomerKey(cmd.TenantID, cmd.CustomerID)
	b.timeline(schemas.KindPolicy, schemas.RoutingHash(customer), customer, value, rec.Timestamp)
	return nil
}

// answer emits the outcome of a command that does not reach a customer.
func (t ownerTask) answer(b *batch, rec *kgo.Record, cmd schemas.PolicyCommand, key, code, message string) error {
	ev := schemas.OutcomeEvent{
		Meta:      schemas.Meta{At: rec.Timestamp.UTC()},
		RequestID: cmd.RequestID, TenantID: cmd.TenantID, Row: cmd.Row, Code: code, Message: message,
		PolicyNumber: cmd.PolicyNumber,
		Stage:        intakeStage,
	}
	if code == schemas.OutcomeConflict {
		ev.ObjectID = schemas.PolicyID(cmd.TenantID, cmd.PolicyNumber)
	}
	ev.EventID = outcomeID(&ev, rec.Timestamp)
	return event(b, schemas.TopicOutcomes, key, &ev, &ev.Meta, rec.Timestamp)
}

// outcomeID names an answer. A command that is delivered again is another record and gets another answer, so the
// record's instant is part of it: two answers of one id would be one row in ClickHouse, with a gap in the sequence.
func outcomeID(o *schemas.OutcomeEvent, at time.Time) string {
	return schemas.FactID("outcome", o.Stage, o.TenantID, o.RequestID, strconv.Itoa(o.Row), o.Code,
		strconv.FormatInt(at.UnixNano(), 10))
}

// readCommand reads a command that our own API wrote. A record that it cannot have written becomes a dead letter.
func readCommand(value []byte, cmd any) *schemas.Reject {
	if err := json.Unmarshal(value, cmd); err != nil {
		return schemas.Refuse(ClassBadCommand, "the command is not JSON of its type")
	}
	return nil
}

// checkPolicy keeps out what a later stage would have to guess about.
func checkPolicy(cmd schemas.PolicyCommand) *schemas.Reject {
	bad := func(m string) *schemas.Reject { return schemas.Refuse(ClassBadCommand, m) }
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

func wrongPartition() *schemas.Reject {
	return schemas.Refuse(ClassWrongPartition,
		"the record's key belongs to another partition; was the topic's partition count changed?")
}
