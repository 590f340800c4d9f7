// Package settlement makes statements: what one counts, its figures, and when it is paid. It is pure; the sums come
// from the caller, and the state of a tenant is a plain struct.
package settlement

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

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
	sequence := t.Periods[cmd.PeriodMonth].Statements
	switch {
	case sums.Movements == 0 && sequence > 0:
		return nil, schemas.SettlementID(cmd.TenantID, cmd.PeriodMonth, sequence), nil
	case sums.Movements == 0 && !anything:
		return nil, "", nil
	}
	sequence++
	pay := r.PaymentDate(cmd.PeriodMonth, m.Date)
	ev = &schemas.SettlementEvent{
		SettlementID: schemas.SettlementID(cmd.TenantID, cmd.PeriodMonth, sequence), TenantID: cmd.TenantID,
		Number: fmt.Sprintf("SETTLE-%s-%03d", cmd.PeriodMonth, sequence), PeriodMonth: cmd.PeriodMonth, Sequence: sequence,
		InFlightDebits: sums.InFlightDebits, InFlightCents: sums.InFlightCents, PaymentDate: pay.String(),
		RequestID: cmd.RequestID, CreatedAt: m.Shown(), MadeDate: m.Date.String(), Coverage: cover,
	}
	setFigures(ev, sums, r.Fees(cmd.TenantID, cmd.PeriodMonth.Last()))
	ev.BroughtForwardCents = t.CarriedCents
	ev.PayableCents = ev.NetCents + ev.BroughtForwardCents
	if ev.PayableCents > 0 {
		ev.PaymentReference = t.nextReference(pay, m.Date)
	}
	ev.Status = standing(ev)
	advance(ev, schemas.SettlementCreated, m)
	t.record(*ev)
	return ev, ev.SettlementID, nil
}

// OpenUntil tells whether a period has not ended on the business date, and from which date on it can be settled.
func OpenUntil(p schemas.Period, m schemas.Moment) (from civil.Date, open bool) {
	from = p.Next().First()
	return from, m.Date.Before(from)
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

// Tenant is the settlement state of one tenant; the settle stage keeps it in rows (rows.go). The zero value is a tenant
// without statements.
type Tenant struct {
	// Periods holds, for each period that has a statement, how far it is settled.
	Periods map[schemas.Period]SettledPeriod
	// Open holds the statements that may still change, by period and sequence: those that are to be paid, and those that
	// may be disputed or are.
	Open []schemas.SettlementEvent
	// References counts the payment references of each payment date that has not passed.
	References map[string]int
	// CarriedCents is what the next statement brings forward: the payable of the latest one where that was zero or less.
	CarriedCents schemas.Cents

	oneRow bool // it lies in the changelog as one record, as the build before wrote it
}

// SettledPeriod is how far one period is settled.
type SettledPeriod struct {
	// Statements is the sequence of the period's latest statement.
	Statements int `json:"n"`
	// Covered is, for each partition of kasi.collections.v1, the first seq that no statement counts yet.
	Covered []int64 `json:"cut"`
}

// Clone is a deep copy: the stage works on a copy until its transaction has committed. It lies in rows.
func (t *Tenant) Clone() *Tenant {
	c := &Tenant{
		Periods: maps.Clone(t.Periods), Open: slices.Clone(t.Open), References: maps.Clone(t.References),
		CarriedCents: t.CarriedCents,
	}
	for p, settled := range c.Periods {
		settled.Covered = slices.Clone(settled.Covered)
		c.Periods[p] = settled
	}
	// The coverage of a statement is never written to after it was made, so the copies may share it.
	return c
}

// checkCut refuses a cut that cannot be compared with the earlier ones.
func (t *Tenant) checkCut(cmd schemas.SettleCommand) error {
	if len(cmd.Cut) == 0 {
		return schemas.Refuse(schemas.RejectCutMismatch, "the settlement's cut is empty; expected one seq a partition")
	}
	for partition, seq := range cmd.Cut {
		if seq < 0 {
			return schemas.Refuse(schemas.RejectCutMismatch,
				fmt.Sprintf("the settlement's cut is below zero on partition %d", partition))
		}
	}
	for _, p := range slices.Sorted(maps.Keys(t.Periods)) {
		if before := len(t.Periods[p].Covered); before != len(cmd.Cut) {
			return schemas.Refuse(schemas.RejectCutMismatch, fmt.Sprintf(
				"the settlement's cut has %d partitions, the statements of %s have %d; the number of partitions may not change",
				len(cmd.Cut), p, before,
			))
		}
	}
	return nil
}

// cover is the range of a period that no statement counts yet, up to the cut. It shares no memory with the state or the
// command.
func (t *Tenant) cover(p schemas.Period, cut []int64) schemas.Coverage {
	c := schemas.Coverage{Period: p, From: make([]int64, len(cut)), To: slices.Clone(cut)}
	copy(c.From, t.Periods[p].Covered)
	for i := range c.To {
		c.To[i] = max(c.From[i], c.To[i])
	}
	return c
}

// record takes a new statement over: what it counts is covered, and what it brings forward is taken up by it. It is
// open.
func (t *Tenant) record(ev schemas.SettlementEvent) {
	if t.Periods == nil {
		t.Periods = map[schemas.Period]SettledPeriod{}
	}
	for _, c := range ev.Coverage {
		settled := t.Periods[c.Period]
		settled.Covered = slices.Clone(c.To)
		if c.Period == ev.PeriodMonth {
			settled.Statements = ev.Sequence
		}
		t.Periods[c.Period] = settled
	}
	t.CarriedCents = min(ev.PayableCents, 0)
	i, _ := t.place(&ev)
	t.Open = slices.Insert(t.Open, i, ev)
}

// place is where a statement stands among the open ones, or would stand.
func (t *Tenant) place(ev *schemas.SettlementEvent) (i int, found bool) {
	return slices.BinarySearchFunc(t.Open, ev, func(a schemas.SettlementEvent, b *schemas.SettlementEvent) int {
		return cmp.Or(cmp.Compare(a.PeriodMonth, b.PeriodMonth), cmp.Compare(a.Sequence, b.Sequence))
	})
}

// nextReference is EFT-YYYYMMDD-NNN, counted per tenant and payment date. Counters of dates before today are dropped:
// no statement is paid in the past.
func (t *Tenant) nextReference(pay, today civil.Date) string {
	maps.DeleteFunc(t.References, func(date string, _ int) bool { return date < today.String() })
	if t.References == nil {
		t.References = map[string]int{}
	}
	t.References[pay.String()]++
	return fmt.Sprintf("EFT-%s-%03d", strings.ReplaceAll(pay.String(), "-", ""), t.References[pay.String()])
}
