package streams

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/processors/feeds"
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
	payout settlement.Payouts
	ledger Ledger
	log    *slog.Logger
}

func openSettle(ctx context.Context, cfg stage.Config, n Needs) (stage.Task, stage.Memory) {
	s := stage.NewStore(stage.Codec[settlement.Tenant]{
		Clone: (*settlement.Tenant).Clone, Changed: settlement.Changed, Append: settlement.AppendRow,
		Load: settlement.LoadRow,
	})
	return &settleTask{
		Store: s, ctx: ctx, rules: tenantRules{general: n.Rules}, payout: n.Payouts, ledger: n.Ledger, log: cfg.Logger(),
	}, s
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
	case schemas.KindStatement:
		return t.change(b, rec)
	case schemas.KindPayout:
		return t.payoutResult(b, rec)
	}
	return schemas.Refuse(letters.ClassUnknownKind, "header kasi.kind is none of settle, statement, payout, tick")
}

// tick pays what is to be paid by now.
func (t *settleTask) tick(b *stage.Batch, rec *kgo.Record) error {
	m, news, err := takeTick(b, rec)
	if err != nil || !news {
		return err
	}
	return b.Each(t.All(), func(key string) error {
		return b.Guard(rec, key, func() error {
			due := settlement.Tick(t.rules.of(b, key), t.payout, t.Edit(key), m)
			if err := stage.Events(b, schemas.TopicPayouts, key, due.Payouts, rec.Timestamp); err != nil {
				return err
			}
			return stage.Events(b, schemas.TopicSettlements, key, due.Statements, rec.Timestamp)
		})
	})
}

// settle makes the statement a command asks for, or finds the one that stands. A preview leaves the state alone.
func (t *settleTask) settle(b *stage.Batch, rec *kgo.Record) error {
	cmd, err := readOwn(rec.Value, "command", func(cmd schemas.SettleCommand) error { return checkSettle(cmd, b.Count) })
	if err != nil {
		return err
	}
	key := cmd.TenantID
	m, err := t.momentAt(b, rec, key)
	if err != nil {
		return err
	}
	out := outcomeOf(b, cmd.RequestID, cmd.TenantID, m)
	if from, open := settlement.OpenUntil(cmd.PeriodMonth, m); open && !cmd.Preview {
		out.Code = schemas.OutcomePeriodOpen
		out.Message = fmt.Sprintf("%s has not ended; it can be settled from %s", cmd.PeriodMonth, from)
		return t.answer(b, rec, key, &out)
	}
	tenant, existed := t.stateFor(cmd)
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
	switch {
	case ev != nil && cmd.Preview:
		if err := preview(&out, ev); err != nil {
			return err
		}
	case ev != nil:
		out.ObjectID = ev.SettlementID
		if err := b.Event(schemas.TopicSettlements, key, ev, rec.Timestamp); err != nil {
			return err
		}
	case id != "":
		out.Code, out.ObjectID = schemas.OutcomeUnchanged, id
	default:
		t.ForgetIfNew(key, existed)
		out.Code, out.Message = schemas.OutcomeNotFound, "the period has no collections"
	}
	return t.answer(b, rec, key, &out)
}

// stateFor is the state that a statement is made on: of a preview, a copy that is thrown away.
func (t *settleTask) stateFor(cmd schemas.SettleCommand) (tenant *settlement.Tenant, existed bool) {
	if !cmd.Preview {
		return t.EditKnown(cmd.TenantID)
	}
	if now, known := t.View(cmd.TenantID); known {
		return now.Clone(), true
	}
	return &settlement.Tenant{}, true
}

// preview puts the figures of a statement that is not made into the answer.
func preview(out *schemas.OutcomeEvent, ev *schemas.SettlementEvent) error {
	figures := *ev
	figures.EventID, figures.RequestID, figures.SettlementID = "", "", ""
	figures.Number, figures.PaymentReference, figures.Coverage = "", "", nil
	text, err := figures.AppendJSON(nil)
	if err != nil {
		return stage.Fatal(fmt.Errorf("a preview does not marshal: %w", err))
	}
	out.Statement = string(text)
	return nil
}

