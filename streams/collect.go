package streams

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tidwall/btree"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/processors/feeds"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/letters"
	"github.com/kasi-collections/kasi/streams/stage"
)

// collectTask applies one partition of the timeline to the states of its customers.
type collectTask struct {
	*stage.Store[book.Customer]
	engine *processors.Engine
	rules  tenantRules
	debits map[string]string   // committed: debit id -> customer key; a bank's answer holds nothing else
	fresh  map[string]string   // the open batch's additions to debits
	awake  map[string]struct{} // committed customers that need the next tick
	known  btree.Set[string]   // committed customers in the order of their keys: a tenant's are beside each other
	routes map[uint32][]string // committed customers by routing hash, once an answer has asked for it
	out    book.Outputs
	// due are the customers of the tick that is worked on in slices. Those behind the latest slice are the same whenever
	// it is asked, since no other record comes between. So a slice that was dropped leaves a list that is still right.
	due []string
	tx  schemas.Transaction // the latest one: the engine takes a pointer, and a variable for each would be garbage

	lastTick schemas.Tick // the tick that last was read as
	last     schemas.Moment
}

func openCollect(_ context.Context, _ stage.Config, n Needs) (stage.Task, stage.Memory) {
	t := &collectTask{
		engine: n.Engine, rules: tenantRules{general: n.Engine.Rules()},
		debits: map[string]string{}, fresh: map[string]string{}, awake: map[string]struct{}{},
	}
	t.last, _ = momentOf(t.lastTick, time.Time{}) // no tick is no date that could be wrong
	t.Store = NewCustomers()
	t.Merged = t.index
	return t, t.Store
}

// NewCustomers makes the empty state of a partition of collect.
func NewCustomers() *stage.Store[book.Customer] {
	return stage.NewStore(stage.Codec[book.Customer]{
		Clone: (*book.Customer).Clone, Changed: book.Changed, Append: book.AppendRow, Load: book.LoadRow,
	})
}

// index keeps the committed debit index and the waking list in step with the committed states. The debit index saves
// time only: who is not in it is found by the debit's route (ofOld). fresh is cleared where the batch ends.
func (t *collectTask) index(key string, before, after *book.Customer) {
	after.DebitsSince(before, func(id string, now bool) {
		if now {
			t.debits[id] = key
		} else {
			delete(t.debits, id)
		}
	})
	if before == nil {
		t.known.Insert(key)
		t.route(key)
	}
	if after.NeedsTick() {
		t.awake[key] = struct{}{}
	} else {
		delete(t.awake, key)
	}
}

// Begin implements stage.Beginner: additions of a batch that was dropped must not outlive it.
func (t *collectTask) Begin() { clear(t.fresh) }

// Take implements stage.Task.
func (t *collectTask) Take(b *stage.Batch, rec *kgo.Record) error {
	switch kindOf(rec) {
	case schemas.KindTick:
		return stage.ForAll(func() error { return t.tick(b, rec) })
	case schemas.KindTenant:
		return takeSettings(b, rec)
	case schemas.KindTransaction:
		tx, err := feeds.Transaction(rec.Value)
		t.tx = tx
		return t.applyTo(b, rec, tx.TenantID, tx.CustomerID, &t.tx, err)
	case schemas.KindIncome:
		in, err := feeds.Income(rec.Value)
		return t.applyTo(b, rec, in.TenantID, in.CustomerID, &in, err)
	case schemas.KindResult:
		return t.result(b, rec)
	case schemas.KindPolicy:
		cmd, err := readOwn(rec.Value, "command", checkPolicy)
		return t.applyTo(b, rec, cmd.TenantID, cmd.CustomerID, &cmd, cmp.Or(err, checkCustomer(cmd.CustomerID)))
	case schemas.KindMove:
		cmd, err := readOwn(rec.Value, "move", checkMove)
		return t.applyTo(b, rec, cmd.TenantID, cmd.At(), &cmd, err)
	case schemas.KindExecution:
		return stage.ForAll(func() error { return t.execution(b, rec) })
	case schemas.KindExecute:
		cmd, err := readOwn(rec.Value, "command", checkExecute)
		return t.applyTo(b, rec, cmd.TenantID, cmd.CustomerID, &cmd, cmp.Or(err, checkCustomer(cmd.CustomerID)))
	case schemas.KindCloseItem:
		cmd, err := readOwn(rec.Value, "command", checkCloseItem)
		return t.applyTo(b, rec, cmd.TenantID, cmd.CustomerID, &cmd, cmp.Or(err, checkCustomer(cmd.CustomerID)))
	}
	return schemas.Refuse(letters.ClassUnknownKind, "header kasi.kind is missing or names nothing the timeline holds")
}

