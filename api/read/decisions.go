package read

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kasi-collections/kasi/schemas"
)

const decisionColumns = `toString(event_id), seq, toString(business_date), at, tenant_id, customer_id, policy_number,
    toString(collection_id), period_month, action, reason, explanation, debit_id, amount_cents,
    ifNull(toString(tracking_until), ''), ifNull(toString(next_date), ''), alternatives, inputs, situation`

// Decision is one decision. Alternatives and Inputs are JSON, as the event has them.
type Decision struct {
	EventID                         string
	Seq                             int64
	BusinessDate                    string
	At                              time.Time
	TenantID, CustomerID            string
	PolicyNumber, CollectionID      string
	Period                          schemas.Period
	Action                          schemas.DecisionAction
	Reason, Explanation, DebitID    string
	AmountCents                     schemas.Cents
	TrackingUntil, NextDate         string
	Alternatives, Inputs, Situation string
}

// Event is the decision as it was emitted.
func (d Decision) Event() (*schemas.DecisionEvent, error) {
	ev := &schemas.DecisionEvent{
		Meta:     schemas.Meta{EventID: d.EventID, Seq: d.Seq, BusinessDate: d.BusinessDate, At: d.At.UTC()},
		TenantID: d.TenantID, CustomerID: d.CustomerID, PolicyNumber: d.PolicyNumber, CollectionID: d.CollectionID,
		PeriodMonth: d.Period, Action: d.Action, Reason: d.Reason, Explanation: d.Explanation, DebitID: d.DebitID,
		AmountCents: d.AmountCents, TrackingUntil: d.TrackingUntil, NextDate: d.NextDate, Situation: d.Situation,
	}
	err := errors.Join(json.Unmarshal([]byte(d.Alternatives), &ev.Alternatives),
		json.Unmarshal([]byte(d.Inputs), &ev.Inputs))
	if err != nil {
		return nil, fmt.Errorf("read: decision %s: %w", d.EventID, err)
	}
	return ev, nil
}

// ofCollection are the decisions about a collection: its number and period lead to them by the table's key. Those of
// one day are in the order of their instants, since the numbers of a policy that moved are of two partitions.
const ofCollection = `
FROM decisions_log
WHERE tenant_id = {tenant:String} AND collection_id = {id:UUID} AND (policy_number, period_month) IN
    (
        SELECT policy_number, period_month FROM collections_log
        WHERE tenant_id = {tenant:String} AND collection_id = {id:UUID}
        LIMIT 1
    )
    AND business_date `

const sqlDecisionList = `SELECT ` + decisionColumns + ofCollection + `>= toDateOrZero({after_date:String})
    AND (business_date > toDateOrZero({after_date:String})
        OR (toUnixTimestamp64Milli(at), seq) > (toInt64OrZero({after_at:String}), toInt64OrZero({after_seq:String})))
ORDER BY business_date, at, seq
LIMIT 1 BY event_id
LIMIT {limit:UInt32}`

// Decisions are a page of the decisions about a collection, in their order; none where there is no such collection.
func (d *DB) Decisions(ctx context.Context, collection string, p Page) ([]Decision, error) {
	args := d.page(p, "after_date", "after_at", "after_seq")
	args["id"] = collection
	return all[Decision](ctx, d, sqlDecisionList, args)
}

const sqlDecisionOn = `SELECT ` + decisionColumns + ofCollection + `<= toDate({day:String})
ORDER BY business_date DESC, at DESC, seq DESC
LIMIT 1`

// DecisionOn is the decision about a collection that stood when a day (YYYY-MM-DD) ended; ok is false where there was
// none yet.
func (d *DB) DecisionOn(ctx context.Context, collection, day string) (Decision, bool, error) {
	return one[Decision](ctx, d, sqlDecisionOn, params{"id": collection, "day": day})
}

const sqlDecisionsStanding = `SELECT toString(collection_id), action, reason, explanation,
    ifNull(toString(next_date), '')
FROM decisions_log
WHERE tenant_id = {tenant:String} AND policy_number IN {numbers:Array(String)}
    AND period_month IN {periods:Array(String)}
ORDER BY policy_number, period_month, business_date DESC, at DESC, seq DESC
LIMIT 1 BY policy_number, period_month`

// Standing is what is decided about a collection as things stand.
type Standing struct {
	CollectionID        string
	Action              schemas.DecisionAction
	Reason, Explanation string
	NextDate            string
}

// Standing is the latest decision about each of some collections, by collection; of those about which nothing has been
// decided there is none.
func (d *DB) Standing(ctx context.Context, of []Collection) (map[string]Standing, error) {
	numbers, periods := []string{}, []string{}
	for _, c := range of {
		numbers = append(numbers, c.PolicyNumber)
		if p := string(c.Period); len(periods) == 0 || periods[len(periods)-1] != p {
			periods = append(periods, p)
		}
	}
	rows, err := all[Standing](ctx, d, sqlDecisionsStanding, params{"numbers": numbers, "periods": periods})
	out := make(map[string]Standing, len(rows))
	for _, row := range rows {
		out[row.CollectionID] = row
	}
	return out, err
}
