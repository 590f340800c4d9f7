package verify

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/records"
)

// books is everything read from Kafka.
type books struct {
	own     settings // of tenants
	o       Options
	young   time.Time // records since then are in transit
	ends    records.Ends
	records int64

	tallies     map[tallyKey]*tally
	debits      []*event
	collections []*event // in the order of their ids and versions
	policies    []*event
	settlements []*event
	payouts     []*event
	answers     map[string][]*result // of the bank, by payout
	items       []*event
	again       Check // of the decisions that were priced
	executions  []*event
	results     map[string][]*result // by debit
	unreadable  []string
	plain       []*kgo.Record // on the events' topics, and in no transaction

	gone  map[string]bool // topics from which records were removed
	notes []string        // which

	accepted   map[uint64]int64 // transactions, by hash of tenant, customer and id
	fed        []fedTransaction
	deadPlaces map[string]bool // origins of dead letters
	deadFed    map[uint64]bool // transactions refused on the timeline
}

type fedTransaction struct {
	hash   uint64
	key    uint64
	record string // where it lies
	place  string // of a line of a file: the record and the line's number
	fresh  bool
}

// readBooks asks for the ends once and reads each topic up to its end. In what order it asks decides what may be
// missing while the product works: effects that must have a cause are asked for before the cause; what was fed is asked
// for first of all, because there a missing effect is the difference.
func readBooks(ctx context.Context, o Options) (*books, error) {
	b := &books{
		o: o, young: time.Now().Add(-o.Grace), ends: records.Ends{}, tallies: map[tallyKey]*tally{},
		results: map[string][]*result{}, accepted: map[uint64]int64{}, deadPlaces: map[string]bool{},
		deadFed: map[uint64]bool{}, gone: map[string]bool{}, answers: map[string][]*result{},
	}
	for _, topics := range [][]string{
		{schemas.TopicFeedTransactions},
		{schemas.TopicSettlements},
		{
			schemas.TopicCollections, schemas.TopicDecisions, schemas.TopicDeposits, schemas.TopicPolicies,
			schemas.TopicPayouts, schemas.TopicOpenItems, schemas.TopicOutcomes, schemas.TopicImports, schemas.TopicExecutions,
			schemas.TopicCalendar, schemas.TopicAudit,
		},
		{
			schemas.TopicDebits, schemas.TopicTransactions, schemas.TopicRailResults, schemas.TopicPayoutResults,
			schemas.TopicDeadLetters,
		},
	} {
		ends, err := o.Kafka.Ends(ctx, topics...)
		if err != nil {
			return nil, err
		}
		maps.Copy(b.ends, ends)
	}
	if err := o.Kafka.Read(ctx, b.ends, b.take); err != nil {
		return nil, err
	}
	if err := b.readSettings(ctx); err != nil {
		return nil, err
	}
	if err := b.noteRemoved(ctx); err != nil {
		return nil, err
	}
	b.takePlain()
	for _, sent := range []map[string][]*result{b.results, b.answers} {
		for _, rs := range sent {
			for _, r := range rs {
				r.maybe = r.maybe || b.deadPlaces[r.place] || b.gone[schemas.TopicDeadLetters]
			}
		}
	}
	inOrder(b.collections, collectionID)
	return b, nil
}

// noteRemoved notes what retention, or an operator, has removed from topics that may be cut: those of outsiders, and
// the dead letters. It looks after the reading, so that nothing is missed that was removed meanwhile.
func (b *books) noteRemoved(ctx context.Context) error {
	starts, err := b.o.Kafka.Starts(ctx, schemas.TopicFeedTransactions, schemas.TopicFeedIncomes, schemas.TopicRailResults,
		schemas.TopicPayoutResults, schemas.TopicDeadLetters)
	if err != nil {
		return err
	}
	for at, start := range starts {
		if start > 0 {
			b.gone[at.Topic] = true
			b.notes = append(b.notes, fmt.Sprintf("%s partition %d: offsets 0 to %d were removed from Kafka; what rests on "+
				"them is not checked", at.Topic, at.Partition, start-1))
		}
	}
	slices.Sort(b.notes)
	return nil
}

// take books one record.
func (b *books) take(r *kgo.Record) error {
	b.records++
	fresh := b.o.Grace > 0 && r.Timestamp.After(b.young)
	switch r.Topic {
	case schemas.TopicDeadLetters:
		b.takeDead(r)
		return nil
	case schemas.TopicRailResults:
		b.takeResult(r, fresh)
		return nil
	case schemas.TopicPayoutResults:
		b.takeAnswer(r, fresh)
		return nil
	}
	if r.Topic == schemas.TopicFeedTransactions {
		e := &event{}
		err := json.Unmarshal(r.Value, e)
		b.takeFed(r, e, err == nil, fresh)
		return nil
	}
	if !r.Attrs.IsTransactional() {
		b.plain = append(b.plain, r)
		return nil
	}
	b.takeEvent(r, fresh)
	return nil
}

