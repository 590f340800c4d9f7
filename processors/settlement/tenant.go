package settlement

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/schemas"
)

// Tenant is the settlement state of one tenant; the settle stage keeps it as JSON. The zero value is a tenant without
// statements.
type Tenant struct {
	// Periods holds, for each period that has a statement, how far it is settled.
	Periods map[schemas.Period]SettledPeriod `json:"periods,omitempty"`
	// Pending holds the statements that are not paid yet, oldest first.
	Pending []schemas.SettlementEvent `json:"pending,omitempty"`
	// References counts the payment references of each payment date that has not passed.
	References map[string]int `json:"references,omitempty"`
}

// SettledPeriod is how far one period is settled.
type SettledPeriod struct {
	// Statements is the sequence of the period's latest statement.
	Statements int `json:"n"`
	// Covered is, for each partition of kasi.collections.v1, the first seq that no statement counts yet.
	Covered []int64 `json:"cut"`
}

// Clone is a deep copy: the stage works on a copy until its transaction has committed.
func (t *Tenant) Clone() *Tenant {
	c := &Tenant{Periods: maps.Clone(t.Periods), Pending: slices.Clone(t.Pending), References: maps.Clone(t.References)}
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
			return schemas.Refuse(schemas.RejectCutMismatch, fmt.Sprintf("the settlement's cut is below zero on partition %d",
				partition))
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

// record takes a new statement over: what it counts is covered, and it is pending.
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
	t.Pending = append(t.Pending, ev)
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
