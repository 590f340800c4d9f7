package streams

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/civil"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/processors/feeds"
	"github.com/kasi-collections/kasi/schemas"
)

// beforeTime is the business date of a partition that has seen no tick yet: everything is booked later, so it waits for
// its day.
var beforeTime = civil.Date{Year: 1970, Month: 1, Day: 1}

// RunCollect runs the collect stage until ctx ends: the timeline in, what the engine decides out. ready is called each
// time it serves. It returns nil when ctx ended, and an error only where trying again cannot help.
func RunCollect(ctx context.Context, cfg Config, e *processors.Engine, ready func()) error {
	return run(ctx, cfg, row("collect"), func(_, _ int32) (task, memory) {
		t := newCollectTask(e)
		return t, t.store
	}, ready)
}

// collectTask applies one partition of the timeline to the states of its customers.
type collectTask struct {
	*store[*book.Customer]
	engine *processors.Engine
	debits map[string]string   // committed: debit id -> customer key; a bank's answer holds nothing else
	fresh  map[string]string   // the open batch's additions to debits
	awake  map[string]struct{} // committed customers that need the next tick
	out    book.Outputs
	tx     schemas.Transaction // the latest one: the engine takes a pointer, and a variable for each would be garbage

	lastTick schemas.Tick // the tick that last was read as
	last     schemas.Moment
}

func newCollectTask(e *processors.Engine) *collectTask {
	t := &collectTask{engine: e, debits: map[string]string{}, fresh: map[string]string{}, awake: map[string]struct{}{}}
	t.last, _ = momentOf(t.lastTick, time.Time{}) // no tick is no date that could be wrong
	t.store = newStore(codec[*book.Customer]{
		fresh:     func() *book.Customer { return &book.Customer{} },
		clone:     (*book.Customer).Clone,
		append:    book.Append,
		unmarshal: book.Unmarshal,
	})
	t.merged = t.index
	return t
}

// index keeps the committed debit index and the waking list in step with the committed states. fresh is cleared where
// the batch ends.
func (t *collectTask) index(key string, before *book.Customer, was bool, after *book.Customer) {
	if was {
		for id := range before.Debits() {
			delete(t.debits, id)
		}
	}
	for id := range after.Debits() {
		t.debits[id] = key
	}
	if after.NeedsTick() {
		t.awake[key] = struct{}{}
	} else {
		delete(t.awake, key)
	}
}

// begin implements beginner: additions of a batch that was dropped must not outlive it.
func (t *collectTask) begin() { clear(t.fresh) }

// take implements task.
func (t *collectTask) take(b *batch, rec *kgo.Record) error {
	switch kind := kindOf(rec); kind {
	case schemas.KindTick:
		return t.tick(b, rec)
	case schemas.KindTransaction:
		tx, err := feeds.Transaction(rec.Value)
		if err != nil {
			return refuse(b, rec, err)
		}
		t.tx = tx
		return t.apply(b, rec, schemas.CustomerKey(tx.TenantID, tx.CustomerID), &t.tx)
	case schemas.KindIncome:
		in, err := feeds.Income(rec.Value)
		if err != nil {
			return refuse(b, rec, err)
		}
		return t.apply(b, rec, schemas.CustomerKey(in.TenantID, in.CustomerID), &in)
	case schemas.KindResult:
		return t.result(b, rec)
	case schemas.KindPolicy, schemas.KindExecute:
		return t.command(b, rec, kind)
	default:
		b.reject(rec, schemas.Refuse(ClassUnknownKind,
			"header kasi.kind is missing or names nothing the timeline holds"))
		return nil
	}
}

// result finds the customer whose debit a bank's answer is about.
func (t *collectTask) result(b *batch, rec *kgo.Record) error {
	res, err := feeds.Result(rec.Value)
	if err != nil {
		return refuse(b, rec, err)
	}
	key, ok := t.fresh[res.DebitID]
	if !ok {
		key, ok = t.debits[res.DebitID]
	}
	if !ok {
		b.reject(rec, schemas.Refuse(schemas.RejectUnknownDebit,
			"no debit of ours has this debit_id, or it is past its dispute window"))
		return nil
	}
	return t.apply(b, rec, key, &res)
}

// command applies a policy or execute command.
func (t *collectTask) command(b *batch, rec *kgo.Record, kind schemas.Kind) error {
	var policy schemas.PolicyCommand
	var execute schemas.ExecuteCommand
	var tenant, customer string
	var why *schemas.Reject
	if kind == schemas.KindPolicy {
		if why = readCommand(rec.Value, &policy); why == nil {
			why = checkPolicy(policy)
		}
		tenant, customer = policy.TenantID, policy.CustomerID
	} else {
		if why = readCommand(rec.Value, &execute); why == nil {
			why = checkExecute(execute)
		}
		tenant, customer = execute.TenantID, execute.CustomerID
	}
	if why == nil && customer == "" {
		why = schemas.Refuse(ClassBadCommand, "customer_id is required")
	}
	if why != nil {
		b.reject(rec, why)
		return nil
	}
	if kind == schemas.KindPolicy {
		return t.apply(b, rec, schemas.CustomerKey(tenant, customer), &policy)
	}
	return t.apply(b, rec, schemas.CustomerKey(tenant, customer), &execute)
}