// takePlain books what lies on the events' topics in no transaction: ticks, and events that were copied record by
// record. What the sink has set aside is somebody else's, and is noted only.
func (b *books) takePlain() {
	for _, r := range b.plain {
		if b.deadPlaces[place(r.Topic, r.Partition, r.Offset)] {
			b.notes = append(b.notes, fmt.Sprintf("%s partition %d offset %d is no record of ours and was set aside", r.Topic,
				r.Partition, r.Offset))
			continue
		}
		b.takeEvent(r, b.o.Grace > 0 && r.Timestamp.After(b.young))
	}
	b.plain = nil
}

// takeEvent books one event.
func (b *books) takeEvent(r *kgo.Record, fresh bool) {
	e := &event{partition: r.Partition, offset: r.Offset, fresh: fresh}
	if err := json.Unmarshal(r.Value, e); err != nil {
		b.unreadable = append(b.unreadable, fmt.Sprintf("%s partition %d offset %d: %v", r.Topic, r.Partition, r.Offset, err))
		return
	}
	b.tally(r.Topic, e)
	switch r.Topic {
	case schemas.TopicTransactions:
		b.accepted[e.hash()]++
	case schemas.TopicDebits:
		b.debits = append(b.debits, e)
	case schemas.TopicCollections:
		b.collections = append(b.collections, e)
	case schemas.TopicPolicies:
		b.policies = append(b.policies, e)
	case schemas.TopicSettlements:
		b.settlements = append(b.settlements, e)
	case schemas.TopicPayouts:
		b.payouts = append(b.payouts, e)
	case schemas.TopicOpenItems:
		b.items = append(b.items, e)
	case schemas.TopicDecisions:
		b.priceAgain(r, e)
	case schemas.TopicExecutions:
		b.executions = append(b.executions, e)
	}
}

// takeFed keeps what a feed's record brings: one transaction as JSON, or a file of them as CSV (CONTRACT 8).
func (b *books) takeFed(r *kgo.Record, e *event, isJSON, fresh bool) {
	at := place(r.Topic, r.Partition, r.Offset)
	text := strings.TrimPrefix(string(r.Value), "\ufeff")
	header, _, _ := strings.Cut(text, "\n")
	switch {
	case isJSON && e.State != "PENDING": // which never counts
		b.fed = append(b.fed, fedTransaction{e.hash(), e.key(), at, at, fresh})
		return
	case isJSON:
		return
	case strings.HasPrefix(text, "{") || !strings.Contains(header, "transaction_id"):
		b.fed = append(b.fed, fedTransaction{record: at, place: at, fresh: fresh})
		return
	}
	rows := csv.NewReader(strings.NewReader(text))
	rows.FieldsPerRecord = -1
	names, _ := rows.Read()
	cell := func(row []string, name string) string {
		if i := slices.Index(names, name); i >= 0 && i < len(row) {
			return row[i]
		}
		return ""
	}
	for n := 1; ; n++ {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		one := event{
			Tenant: cell(row, "tenant_id"), Customer: cell(row, "customer_id"), TransactionID: cell(row, "transaction_id"),
			Account: cell(row, "account_id"),
		}
		if cell(row, "state") != "PENDING" {
			b.fed = append(b.fed, fedTransaction{one.hash(), one.key(), at, fmt.Sprintf("%s/%d", at, n), fresh})
		}
	}
}

// refused tells whether a fed transaction is a dead letter: its line, or the whole record.
func (b *books) refused(f fedTransaction) bool {
	return b.deadPlaces[f.place] || b.deadPlaces[f.record]
}

func (b *books) takeDead(r *kgo.Record) {
	from := map[string]string{} // by the headers' names at Kafka Connect
	for _, h := range r.Headers {
		from[strings.TrimPrefix(h.Key, "__connect.errors.")] = string(h.Value)
	}
	at := place(from["topic"], from["partition"], from["offset"])
	if from["entry"] != "" {
		at += "/" + from["entry"]
	}
	b.deadPlaces[at] = true
	var e event
	if from["topic"] == schemas.TopicTimeline && json.Unmarshal(r.Value, &e) == nil && e.TransactionID != "" {
		b.deadFed[e.hash()], b.deadFed[e.key()] = true, true
	}
}

// takeResult keeps a result that the contract allows (CONTRACT 8); others are refused and change nothing.
func (b *books) takeResult(r *kgo.Record, fresh bool) {
	res := &result{place: place(r.Topic, r.Partition, r.Offset), maybe: fresh}
	if json.Unmarshal(r.Value, res) != nil || res.ResultID == "" || answers[res.Status] == "" {
		return
	}
	if _, err := time.Parse(time.DateOnly, res.Effective); err != nil {
		return
	}
	res.DebitID = strings.ToLower(res.DebitID)
	b.results[res.DebitID] = append(b.results[res.DebitID], res)
}
