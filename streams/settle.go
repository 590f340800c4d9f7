package streams

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/processors/settlement"
	"github.com/kasi-collections/kasi/schemas"
)

// settleStage is how outcomes name this stage.
const settleStage = "settle"

// Ledger answers what a settlement must know of the movements in ClickHouse. Both calls wait by themselves until the
// rows up to the numbers asked for have arrived, and must give the same answer whenever they are asked again.
type Ledger interface {
	// Sum adds up the movements that the coverage counts.
	Sum(ctx context.Context, tenant string, period schemas.Period, cov []schemas.Coverage) (schemas.LedgerSums, error)
	// HasCollections tells whether the tenant has any collection in the period before the cut: cut[i] is a seq of
	// partition i of kasi.collections.v1. Without the cut the answer would depend on when it is asked.
	HasCollections(ctx context.Context, tenant string, p schemas.Period, cut []int64) (bool, error)
}

// RunSettle runs the settle stage until ctx ends: settlement commands in, statements out. ready is called each time it
// serves. It returns nil when ctx ended, and an error only where trying again cannot help.
func RunSettle(ctx context.Context, cfg Config, r *rules.Rules, l Ledger, ready func()) error {
	return run(ctx, cfg, row("settle"), func(_, _ int32) (task, memory) {
		return newSettleTask(ctx, cfg, r, l)
	}, ready)
}

// settleTask keeps the settlements of the tenants of one partition. Owning the partition is the lock that keeps their
// numbers gap-free.
type settleTask struct {
	*store[*settlement.Tenant]
	ctx    context.Context // ends the waiting for the ledger
	rules  *rules.Rules
	ledger Ledger
	log    *slog.Logger
}

func newSettleTask(ctx context.Context, cfg Config, r *rules.Rules, l Ledger) (task, memory) {
	t := &settleTask{ctx: ctx, rules: r, ledger: l, log: cfg.logger()}
	t.store = newStore(jsonCodec((*settlement.Tenant).Clone))
	return t, t.store
}

// take implements task.
func (t *settleTask) take(b *batch, rec *kgo.Record) error {
	switch kindOf(rec) {
	case schemas.KindTick:
		return t.tick(b, rec)
	case schemas.KindSettle:
		return t.settle(b, rec)
	}
	b.reject(rec, schemas.Refuse(ClassUnknownKind, "header kasi.kind is neither settle nor tick"))
	return nil
}

// tick marks what has been paid by now.
func (t *settleTask) tick(b *batch, rec *kgo.Record) error {
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
	keys := slices.Collect(maps.Keys(t.committed))
	for key := range t.overlay {
		if _, ok := t.committed[key]; !ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		paid := settlement.Tick(t.edit(key), m)
		if err := events(b, schemas.TopicSettlements, key, paid, settlementMeta, rec.Timestamp); err != nil {
			return err
		}
	}
	return nil
}

func settlementMeta(e *schemas.SettlementEvent) *schemas.Meta { return &e.Meta }

// settle makes the statement a command asks for, or finds the one that stands.
func (t *settleTask) settle(b *batch, rec *kgo.Record) error {
	var cmd schemas.SettleCommand
	if why := checkSettle(rec.Value, &cmd, b.count); why != nil {
		b.reject(rec, why)
		return nil
	}
	key := cmd.TenantID
	if schemas.PartitionOf(schemas.RoutingHash(key), b.count) != rec.Partition {
		b.reject(rec, wrongPartition())
		return nil
	}
	m, err := momentOf(b.facts.Tick, rec.Timestamp)
	if err != nil {
		return err
	}
	_, existed := t.view(key)
	tenant := t.edit(key)
	cov, err := settlement.Cover(tenant, cmd)
	if err != nil {
		t.unless(key, existed)
		return refuse(b, rec, err)
	}
	sums, anything, err := t.ask(cmd, cov)
	if err != nil {
		return err
	}
	ev, id, err := settlement.Settle(t.rules, tenant, cmd, sums, m, anything)
	if err != nil {
		t.unless(key, existed)
		return refuse(b, rec, err)
	}
	out := schemas.OutcomeEvent{
		Meta:      schemas.Meta{BusinessDate: m.Date.String(), At: m.At},
		RequestID: cmd.RequestID, TenantID: cmd.TenantID, Code: schemas.OutcomeOK, ObjectID: id, Stage: settleStage,
	}
	switch {
	case ev != nil:
		out.ObjectID = ev.SettlementID
		if err := event(b, schemas.TopicSettlements, key, ev, &ev.Meta, rec.Timestamp); err != nil {
			return err
		}
	case id != "":
		out.Code = schemas.OutcomeUnchanged
	default:
		t.unless(key, existed)
		out.Code, out.Message = schemas.OutcomeNotFound, "the period has no collections"
	}
	out.EventID = outcomeID(&out, rec.Timestamp)
	return event(b, schemas.TopicOutcomes, key, &out, &out.Meta, rec.Timestamp)
}

// ask waits for the ledger as long as it takes: the answer to a command must not depend on whether ClickHouse was up.
func (t *settleTask) ask(cmd schemas.SettleCommand, cov []schemas.Coverage) (sums schemas.LedgerSums, anything bool,
	err error,
) {
	for again := (backoff{}); ; {
		if sums, err = t.ledger.Sum(t.ctx, cmd.TenantID, cmd.PeriodMonth, cov); err == nil {
			anything, err = t.ledger.HasCollections(t.ctx, cmd.TenantID, cmd.PeriodMonth, cmd.Cut)
		}
		if err == nil {
			return sums, anything, nil
		}
		if fatal(err) {
			return sums, false, err
		}
		t.log.Warn("a settlement waits for the ledger", "tenant", cmd.TenantID, "period", cmd.PeriodMonth, "request",
			cmd.RequestID, "err", err)
		if !again.wait(t.ctx) {
			return sums, false, fmt.Errorf("settlement of request %s: %w", cmd.RequestID, t.ctx.Err())
		}
	}
}

// checkSettle reads a settlement command and refuses what could not be answered.
func checkSettle(value []byte, cmd *schemas.SettleCommand, partitions int32) *schemas.Reject {
	if why := readCommand(value, cmd); why != nil {
		return why
	}
	bad := func(m string) *schemas.Reject { return schemas.Refuse(ClassBadCommand, m) }
	if cmd.TenantID == "" {
		return bad("tenant_id is required")
	}
	if _, err := schemas.ParsePeriod(string(cmd.PeriodMonth)); err != nil {
		return bad("period_month " + err.Error())
	}
	if len(cmd.Cut) != int(partitions) {
		return bad(fmt.Sprintf("cut needs one seq for each of the %d partitions of %s", partitions, schemas.TopicCollections))
	}
	if slices.ContainsFunc(cmd.Cut, func(seq int64) bool { return seq < 0 }) {
		return bad("cut holds a negative seq")
	}
	return nil
}