// result finds the customer whose debit a bank's answer is about.
func (t *collectTask) result(b *stage.Batch, rec *kgo.Record) error {
	res, err := feeds.Result(rec.Value)
	if err != nil {
		return err
	}
	key, ok := t.fresh[res.DebitID]
	if !ok {
		key, ok = t.debits[res.DebitID]
	}
	if !ok {
		if key, ok = t.ofOld(res.DebitID); !ok {
			return schemas.Refuse(schemas.RejectUnknownDebit, "no debit of ours has this debit_id")
		}
	}
	return t.apply(b, rec, key, &res)
}

// ofOld finds the customer of a debit that is in no index, because it was settled long ago. Its id begins with the
// customer's routing hash, and the customer knows it.
func (t *collectTask) ofOld(debit string) (key string, found bool) {
	if t.routes == nil {
		t.routes = make(map[uint32][]string, t.known.Len())
		t.known.Scan(func(key string) bool { t.route(key); return true })
	}
	hash, err := schemas.DebitRoute(debit)
	if err != nil {
		return "", false
	}
	for _, key := range t.routes[hash] {
		if c, known := t.View(key); known && c.Knows(debit) {
			return key, true
		}
	}
	return "", false
}

// route notes a committed customer, where routes are asked for.
func (t *collectTask) route(key string) {
	if t.routes != nil {
		hash := schemas.RoutingHash(key)
		t.routes[hash] = append(t.routes[hash], key)
	}
}

func checkCustomer(id string) error {
	if id == "" {
		return badCommand("customer_id is required")
	}
	return nil
}

func checkCloseItem(cmd schemas.CloseItemCommand) error {
	if cmd.TenantID == "" || cmd.DebitID == "" {
		return badCommand("tenant_id and debit_id are required")
	}
	return nil
}

func checkExecute(cmd schemas.ExecuteCommand) error {
	if cmd.TenantID == "" || cmd.PolicyNumber == "" {
		return badCommand("tenant_id and policy_number are required")
	}
	if _, err := schemas.ParsePeriod(string(cmd.PeriodMonth)); err != nil {
		return badCommand("period_month " + err.Error())
	}
	return nil
}

// applyTo is apply, where the record could be read.
func (t *collectTask) applyTo(b *stage.Batch, rec *kgo.Record, tenant, customer string, decoded processors.Record,
	unread error,
) error {
	if unread != nil {
		return unread
	}
	return t.apply(b, rec, schemas.CustomerKey(tenant, customer), decoded)
}

// apply lets a record happen to a copy of the customer and emits what it caused. A refused record leaves nothing but
// its dead letter, unless the engine says so in its outputs.
func (t *collectTask) apply(b *stage.Batch, rec *kgo.Record, key string, decoded processors.Record) error {
	if err := checkPlace(b, rec, key); err != nil {
		return err
	}
	m, err := t.momentOf(b.Facts.Tick, rec.Timestamp)
	if err != nil {
		return err
	}
	if b.Facts.Real {
		m.Sent = schemas.DateIn(rec.Timestamp)
	}
	customer, known := t.EditKnown(key)
	t.out.Reset()
	err = t.engineOf(b, key, m).Apply(customer, decoded, m, &t.out)
	if err != nil || customer.ID == "" { // a pending booking makes nobody a customer
		t.ForgetIfNew(key, known)
	}
	if err != nil {
		return err
	}
	if err := t.emit(b, key, rec.Timestamp); err != nil || t.out.Refused == nil {
		return err
	}
	return t.out.Refused
}

