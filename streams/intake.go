package streams

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/processors/feeds"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/letters"
	"github.com/kasi-collections/kasi/streams/stage"
)

func openFeeds(context.Context, stage.Config, Needs) (stage.Task, stage.Memory) {
	return feedTask{}, nil
}

// feedTask is the feed half of intake: without state, it validates what comes from outside and passes it on to the
// customer's timeline under our own key and partitioner, the value byte for byte.
type feedTask struct{}

// Take implements stage.Task.
func (feedTask) Take(b *stage.Batch, rec *kgo.Record) error {
	kind, key, hash, err := route(rec)
	if err != nil {
		return err
	}
	b.Route(schemas.TopicTimeline, kind, hash, key, rec.Value, rec.Timestamp, letters.OriginHeader(rec))
	return nil
}

// route validates an outside record and says where on the timeline it belongs.
func route(rec *kgo.Record) (kind schemas.Kind, key string, hash uint32, err error) {
	if letters.TooLarge(rec) {
		return "", "", 0, schemas.Refuse(schemas.RejectTooLarge,
			fmt.Sprintf("the record has more than %d bytes", letters.LargestValue))
	}
	switch rec.Topic {
	case schemas.TopicFeedTransactions:
		tx, err := feeds.Transaction(rec.Value)
		key := schemas.CustomerKey(tx.TenantID, tx.CustomerID)
		return schemas.KindTransaction, key, schemas.RoutingHash(key), err
	case schemas.TopicFeedIncomes:
		in, err := feeds.Income(rec.Value)
		key := schemas.CustomerKey(in.TenantID, in.CustomerID)
		return schemas.KindIncome, key, schemas.RoutingHash(key), err
	case schemas.TopicRailResults:
		res, err := feeds.Result(rec.Value)
		if err != nil {
			return "", "", 0, err
		}
		hash, err := schemas.DebitRoute(res.DebitID)
		if err != nil {
			return "", "", 0, schemas.Refuse(schemas.RejectUnknownDebit, err.Error())
		}
		return schemas.KindResult, res.DebitID, hash, nil
	}
	return "", "", 0, stage.Fatal(fmt.Errorf("intake read topic %s, which it has no decoder for", rec.Topic))
}

// owner is the state of one policy number. The first customer to claim a number keeps it for good, also after a
// cancellation: the policy's id is made of the number alone, so a second owner would write over the first one's
// history.
type owner struct {
	CustomerID string `json:"customer_id"`
}

// ownerTask is the command half of intake: it decides whose a policy number is, which no customer's partition can, and
// passes the command on to that customer's timeline.
type ownerTask struct{ *stage.Store[owner] }

func openOwners(context.Context, stage.Config, Needs) (stage.Task, stage.Memory) {
	s := stage.NewStore(stage.JSONCodec(func(o *owner) *owner { return new(*o) }))
	return ownerTask{s}, s
}

// Take implements stage.Task.
func (t ownerTask) Take(b *stage.Batch, rec *kgo.Record) error {
	if kindOf(rec) != schemas.KindPolicy {
		return schemas.Refuse(letters.ClassUnknownKind, "a record of the policy commands needs header kasi.kind = policy")
	}
	cmd, err := readOwn(rec.Value, "command", checkPolicy)
	if err != nil {
		return err
	}
	key := schemas.CustomerKey(cmd.TenantID, cmd.PolicyNumber)
	if err := checkPlace(b, rec, key); err != nil {
		return err
	}
	value := rec.Value
	now, known := t.View(key)
	switch {
	case cmd.Action == schemas.PolicyPatch && !known:
		return t.answer(b, rec, cmd, key, schemas.OutcomeNotFound, "no policy has this number")
	case cmd.Action == schemas.PolicyPatch:
		cmd.CustomerID = now.CustomerID
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
		PolicyNumber: cmd.PolicyNumber, Stage: b.Row.Name,
	}
	if code == schemas.OutcomeConflict {
		ev.ObjectID = schemas.PolicyID(cmd.TenantID, cmd.PolicyNumber)
	}
	ev.EventID = outcomeID(&ev, rec.Timestamp)
	return b.Event(schemas.TopicOutcomes, key, &ev, rec.Timestamp)
}

// checkPolicy keeps out what a later stage would have to guess about.
func checkPolicy(cmd schemas.PolicyCommand) error {
	switch {
	case cmd.TenantID == "" || cmd.PolicyNumber == "":
		return badCommand("tenant_id and policy_number are required")
	case cmd.Action == schemas.PolicyPatch:
		return nil
	case cmd.Action != schemas.PolicyCreate && cmd.Action != schemas.PolicyImport:
		return badCommand("action is none of CREATE, IMPORT, PATCH")
	case cmd.CustomerID == "" || cmd.Terms == nil:
		return badCommand("customer_id and terms are required")
	}
	return nil
}