// change disputes a statement, resolves that, or has it paid again.
func (t *settleTask) change(b *stage.Batch, rec *kgo.Record) error {
	cmd, err := readOwn(rec.Value, "command", checkStatement)
	if err != nil {
		return err
	}
	key := cmd.TenantID
	m, err := t.momentAt(b, rec, key)
	if err != nil {
		return err
	}
	out := outcomeOf(b, cmd.RequestID, cmd.TenantID, m)
	out.ObjectID = cmd.SettlementID
	tenant, existed := t.EditKnown(key)
	ev, err := settlement.Change(t.rules.of(b, key), tenant, cmd, m)
	var no settlement.Conflict
	switch {
	case errors.As(err, &no):
		t.ForgetIfNew(key, existed)
		out.Code, out.Message = schemas.OutcomeConflict, no.Error()
	case err != nil:
		return err
	case ev == nil:
		out.Code = schemas.OutcomeUnchanged
	default:
		if err := b.Event(schemas.TopicSettlements, key, ev, rec.Timestamp); err != nil {
			return err
		}
	}
	return t.answer(b, rec, key, &out)
}

// payoutResult takes in what the bank says of an EFT instruction. Its key is the payout id, which leads to the tenant's
// partition and says no more: the tenant is the one who has the payout.
func (t *settleTask) payoutResult(b *stage.Batch, rec *kgo.Record) error {
	res, err := feeds.PayoutResult(rec.Value)
	if err != nil {
		return err
	}
	m, err := momentOf(b.Facts.Tick, rec.Timestamp)
	if err != nil {
		return err
	}
	if b.Facts.Real {
		m.Sent = schemas.DateIn(rec.Timestamp)
	}
	for _, key := range t.All() {
		if tenant, known := t.View(key); !known || !tenant.Pays(res.PayoutID) {
			continue
		}
		ev, err := settlement.Answer(t.Edit(key), res, m)
		if err != nil || ev == nil {
			return err
		}
		return b.Event(schemas.TopicSettlements, key, ev, rec.Timestamp)
	}
	return settlement.UnknownPayout()
}

// momentAt is the business time of a command, which must lie on the partition of its key.
func (t *settleTask) momentAt(b *stage.Batch, rec *kgo.Record, key string) (schemas.Moment, error) {
	if err := checkPlace(b, rec, key); err != nil {
		return schemas.Moment{}, err
	}
	return momentOf(b.Facts.Tick, rec.Timestamp)
}

// outcomeOf is the answer that all is well.
func outcomeOf(b *stage.Batch, request, tenant string, m schemas.Moment) schemas.OutcomeEvent {
	return schemas.OutcomeEvent{
		Meta:      schemas.Meta{BusinessDate: m.Date.String(), At: m.At},
		RequestID: request, TenantID: tenant, Code: schemas.OutcomeOK, Stage: b.Row.Name,
	}
}

func (t *settleTask) answer(b *stage.Batch, rec *kgo.Record, key string, out *schemas.OutcomeEvent) error {
	out.EventID = outcomeID(out, rec.Timestamp)
	return b.Event(schemas.TopicOutcomes, key, out, rec.Timestamp)
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

// checkStatement refuses a command about a statement that could not be answered.
func checkStatement(cmd schemas.StatementCommand) error {
	actions := []schemas.StatementAction{schemas.StatementDispute, schemas.StatementResolve, schemas.StatementRetry}
	switch {
	case cmd.TenantID == "" || cmd.SettlementID == "":
		return badCommand("tenant_id and settlement_id are required")
	case !slices.Contains(actions, cmd.Action):
		return badCommand("action is none of DISPUTE, RESOLVE, RETRY")
	}
	return nil
}