func checkExecute(cmd schemas.ExecuteCommand) *schemas.Reject {
	if cmd.TenantID == "" || cmd.PolicyNumber == "" {
		return schemas.Refuse(ClassBadCommand, "tenant_id and policy_number are required")
	}
	if _, err := schemas.ParsePeriod(string(cmd.PeriodMonth)); err != nil {
		return schemas.Refuse(ClassBadCommand, "period_month "+err.Error())
	}
	return nil
}

// apply lets a record happen to a copy of the customer and emits what it caused. A refused record leaves nothing but its
// dead letter.
func (t *collectTask) apply(b *batch, rec *kgo.Record, key string, decoded processors.Record) error {
	if schemas.PartitionOf(schemas.RoutingHash(key), b.count) != rec.Partition {
		b.reject(rec, wrongPartition())
		return nil
	}
	m, err := t.momentOf(b.facts.Tick, rec.Timestamp)
	if err != nil {
		return err
	}
	customer, known := t.editKnown(key)
	t.out.Reset()
	if err := t.engine.Apply(customer, decoded, m, &t.out); err != nil {
		t.unless(key, known)
		return refuse(b, rec, err)
	}
	return t.emit(b, key, rec.Timestamp)
}

// tick passes business time to every customer that waits for it, in the order of their keys.
func (t *collectTask) tick(b *batch, rec *kgo.Record) error {
	now, why := readTick(rec.Value)
	if why != nil {
		b.reject(rec, why)
		return nil
	}
	if !now.After(b.facts.Tick) {
		return nil
	}
	b.facts.Tick = now
	m, err := momentOf(now, rec.Timestamp)
	if err != nil {
		return err
	}
	var keys []string // of those that do not sleep: a sort of all would take longer than their decisions
	due := func(key string) {
		if c, _ := t.view(key); !c.Asleep(m) {
			keys = append(keys, key)
		}
	}
	for key := range t.awake {
		due(key)
	}
	for key := range t.overlay {
		if _, ok := t.awake[key]; !ok {
			due(key)
		}
	}
	slices.Sort(keys)
	tick := processors.Record(now)
	for _, key := range keys {
		t.out.Reset()
		if err := t.engine.Apply(t.edit(key), tick, m, &t.out); err != nil {
			return bug(fmt.Errorf("tick %s/%d, timeline partition %d offset %d: %w", now.Date, now.Cutoff, rec.Partition,
				rec.Offset, err))
		}
		if err := t.emit(b, key, rec.Timestamp); err != nil {
			return err
		}
	}
	return nil
}

// emit writes what one engine call caused, each topic in the engine's order.
func (t *collectTask) emit(b *batch, key string, at time.Time) error {
	o := &t.out
	for i := range o.Debits {
		t.fresh[o.Debits[i].DebitID] = key
	}
	for _, err := range []error{
		events(b, schemas.TopicTransactions, key, o.Transactions,
			func(e *schemas.TransactionEvent) *schemas.Meta { return &e.Meta }, at),
		events(b, schemas.TopicDeposits, key, o.Deposits, func(e *schemas.DepositEvent) *schemas.Meta { return &e.Meta }, at),
		events(b, schemas.TopicDecisions, key, o.Decisions, func(e *schemas.DecisionEvent) *schemas.Meta { return &e.Meta },
			at),
		events(b, schemas.TopicDebits, key, o.Debits, func(e *schemas.DebitInstruction) *schemas.Meta { return &e.Meta }, at),
		events(b, schemas.TopicPolicies, key, o.Policies, func(e *schemas.PolicyEvent) *schemas.Meta { return &e.Meta }, at),
		events(b, schemas.TopicCollections, key, o.Collections,
			func(e *schemas.CollectionEvent) *schemas.Meta { return &e.Meta }, at),
		events(b, schemas.TopicOutcomes, key, o.Outcomes, func(e *schemas.OutcomeEvent) *schemas.Meta { return &e.Meta }, at),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// readTick reads a tick and refuses one that is no date.
func readTick(value []byte) (schemas.Tick, *schemas.Reject) {
	var t schemas.Tick
	if err := json.Unmarshal(value, &t); err != nil {
		return t, schemas.Refuse(ClassBadCommand, "the tick is not JSON of its type")
	}
	if d, err := civil.ParseDate(t.Date); err != nil || d.String() != t.Date || t.Cutoff < 0 {
		return t, schemas.Refuse(ClassBadCommand, "the tick is no date and cut-off")
	}
	return t, nil
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

// momentOf is the business time of a record: the partition's last tick and the record's own timestamp.
func momentOf(t schemas.Tick, at time.Time) (schemas.Moment, error) {
	m := schemas.Moment{Date: beforeTime, Cutoff: t.Cutoff, At: at.UTC()}
	if t.Date == "" {
		return m, nil
	}
	d, err := civil.ParseDate(t.Date)
	if err != nil {
		return m, bug(fmt.Errorf("the state holds a tick that is no date: %w", err))
	}
	m.Date = d
	return m, nil
}
