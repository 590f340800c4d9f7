package processors

import "github.com/kasi-collections/kasi/schemas"

// Tenant is the settlement state of one tenant; the settle stage keeps it as JSON.
type Tenant struct {
	// Periods holds, for each period that has a statement, how far it is settled.
	Periods map[schemas.Period]*SettledPeriod `json:"periods,omitempty"`
	// Pending holds the statements that are not paid yet, oldest first.
	Pending []schemas.SettlementEvent `json:"pending,omitempty"`
	// References counts the payment references of each payment date that has not passed.
	References map[string]int `json:"references,omitempty"`
}

// SettledPeriod is how far one period is settled.
type SettledPeriod struct {
	// Statements is the sequence of the period's latest statement.
	Statements int `json:"n"`
	// Covered is, for each partition of kasi.collections.v1, the first offset that no statement counts yet.
	Covered []int64 `json:"cut"`
}

// Clone is a deep copy: the stage works on a copy until its transaction has committed.
func (t *Tenant) Clone() *Tenant { return &Tenant{} }

// Cover is what a statement asked for now would count: the period itself, and each earlier period that already has a statement.
// The error is a *Reject: the cut's number of partitions differs from an earlier statement's.
func (r *Rules) Cover(t *Tenant, cmd schemas.SettleCommand) ([]schemas.Coverage, error) { return nil, nil }

// Settle makes the next statement of a period out of the sums over exactly what Cover returned for the same state and command.
// Where nothing moved and the period has a statement, ev is nil and id is the latest one's. anything tells whether the tenant has any
// collection in the period; without one and without movements there is nothing to settle: ev is nil and id empty.
// The error is a *Reject and leaves t as it was.
func (r *Rules) Settle(t *Tenant, cmd schemas.SettleCommand, sums schemas.LedgerSums, m Moment, anything bool) (ev *schemas.SettlementEvent, id string, err error) {
	return nil, "", nil
}

// SettleTick marks the statements as paid whose payment date's cut-off has passed, and returns their new versions.
func (r *Rules) SettleTick(t *Tenant, m Moment) []schemas.SettlementEvent { return nil }
