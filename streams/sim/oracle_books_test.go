package sim

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// judgeIntake: every record of the outside is on the timeline once, on the partition where it belongs, and says the
// same there; or it is among the dead letters once, byte for byte.
func (o *oracle) judgeIntake() error {
	for p := range o.partitions {
		at := place{schemas.TopicOutcomes, p}
		for _, rec := range o.news(at) {
			var ev schemas.OutcomeEvent
			if err := json.Unmarshal(rec.Value, &ev); err != nil {
				return fmt.Errorf("%v offset %d is no outcome: %w", at, rec.Offset, err)
			}
			sorted := place{"outcomes of " + ev.Stage, p}
			o.r.log[sorted] = append(o.r.log[sorted], rec)
		}
		for _, rec := range o.r.log[place{schemas.TopicTimeline, p}][o.at[place{schemas.TopicTimeline, p}]:] {
			o.copies(rec)
		}
		for _, rec := range o.news(place{"outcomes of owners", p}) {
			var ev schemas.OutcomeEvent
			if err := json.Unmarshal(rec.Value, &ev); err != nil {
				return err
			}
			if err := o.judgeMeta(place{"outcomes of owners", p}, rec, &ev.Meta); err != nil {
				return err
			}
			o.answers(rec)
		}
	}
	for _, topic := range []string{
		schemas.TopicFeedTransactions, schemas.TopicFeedIncomes, schemas.TopicRailResults,
		schemas.TopicPolicyCommands,
	} {
		for p := range o.partitions {
			for _, rec := range o.news(place{topic, p}) {
				if err := o.judgeTaken(rec); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (o *oracle) copies(rec *kgo.Record) {
	ms := rec.Timestamp.UnixMilli()
	o.statements.copies[ms] = append(o.statements.copies[ms], rec)
}

func (o *oracle) answers(rec *kgo.Record) { o.statements.answers[rec.Timestamp.UnixMilli()]++ }

func (o *oracle) judgeTaken(rec *kgo.Record) error {
	ms := rec.Timestamp.UnixMilli()
	copies, answers, refused := o.statements.copies[ms], o.statements.answers[ms], 0
	if rec.Topic == schemas.TopicPolicyCommands {
		taken, err := o.judgeMoving(rec, copies)
		if taken || err != nil {
			return err
		}
		copies = slices.DeleteFunc(slices.Clone(copies), func(c *kgo.Record) bool {
			return kindOf(c) == schemas.KindMove && moveOf(c).Moved != nil
		})
	}
	for _, d := range o.dead[ms] {
		if headerOf(d, "__connect.errors.connector.name") != "collect" {
			refused++
			if string(d.Value) != string(rec.Value) {
				return fmt.Errorf("%s partition %d offset %d: its dead letter holds something else", rec.Topic, rec.Partition,
					rec.Offset)
			}
		}
	}
	if n := len(copies) + answers + refused; n != 1 {
		return fmt.Errorf("%s partition %d offset %d went on %d times (timeline %d, answers %d, dead letters %d): %v",
			rec.Topic, rec.Partition, rec.Offset, n, len(copies), answers, refused, placesOf(copies))
	}
	if o.bad[ms] != (refused == 1) {
		return fmt.Errorf("%s partition %d offset %d: refused is %v and should be %v: %s", rec.Topic, rec.Partition,
			rec.Offset, refused == 1, o.bad[ms], rec.Value)
	}
	if len(copies) == 0 || rec.Topic == schemas.TopicPolicyCommands { // intake adds the owner to a patch
		return nil
	}
	if !sameEvent(copies[0].Value, rec.Value) {
		return fmt.Errorf("%s partition %d offset %d: its copy on the timeline holds something else", rec.Topic,
			rec.Partition, rec.Offset)
	}
	return nil
}

// sameEvent tells whether two records say the same, in whatever zone their instants are.
func sameEvent(a, b []byte) bool {
	fields := func(text []byte) (m map[string]any) {
		if json.Unmarshal(text, &m) != nil {
			return nil
		}
		if s, ok := m["booked_at"].(string); ok {
			at, _ := time.Parse(time.RFC3339Nano, s)
			m["booked_at"] = at.UTC()
		}
		return m
	}
	x, y := fields(a), fields(b)
	return x != nil && reflect.DeepEqual(x, y)
}

// statements is what the oracle knows of settlements.
type statements struct {
	copies  map[int64][]*kgo.Record // timeline records by timestamp
	answers map[int64]int           // outcomes of owners by timestamp
	last    map[string]schemas.SettlementEvent
	// to is how far the statements of a tenant count a period, by partition.
	to map[string][]int64
}

func newStatements() statements {
	return statements{
		map[int64][]*kgo.Record{},
		map[int64]int{},
		map[string]schemas.SettlementEvent{},
		map[string][]int64{},
	}
}

// judgeSettlements: a command has one answer; numbers have no gap; ranges join; lines add up to the statement, and the
// statement to zero.
func (o *oracle) judgeSettlements() error {
	for p := range o.partitions {
		answered := map[int64]int{}
		for _, rec := range o.news(place{"outcomes of settle", p}) {
			var ev schemas.OutcomeEvent
			if err := json.Unmarshal(rec.Value, &ev); err != nil {
				return err
			}
			if err := o.judgeMeta(place{"outcomes of settle", p}, rec, &ev.Meta); err != nil {
				return err
			}
			answered[rec.Timestamp.UnixMilli()]++
		}
		for _, rec := range o.news(place{schemas.TopicSettlementCommands, p}) {
			if ms := rec.Timestamp.UnixMilli(); kindOf(rec) == schemas.KindSettle && answered[ms] != 1 {
				return fmt.Errorf("settlement command on partition %d offset %d has %d answers", p, rec.Offset, answered[ms])
			}
		}
		for _, rec := range o.news(place{schemas.TopicSettlements, p}) {
			var ev schemas.SettlementEvent
			if err := json.Unmarshal(rec.Value, &ev); err != nil {
				return err
			}
			if err := o.judgeMeta(place{schemas.TopicSettlements, p}, rec, &ev.Meta); err != nil {
				return err
			}
			if err := o.judgeStatement(ev); err != nil {
				return fmt.Errorf("%s of %s, version %d: %w", ev.Number, ev.TenantID, ev.Version, err)
			}
		}
	}
	return nil
}

func (o *oracle) judgeStatement(ev schemas.SettlementEvent) error {
	of := ev.TenantID + " " + string(ev.PeriodMonth)
	known, ok := o.statements.last[ev.SettlementID]
	if ev.Version != known.Version+1 {
		return fmt.Errorf("follows version %d", known.Version)
	}
	o.statements.last[ev.SettlementID] = ev
	if ok { // the status and what is said of the payout may change, the figures never
		known.Meta, known.Version, known.Status = ev.Meta, ev.Version, ev.Status
		known.Change, known.Note, known.PaidDate = ev.Change, ev.Note, ev.PaidDate
		known.PayoutID, known.PayoutState, known.Payouts = ev.PayoutID, ev.PayoutState, ev.Payouts
		known.PaymentDate = max(known.PaymentDate, ev.PaymentDate) // it is paid later where the calendar has missed days
		was, _ := json.Marshal(known)
		is, _ := json.Marshal(ev)
		if string(was) != string(is) {
			return fmt.Errorf("the figures changed from %s to %s", was, is)
		}
		return nil
	}
	if before, ok := o.statements.last["latest "+of]; ev.Sequence != before.Sequence+1 || ok &&
		before.SettlementID == ev.SettlementID {
		return fmt.Errorf("sequence %d follows %d", ev.Sequence, before.Sequence)
	}
	o.statements.last["latest "+of] = ev
	total, adjustments, err := o.lines(ev)
	switch {
	case err != nil:
		return err
	case total != ev.TotalCollectionsCents || adjustments != ev.AdjustmentsCents:
		return fmt.Errorf("its lines add up to %d and %d of adjustments, the statement says %d and %d", total, adjustments,
			ev.TotalCollectionsCents, ev.AdjustmentsCents)
	case ev.DistributionFeeCents != share(total, 2500) || ev.CollectionsFeeCents != share(total, 350):
		return fmt.Errorf("fees of %d are %d and %d", total, ev.DistributionFeeCents, ev.CollectionsFeeCents)
	case ev.TotalFeesCents != ev.DistributionFeeCents+ev.CollectionsFeeCents || ev.VATCents != share(ev.TotalFeesCents,
		1500):
		return fmt.Errorf("fees %d and VAT %d do not follow", ev.TotalFeesCents, ev.VATCents)
	case ev.NetCents+ev.VATCents+ev.TotalFeesCents != total:
		return fmt.Errorf("net, VAT and fees are not the total")
	}
	return nil
}

// lines adds up the collections' events that the coverage names, and checks that its ranges go on where the last ones
// ended.
func (o *oracle) lines(ev schemas.SettlementEvent) (total, adjustments schemas.Cents, err error) {
	for _, c := range ev.Coverage {
		of := ev.TenantID + " " + string(c.Period)
		to, known := o.statements.to[of]
		if !known {
			to = make([]int64, o.partitions)
		}
		next := make([]int64, o.partitions)
		for p := range o.partitions {
			if c.From[p] != to[p] {
				return 0, 0, fmt.Errorf("period %s partition %d counts from %d; the last statement ended at %d", c.Period, p,
					c.From[p], to[p])
			}
			next[p] = max(to[p], c.To[p])
			for _, rec := range o.r.log[place{schemas.TopicCollections, p}] {
				var k schemas.CollectionEvent
				if err := json.Unmarshal(rec.Value, &k); err != nil {
					return 0, 0, err
				}
				if k.Seq < c.From[p] || k.Seq >= c.To[p] {
					continue
				}
				if k.TenantID == ev.TenantID && k.PeriodMonth == c.Period {
					total += k.Change.MovedCents
					if c.Period != ev.PeriodMonth {
						adjustments += k.Change.MovedCents
					}
				}
			}
		}
		o.statements.to[of] = next
	}
	return total, adjustments, nil
}

// share is a part in ten thousand, rounded half away from zero.
func share(cents schemas.Cents, of int64) schemas.Cents {
	n := int64(cents) * of
	if n < 0 {
		return -schemas.Cents((-n + 5000) / 10_000)
	}
	return schemas.Cents((n + 5000) / 10_000)
}

// judgeClearing: per tenant, instructed - succeeded - failed - disputed - pending = 0.
func (o *oracle) judgeClearing() error {
	left := map[string]schemas.Cents{}
	for id, t := range o.tenants {
		left[id] = t.instructed - t.failed
	}
	for _, k := range o.collections {
		left[k.latest.TenantID] -= k.latest.CollectedCents + k.latest.InFlightCents
	}
	for id, cents := range left {
		if cents != 0 {
			return fmt.Errorf("the clearing account of %s stands at %d cents", id, cents)
		}
	}
	return nil
}

// end judges what can only be said when everything is over.
func (o *oracle) end() error {
	for _, k := range o.collections {
		if err := o.judgeSums(&step{causes: []*kgo.Record{{}}}, k); err != nil {
			return err
		}
	}
	for ms, letters := range o.dead {
		if len(letters) != 1 {
			return fmt.Errorf("the record of ms %d is among the dead letters %d times", ms, len(letters))
		}
	}
	return nil
}

func placesOf(records []*kgo.Record) (all []string) {
	for _, rec := range records {
		all = append(all, fmt.Sprintf("%s/%d@%d", rec.Topic, rec.Partition, rec.Offset))
	}
	return all
}
