package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/processors/feeds"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/letters"
	"github.com/kasi-collections/kasi/streams/stage"
)

func openFeeds(ctx context.Context, _ stage.Config, n Needs) (stage.Task, stage.Memory) {
	return &feedTask{ctx: ctx, tenants: n.tenants}, nil
}

// feedTask is the feed half of intake: without state, it validates what comes from outside and passes it on to the
// customer's timeline as an event of ours, under our own key and partitioner. The outsider's record stays on its topic;
// headers say where.
type feedTask struct {
	ctx     context.Context // ends the waiting for the tenants
	reader  feeds.Reader
	tenants tenantList
	looked  bool // in this batch
}

// tenantList is what feedTask knows of the tenants: *tenants.Registry.
type tenantList interface {
	Has(tenant string) bool
	Refresh(ctx context.Context) error
}

// Begin implements stage.Beginner.
func (t *feedTask) Begin() { t.looked = false }

// Take implements stage.Task. One record may hold many entries, of which each is accepted or refused by itself.
func (t *feedTask) Take(b *stage.Batch, rec *kgo.Record) error {
	if letters.TooLarge(rec) {
		return schemas.Refuse(schemas.RejectTooLarge,
			fmt.Sprintf("the record has more than %d bytes", letters.LargestValue))
	}
	return t.reader.Read(rec.Topic, rec.Value, func(e *feeds.Entry) error {
		err := e.Err
		if err == nil {
			err = t.pass(b, rec, e)
		}
		if why := (*schemas.Reject)(nil); e.No > 0 && errors.As(err, &why) {
			b.RejectEntry(rec, e.No, e.Text(), why)
			return nil
		}
		return err
	})
}

// pass writes an entry's event where it belongs: on the timeline, or among the settlement commands.
func (t *feedTask) pass(b *stage.Batch, rec *kgo.Record, e *feeds.Entry) error {
	var kind schemas.Kind
	var tenant, key string
	var hash uint32
	to := schemas.TopicTimeline
	switch ev := e.Event.(type) {
	case *schemas.Transaction:
		kind, tenant, key = schemas.KindTransaction, ev.TenantID, schemas.CustomerKey(ev.TenantID, ev.CustomerID)
		hash = schemas.RoutingHash(key)
	case *schemas.Income:
		kind, tenant, key = schemas.KindIncome, ev.TenantID, schemas.CustomerKey(ev.TenantID, ev.CustomerID)
		hash = schemas.RoutingHash(key)
	case *schemas.Result:
		kind, key = schemas.KindResult, ev.DebitID
		var err error
		if hash, err = schemas.DebitRoute(key); err != nil {
			return schemas.Refuse(schemas.RejectUnknownDebit, err.Error())
		}
	case *schemas.PayoutResult:
		to, kind, key = schemas.TopicSettlementCommands, schemas.KindPayout, ev.PayoutID
		var err error
		if hash, err = schemas.PayoutRoute(key); err != nil {
			return schemas.Refuse(schemas.RejectUnknownPayout, err.Error())
		}
	}
	if known, err := t.known(tenant); err != nil {
		return err
	} else if !known {
		return schemas.Refuse(schemas.RejectUnknownTenant, "tenant_id names no tenant; `kasi tenants create` makes one")
	}
	value, err := b.Own(e.Event)
	if err != nil {
		return err
	}
	b.Route(to, kind, hash, key, value, rec.Timestamp, letters.OriginHeaders(rec, e.No, value)...)
	return nil
}

// known tells whether a tenant is one of ours. Before it says no it reads the tenants up to their end, once a batch:
// the records of a batch were there before it began, so a tenant made before its first record is found.
func (t *feedTask) known(tenant string) (bool, error) {
	if tenant == "" || t.tenants.Has(tenant) {
		return true, nil
	}
	if t.looked {
		return false, nil
	}
	if err := t.tenants.Refresh(t.ctx); err != nil {
		return false, err
	}
	t.looked = true
	return t.tenants.Has(tenant), nil
}

