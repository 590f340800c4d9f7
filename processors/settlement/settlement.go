// Package settlement makes statements: what one counts, its figures, and when it is paid. It is pure; the sums come
// from the caller, and the state of a tenant is a plain struct.
package settlement

import (
	"fmt"
	"maps"
	"slices"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// Cover is what a statement asked for now would count: the period itself first, then each earlier period that already
// has a statement, ascending. Each range begins where the last statement that counted the period ended, so nothing is
// counted twice or left out. A cut that lies before that point (an older command overtaken by a newer one) covers
// nothing there. The error is a *schemas.Reject: the cut has another number of partitions than before.
func Cover(t *Tenant, cmd schemas.SettleCommand) ([]schemas.Coverage, error) {
	if err := t.checkCut(cmd); err != nil {
		return nil, err
	}
	cover := []schemas.Coverage{t.cover(cmd.PeriodMonth, cmd.Cut)}
	for _, p := range slices.Sorted(maps.Keys(t.Periods)) {
		if p < cmd.PeriodMonth {
			cover = append(cover, t.cover(p, cmd.Cut))
		}
	}
	return cover, nil
}

// Settle makes the next statement of a period out of the sums over exactly what Cover returned for the same state and
// command. Where nothing moved and the period has a statement, ev is nil and id is the latest one's. anything tells
// whether the tenant has any collection in the period; without one and without movements there is nothing to settle: ev
// is nil and id empty. The error is a *schemas.Reject and leaves t as it was.
func Settle(
	r *rules.Rules, t *Tenant, cmd schemas.SettleCommand, sums schemas.LedgerSums, m schemas.Moment, anything bool,
) (ev *schemas.SettlementEvent, id string, err error) {
	cover, err := Cover(t, cmd)
	if err != nil {
		return nil, "", err
	}
	sequence := 0
	if settled, ok := t.Periods[cmd.PeriodMonth]; ok {
		sequence = settled.Statements
	}
	switch {
	case sums.Movements == 0 && sequence > 0:
		return nil, schemas.SettlementID(cmd.TenantID, cmd.PeriodMonth, sequence), nil
	case sums.Movements == 0 && !anything:
		return nil, "", nil
	}
	sequence++
	pay := r.PaymentDate(cmd.PeriodMonth, m.Date)
	ev = &schemas.SettlementEvent{
		SettlementID:     schemas.SettlementID(cmd.TenantID, cmd.PeriodMonth, sequence),
		TenantID:         cmd.TenantID,
		Number:           fmt.Sprintf("SETTLE-%s-%03d", cmd.PeriodMonth, sequence),
		PeriodMonth:      cmd.PeriodMonth,
		Sequence:         sequence,
		PaymentDate:      pay.String(),
		PaymentReference: t.nextReference(pay, m.Date),
		RequestID:        cmd.RequestID,
		CreatedAt:        m.At,
		Coverage:         cover,
	}
	setFigures(ev, sums, r.Fees(cmd.TenantID, cmd.PeriodMonth.Last()))
	advance(ev, schemas.SettlementPending, m)
	t.record(*ev)
	return ev, ev.SettlementID, nil
}

// Tick marks the statements as paid whose payment date's cut-off has passed, and returns their new versions.
func Tick(t *Tenant, m schemas.Moment) []schemas.SettlementEvent {
	var paid, pending []schemas.SettlementEvent
	for _, ev := range t.Pending {
		pay, err := civil.ParseDate(ev.PaymentDate)
		due := err == nil && (m.Date.After(pay) || m.Date == pay && m.Cutoff >= 1)
		if !due {
			pending = append(pending, ev)
			continue
		}
		advance(&ev, schemas.SettlementPaid, m)
		paid = append(paid, ev)
	}
	t.Pending = pending
	return paid
}

// setFigures rounds each figure to the cent, half away from zero, and leaves the net to subtraction: total = fees + VAT
// + net, always. A negative total (more came back than was collected) has negative fees: what was charged on it is
// given back.
func setFigures(ev *schemas.SettlementEvent, sums schemas.LedgerSums, rates rules.FeeRates) {
	total := sums.TotalCents.Decimal()
	ev.TotalCollectionsCents = sums.TotalCents
	ev.AdjustmentsCents = sums.AdjustmentsCents
	ev.DistributionFeeCents = schemas.RoundRands(total.Mul(rates.Distribution))
	ev.CollectionsFeeCents = schemas.RoundRands(total.Mul(rates.Collections))
	ev.TotalFeesCents = ev.DistributionFeeCents + ev.CollectionsFeeCents
	ev.VATCents = schemas.RoundRands(ev.TotalFeesCents.Decimal().Mul(rates.VAT))
	ev.NetCents = ev.TotalCollectionsCents - ev.TotalFeesCents - ev.VATCents
}

// advance makes the next version of a statement.
func advance(ev *schemas.SettlementEvent, status schemas.SettlementStatus, m schemas.Moment) {
	ev.Version++
	ev.Status = status
	ev.Meta = schemas.Meta{
		EventID:      schemas.FactID("settlement event", ev.SettlementID, fmt.Sprint(ev.Version)),
		BusinessDate: m.Date.String(),
		At:           m.At,
	}
}