// tick passes business time to every customer that waits for it, in the order of their keys.
func (t *collectTask) tick(b *stage.Batch, rec *kgo.Record) error {
	m, news, err := takeTick(b, rec)
	if err != nil || !news {
		return err
	}
	keys := t.due
	if b.Facts.Slice == nil || keys == nil {
		keys = t.dueAt(b, m)
	}
	tick := processors.Record(b.Facts.Tick)
	err = b.Each(keys, func(key string) error {
		return b.Guard(rec, key, func() error {
			t.out.Reset()
			if err := t.engineOf(b, key, m).Apply(t.Edit(key), tick, m, &t.out); err != nil {
				return fmt.Errorf("tick %s/%d: %w", m.Date, m.Cutoff, err)
			}
			return t.emit(b, key, rec.Timestamp)
		})
	})
	if t.due = nil; b.Unfinished {
		t.due = keys
	} else if err == nil {
		settingsSeen(b, m)
	}
	return err
}

// engineOf is the engine under the rules of a customer's tenant.
func (t *collectTask) engineOf(b *stage.Batch, key string, m schemas.Moment) *processors.Engine {
	if len(b.Facts.Tenants) == 0 {
		return t.engine
	}
	own, has := b.Facts.Tenants[schemas.TenantOf(key)]
	if !has {
		return t.engine
	}
	return t.engine.Under(t.rules.of(b, own.TenantID), changed(own, m))
}

// dueAt are the customers that do not sleep at a tick, or are wakened by settings of their tenant, in the order of
// their keys. A sort of all would take longer than their decisions.
func (t *collectTask) dueAt(b *stage.Batch, m schemas.Moment) []string {
	keys := []string{}
	wakened := map[string]bool{}
	for tenant, own := range b.Facts.Tenants {
		wakened[tenant] = changed(own, m)
	}
	due := func(key string) {
		if c, _ := t.View(key); !c.Asleep(m) || len(wakened) > 0 && wakened[schemas.TenantOf(key)] {
			keys = append(keys, key)
		}
	}
	for key := range t.awake {
		due(key)
	}
	for key := range t.Touched() {
		if _, ok := t.awake[key]; !ok {
			due(key)
		}
	}
	slices.Sort(keys)
	return keys
}

// emit writes what one engine call caused, each topic in the engine's order.
func (t *collectTask) emit(b *stage.Batch, key string, at time.Time) error {
	o := &t.out
	for i := range o.Debits {
		t.fresh[o.Debits[i].DebitID] = key
	}
	for _, err := range []error{
		stage.Events(b, schemas.TopicTransactions, key, o.Transactions, at),
		stage.Events(b, schemas.TopicDeposits, key, o.Deposits, at),
		stage.Events(b, schemas.TopicDecisions, key, o.Decisions, at),
		stage.Events(b, schemas.TopicDebits, key, o.Debits, at),
		stage.Events(b, schemas.TopicPolicies, key, o.Policies, at),
		stage.Events(b, schemas.TopicCollections, key, o.Collections, at),
		stage.Events(b, schemas.TopicOpenItems, key, o.OpenItems, at),
		stage.Events(b, schemas.TopicOutcomes, key, o.Outcomes, at),
	} {
		if err != nil {
			return err
		}
	}
	for i := range o.Moves {
		if err := passMove(b, schemas.TopicPolicyCommands, o.Moves[i].PolicyNumber, &o.Moves[i], at); err != nil {
			return err
		}
	}
	return nil
}

// momentOf is the function of its name, which reads the date of a tick once.
func (t *collectTask) momentOf(tick schemas.Tick, at time.Time) (schemas.Moment, error) {
	if tick == t.lastTick {
		m := t.last
		m.At = at.UTC()
		return m, nil
	}
	m, err := momentOf(tick, at)
	if err == nil {
		t.lastTick, t.last = tick, m
	}
	return m, err
}