// owner is the state of one policy number. The first customer to claim a number keeps it, also after a cancellation:
// the policy's id is made of the number alone, so a second owner would write over the first one's history. Only a move
// gives it to another customer, and the history goes on.
type owner struct {
	CustomerID string `json:"customer_id"`
	// Moving is the request by which the policy is on its way to another customer; empty where it is not.
	Moving string `json:"moving,omitempty"`
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
	switch kindOf(rec) {
	case schemas.KindPolicy:
	case schemas.KindMove:
		return t.moved(b, rec)
	case schemas.KindImport:
		return t.importEntry(b, rec)
	case schemas.KindAudit:
		return audit(b, rec)
	default:
		return schemas.Refuse(letters.ClassUnknownKind,
			"a record of the policy commands needs header kasi.kind = policy, move, import or audit")
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
	patch, moving := cmd.Action == schemas.PolicyPatch, known && now.Moving != ""
	switch {
	case moving && patch && now.Moving == cmd.RequestID:
		return nil // the same call again: one answer is on its way to both
	case moving:
		return t.answer(b, rec, cmd, key, schemas.OutcomeConflict,
			"the policy is being moved to another customer; try again in a moment")
	case patch && known && cmd.CustomerID != "" && cmd.CustomerID != now.CustomerID:
		t.Edit(key).Moving = cmd.RequestID
		move := schemas.MoveCommand{PolicyCommand: cmd, From: now.CustomerID}
		return passMove(b, schemas.TopicTimeline, move.From, &move, rec.Timestamp)
	case patch && !known:
		return t.answer(b, rec, cmd, key, schemas.OutcomeNotFound, "no policy has this number")
	case patch:
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

// moved takes in the answer of the customer that a moving policy belonged to. The policy is the other customer's from
// here on, or stays. An answer that nobody waits for changes nothing: it came before, or a replay wrote it again.
func (t ownerTask) moved(b *stage.Batch, rec *kgo.Record) error {
	cmd, err := readOwn(rec.Value, "answer to a move", func(cmd schemas.MoveCommand) error {
		if cmd.Refused == (cmd.Moved != nil) {
			return badCommand("either refused or moved is required")
		}
		return checkMove(cmd)
	})
	if err != nil {
		return err
	}
	key := schemas.CustomerKey(cmd.TenantID, cmd.PolicyNumber)
	if err := checkPlace(b, rec, key); err != nil {
		return err
	}
	if now, known := t.View(key); !known || now.Moving != cmd.RequestID || now.CustomerID != cmd.From {
		return nil
	}
	o := t.Edit(key)
	o.Moving = ""
	if cmd.Refused {
		return nil
	}
	o.CustomerID = cmd.CustomerID
	return passMove(b, schemas.TopicTimeline, cmd.CustomerID, &cmd, rec.Timestamp)
}

// audit makes an event of what the API says of a call.
func audit(b *stage.Batch, rec *kgo.Record) error {
	ev, err := readOwn(rec.Value, "record of a call", func(ev schemas.AuditEvent) error {
		if ev.RequestID == "" || ev.Method == "" || ev.Status < 1 || ev.Outcome == "" {
			return badCommand("request_id, method, status and outcome are required")
		}
		return nil
	})
	if err != nil {
		return err
	}
	ev.Meta = schemas.Meta{At: rec.Timestamp.UTC(), EventID: schemas.FactID("audit", ev.RequestID)}
	return b.Event(schemas.TopicAudit, ev.TenantID, &ev, rec.Timestamp)
}

// importEntry makes an event of an entry of an import.
func (t ownerTask) importEntry(b *stage.Batch, rec *kgo.Record) error {
	e, err := readOwn(rec.Value, "entry of an import", func(e schemas.ImportEntry) error {
		if e.TenantID == "" || e.ImportID == "" || e.No < 1 || e.Kind == "" {
			return badCommand("tenant_id, import_id, no and kind are required")
		}
		return nil
	})
	if err != nil {
		return err
	}
	ev := schemas.ImportEvent{Meta: schemas.Meta{At: rec.Timestamp.UTC()}, ImportEntry: e}
	ev.EventID = schemas.FactID("import", e.TenantID, e.ImportID, strconv.FormatInt(e.No, 10),
		strconv.FormatInt(rec.Timestamp.UnixNano(), 10))
	return b.Event(schemas.TopicImports, e.ImportID, &ev, rec.Timestamp)
}

// answer emits the outcome of a command that does not reach a customer.
func (t ownerTask) answer(b *stage.Batch, rec *kgo.Record, cmd schemas.PolicyCommand, key, code, message string) error {
	ev := schemas.OutcomeEvent{
		Meta:      schemas.Meta{At: rec.Timestamp.UTC()},
		RequestID: cmd.RequestID, TenantID: cmd.TenantID, Row: cmd.Row, Line: cmd.Line, Code: code,
		Message:      message,
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
	case cmd.Action == schemas.PolicyPatch && cmd.CustomerID != "" && cmd.RequestID == "":
		return badCommand("request_id is required")
	case cmd.Action == schemas.PolicyPatch:
		return nil
	case cmd.Action != schemas.PolicyCreate && cmd.Action != schemas.PolicyImport:
		return badCommand("action is none of CREATE, IMPORT, PATCH")
	case cmd.CustomerID == "" || cmd.Terms == nil:
		return badCommand("customer_id and terms are required")
	}
	return nil
}
