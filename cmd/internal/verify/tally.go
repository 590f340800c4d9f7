package verify

import (
	"fmt"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/kasi-collections/kasi/schemas"
)

// table is a topic, the ClickHouse table that its events go to, and the columns whose cents are compared one by one.
type table struct {
	topic, name string
	cents       []string
	of          func(e *event) []int64
}

// tables are compared row by row, through a digest over event id, number and cents. The calendar has none of these and
// is counted only.
var tables = []table{
	{
		schemas.TopicTransactions, "transactions_log",
		[]string{"amount_cents"},
		func(e *event) []int64 { return []int64{e.Amount} },
	},
	{schemas.TopicDeposits, "deposits_log", []string{"amount_cents"}, func(e *event) []int64 { return []int64{e.Amount} }},
	{
		schemas.TopicDecisions, "decisions_log",
		[]string{"amount_cents"},
		func(e *event) []int64 { return []int64{e.Amount} },
	},
	{schemas.TopicDebits, "debits_log", []string{"amount_cents"}, func(e *event) []int64 { return []int64{e.Amount} }},
	{
		schemas.TopicPolicies, "policies_log",
		[]string{"premium_cents"},
		func(e *event) []int64 { return []int64{e.Premium} },
	},
	{
		schemas.TopicCollections, "collections_log",
		[]string{"moved_cents", "due_cents", "collected_cents", "in_flight_cents"},
		func(e *event) []int64 { return []int64{e.Change.Moved, e.Due, e.Collected, e.InFlight} },
	},
	{
		schemas.TopicSettlements, "settlements_log",
		[]string{
			"net_cents", "total_collections_cents", "adjustments_cents", "distribution_fee_cents",
			"collections_fee_cents", "total_fees_cents", "vat_cents",
		},
		func(e *event) []int64 {
			return []int64{e.Net, e.Total, e.Adjustments, e.DistributionFee, e.CollectionsFee, e.TotalFees, e.VAT}
		},
	},
	{schemas.TopicOutcomes, "outcomes_log", nil, func(*event) []int64 { return nil }},
	{schemas.TopicCalendar, "calendar_log", nil, func(*event) []int64 { return nil }},
}

// tallyKey is one run of numbers: outcomes are numbered per stage, everything else per topic and partition.
type tallyKey struct {
	topic     string
	partition int32
	stage     string
}

// tally is what one run of numbers holds.
type tally struct {
	rows, maxSeq int64
	sum          int64 // of the first of the table's columns
	digest       uint64
	gaps         []string
}

func (b *books) tally(topic string, e *event) {
	for i := range tables {
		if tables[i].topic != topic {
			continue
		}
		key := tallyKey{topic: topic, partition: e.partition}
		if topic == schemas.TopicOutcomes {
			key.stage = e.Stage
		}
		t := b.tallies[key]
		if t == nil {
			t = &tally{}
			b.tallies[key] = t
		}
		t.add(topic, e, tables[i].of(e))
	}
}

func (t *tally) add(topic string, e *event, cents []int64) {
	t.rows++
	if topic == schemas.TopicCalendar {
		return
	}
	if e.Seq != t.maxSeq+1 && len(t.gaps) < maxExamples {
		t.gaps = append(t.gaps, fmt.Sprintf("%s partition %d offset %d: number %d follows %d", topic, e.partition, e.offset,
			e.Seq, t.maxSeq))
	}
	t.maxSeq = max(t.maxSeq, e.Seq)
	if len(cents) > 0 {
		t.sum += cents[0]
	}
	text := e.EventID + ":" + strconv.FormatInt(e.Seq, 10)
	for _, c := range cents {
		text += ":" + strconv.FormatInt(c, 10)
	}
	t.digest += xxhash.Sum64String(text)
}

// sequences checks the numbers on Kafka itself: a gap is a lost event, a repetition a second one.
func (b *books) sequences(c *Check) {
	for _, text := range b.unreadable {
		c.differ("%s", text)
	}
	for _, t := range b.tallies {
		c.Counted += t.rows
		for _, g := range t.gaps {
			c.differ("%s", g)
		}
	}
}
