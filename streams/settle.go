package streams

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/processors/settlement"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/letters"
	"github.com/kasi-collections/kasi/streams/retry"
	"github.com/kasi-collections/kasi/streams/stage"
)

// Ledger answers what a settlement must know of the movements in ClickHouse. Both calls wait by themselves until the
// rows up to the numbers asked for have arrived, and must give the same answer whenever they are asked again. They
// answer only over what is there: where a row has been lost since, they say so by an error, a *schemas.Hole.
type Ledger interface {
	// Sum adds up the movements that the coverage counts.
	Sum(ctx context.Context, tenant string, period schemas.Period, cov []schemas.Coverage) (schemas.LedgerSums, error)
	// HasCollections tells whether the tenant has any collection in the period before the cut: cut[i] is a seq of
	// partition i of kasi.collections.v1. Without the cut the answer would depend on when it is asked.
	HasCollections(ctx context.Context, tenant string, p schemas.Period, cut []int64) (bool, error)
}

// settleTask keeps the settlements of the tenants of one partition. Owning the partition is the lock that keeps their
// numbers gap-free.
type settleTask struct {
	*stage.Store[settlement.Tenant]
	ctx    context.Context // ends the waiting for the ledger
	rules  tenantRules
	ledger Ledger
	log    *slog.Logger
}

func openSettle(ctx context.Context, cfg stage.Config, n Needs) (stage.Task, stage.Memory) {
	s := stage.NewStore(stage.Codec[settlement.Tenant]{
		Clone: (*settlement.Tenant).Clone, Changed: settlement.Changed, Append: settlement.AppendRow,
		Load: settlement.LoadRow,
	})
	return &settleTask{Store: s, ctx: ctx, rules: tenantRules{general: n.Rules}, ledger: n.Ledger, log: cfg.Logger()}, s
}

// Take implements stage.Task.
func (t *settleTask) Take(b *stage.Batch, rec *kgo.Record) error {
	switch kindOf(rec) {
	case schemas.KindTick:
		return stage.ForAll(func() error { return t.tick(b, rec) })
	case schemas.KindTenant:
		return takeSettings(b, rec)
	case schemas.KindSettle:
		return t.settle(b, rec)
	}
	return schemas.Refuse(letters.ClassUnknownKind, "header kasi.kind is neither settle nor tick")
}

// tick marks what has been paid by now.
func (t *settleTask) tick(b *stage.Batch, rec *kgo.Record) error {
	m, news, err := takeTick(b, rec)
	if err != nil || !news {
		return err
	}
	return b.Each(t.All(), func(key string) error {
		return b.Guard(rec, key, func() error {
			return stage.Events(b, schemas.TopicSettlements, key, settlement.Tick(t.Edit(key), m), rec.Timestamp)
		})
	})
}

// settle makes the statement a command asks for, or finds the one that stands.
func (t *settleTask) settle(b *stage.Batch, rec *kgo.Record) error {
	cmd, err := readOwn(rec.Value, "command", func(cmd schemas.SettleCommand) error { return checkSettle(cmd, b.Count) })
	if err != nil {
		return err
	}
	key := cmd.TenantID
	if err := checkPlace(b, rec, key); err != nil {
		return err
	}
	m, err := momentOf(b.Facts.Tick, rec.Timestamp)
	if err != nil {
		return err
	}
	tenant, existed := t.EditKnown(key)
	cov, err := settlement.Cover(tenant, cmd)
	if err != nil {
		t.ForgetIfNew(key, existed)
		return err
	}
	sums, anything, err := t.ask(cmd, cov)
	if err != nil {
		return err
	}
	ev, id, err := settlement.Settle(t.rules.of(b, key), tenant, cmd, sums, m, anything)
	if err != nil {
		t.ForgetIfNew(key, existed)
		return err
	}
	out := schemas.OutcomeEvent{
		Meta:      schemas.Meta{BusinessDate: m.Date.String(), At: m.At},
		RequestID: cmd.RequestID, TenantID: cmd.TenantID, Code: schemas.OutcomeOK, ObjectID: id, Stage: b.Row.Name,
	}
	switch {
	case ev != nil:
		out.ObjectID = ev.SettlementID
		if err := b.Event(schemas.TopicSettlements, key, ev, rec.Timestamp); err != nil {
			return err
		}
	case id != "":
		out.Code = schemas.OutcomeUnchanged
	default:
		t.ForgetIfNew(key, existed)
		out.Code, out.Message = schemas.OutcomeNotFound, "the period has no collections"
	}
	out.EventID = outcomeID(&out, rec.Timestamp)
	return b.Event(schemas.TopicOutcomes, key, &out, rec.Timestamp)
}

// ask waits for the ledger as long as it takes: the answer to a command must not depend on whether ClickHouse was up,
// or had lost rows that the sink is bringing back.
func (t *settleTask) ask(cmd schemas.SettleCommand, cov []schemas.Coverage) (sums schemas.LedgerSums, anything bool,
	err error,
) {
	for pauses := retry.Growing(100*time.Millisecond, 5*time.Second); ; {
		if sums, err = t.ledger.Sum(t.ctx, cmd.TenantID, cmd.PeriodMonth, cov); err == nil && sums.Movements == 0 {
			anything, err = t.ledger.HasCollections(t.ctx, cmd.TenantID, cmd.PeriodMonth, cmd.Cut)
		}
		if err == nil {
			return sums, anything, nil
		}
		if stage.IsFatal(err) {
			return sums, false, err
		}
		t.log.Warn("a settlement waits for the ledger", "tenant", cmd.TenantID, "period", cmd.PeriodMonth, "request",
			cmd.RequestID, "err", err)
		if retry.Pause(t.ctx, pauses.NextBackOff()) != nil {
			return sums, false, fmt.Errorf("settlement of request %s: %w", cmd.RequestID, t.ctx.Err())
		}
	}
}

// checkSettle refuses a settlement command that could not be answered.
func checkSettle(cmd schemas.SettleCommand, partitions int32) error {
	if cmd.TenantID == "" {
		return badCommand("tenant_id is required")
	}
	if _, err := schemas.ParsePeriod(string(cmd.PeriodMonth)); err != nil {
		return badCommand("period_month " + err.Error())
	}
	if len(cmd.Cut) != int(partitions) {
		return badCommand(fmt.Sprintf("cut needs one seq for each of the %d partitions of %s", partitions,
			schemas.TopicCollections))
	}
	if slices.ContainsFunc(cmd.Cut, func(seq int64) bool { return seq < 0 }) {
		return badCommand("cut holds a negative seq")
	}
	return nil
}
