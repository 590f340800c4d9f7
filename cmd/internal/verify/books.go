package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/records"
)

// event holds the fields of all our events that the verifier looks at; an event has some of them.
type event struct {
	EventID       string `json:"event_id"`
	Seq           int64  `json:"seq"`
	Tenant        string `json:"tenant_id"`
	Customer      string `json:"customer_id"`
	Policy        string `json:"policy_number"`
	PolicyID      string `json:"policy_id"`
	Collection    string `json:"collection_id"`
	Period        string `json:"period_month"`
	TransactionID string `json:"transaction_id"`
	DebitID       string `json:"debit_id"`
	Attempt       int    `json:"attempt"`
	Amount        int64  `json:"amount_cents"`
	ActionDate    string `json:"action_date"`
	Version       int64  `json:"version"`
	Premium       int64  `json:"collection_amount_cents"`
	Due           int64  `json:"due_cents"`
	Collected     int64  `json:"collected_cents"`
	InFlight      int64  `json:"in_flight_cents"`
	Status        string `json:"collection_status"`
	Change        struct {
		Kind     string `json:"kind"`
		DebitID  string `json:"debit_id"`
		ResultID string `json:"result_id"`
		Moved    int64  `json:"moved_cents"`
		Amount   int64  `json:"amount_cents"`
	} `json:"change"`
	Stage string `json:"stage"`
	statement
	Date   string `json:"date"`
	Cutoff int    `json:"cutoff"`

	partition int32
	offset    int64
	fresh     bool // too young to be judged
}

// statement holds the fields of a settlement.
type statement struct {
	SettlementID    string `json:"settlement_id"`
	Number          string `json:"settlement_number"`
	Sequence        int    `json:"sequence"`
	Total           int64  `json:"total_collections_cents"`
	Adjustments     int64  `json:"adjustments_cents"`
	DistributionFee int64  `json:"distribution_fee_cents"`
	CollectionsFee  int64  `json:"collections_fee_cents"`
	TotalFees       int64  `json:"total_fees_cents"`
	VAT             int64  `json:"vat_cents"`
	Net             int64  `json:"net_cents"`
	Coverage        []struct {
		Period   string  `json:"period_month"`
		From, To []int64 // by partition of kasi.collections.v1
	} `json:"coverage"`
}

// result is what the bank said, as it said it.
type result struct {
	ResultID  string `json:"result_id"`
	DebitID   string `json:"debit_id"`
	Status    string `json:"status"`
	Effective string `json:"effective_date"`
	Amount    *int64 `json:"amount_cents"`
	partition int32
	fresh     bool
}

// books is everything read from Kafka.
type books struct {
	o       Options
	young   time.Time // records since then are in transit
	ends    records.Ends
	records int64
	today   string // the calendar's last day

	tallies     map[tallyKey]*tally
	debits      []*event
	collections []*event // versions, in order within a partition
	policies    []*event
	settlements []*event
	results     map[string][]*result // by debit
	resultIDs   map[string]map[string]bool
	unreadable  []string

	accepted   map[uint64]int64 // transactions, by hash of tenant, customer and id
	fed        []fedTransaction
	deadPlaces map[string]bool // origins of dead letters
	deadFed    map[uint64]bool // transactions refused on the timeline
}

type fedTransaction struct {
	hash  uint64
	place string
	fresh bool
}

// readBooks asks for the ends once and reads each topic up to its end. In what order it asks decides what may be
// missing while the product works: effects that must have a cause are asked for before the cause; what was fed is asked
// for first of all, because there a missing effect is the difference.
func readBooks(ctx context.Context, o Options) (*books, error) {
	b := &books{
		o: o, ends: records.Ends{}, tallies: map[tallyKey]*tally{}, results: map[string][]*result{},
		resultIDs: map[string]map[string]bool{},
		accepted:  map[uint64]int64{}, deadPlaces: map[string]bool{}, deadFed: map[uint64]bool{},
	}
	b.young = o.Now().Add(-o.Grace)
	for _, topics := range [][]string{
		{schemas.TopicFeedTransactions},
		{schemas.TopicSettlements},
		{
			schemas.TopicCollections, schemas.TopicDecisions, schemas.TopicDeposits, schemas.TopicPolicies,
			schemas.TopicOutcomes, schemas.TopicCalendar,
		},
		{schemas.TopicDebits, schemas.TopicTransactions, schemas.TopicRailResults, schemas.TopicDeadLetters},
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
	slices.SortStableFunc(b.collections, func(x, y *event) int {
		if x.partition != y.partition {
			return int(x.partition - y.partition)
		}
		return int(x.offset - y.offset)
	})
	return b, nil
}

// take books one record.
func (b *books) take(r *kgo.Record) error {
	b.records++
	fresh := b.o.Grace > 0 && r.Timestamp.After(b.young)
	switch r.Topic {
	case schemas.TopicFeedTransactions:
		b.takeFed(r, fresh)
		return nil
	case schemas.TopicDeadLetters:
		b.takeDead(r)
		return nil
	case schemas.TopicRailResults:
		b.takeResult(r, fresh)
		return nil
	}
	e := &event{partition: r.Partition, offset: r.Offset, fresh: fresh}
	if err := json.Unmarshal(r.Value, e); err != nil {
		b.unreadable = append(b.unreadable, fmt.Sprintf("%s partition %d offset %d: %v", r.Topic, r.Partition, r.Offset, err))
		return nil
	}
	b.tally(r.Topic, e)
	switch r.Topic {
	case schemas.TopicTransactions:
		b.accepted[hash(e.Tenant, e.Customer, e.TransactionID)]++
	case schemas.TopicDebits:
		b.debits = append(b.debits, e)
	case schemas.TopicCollections:
		b.collections = append(b.collections, e)
	case schemas.TopicPolicies:
		b.policies = append(b.policies, e)
	case schemas.TopicSettlements:
		b.settlements = append(b.settlements, e)
	case schemas.TopicCalendar:
		b.today = max(b.today, e.Date)
	}
	return nil
}

func (b *books) takeFed(r *kgo.Record, fresh bool) {
	var e event
	h := uint64(0)
	if json.Unmarshal(r.Value, &e) == nil {
		h = hash(e.Tenant, e.Customer, e.TransactionID)
	}
	b.fed = append(b.fed, fedTransaction{h, place(r.Topic, strconv.Itoa(int(r.Partition)), strconv.FormatInt(r.Offset,
		10)), fresh})
}

// The headers of a dead letter, as Kafka Connect names them.
const (
	deadTopic     = "__connect.errors.topic"
	deadPartition = "__connect.errors.partition"
	deadOffset    = "__connect.errors.offset"
)

func (b *books) takeDead(r *kgo.Record) {
	from := map[string]string{}
	for _, h := range r.Headers {
		from[h.Key] = string(h.Value)
	}
	b.deadPlaces[place(from[deadTopic], from[deadPartition], from[deadOffset])] = true
	var e event
	if from[deadTopic] == schemas.TopicTimeline && json.Unmarshal(r.Value, &e) == nil && e.TransactionID != "" {
		b.deadFed[hash(e.Tenant, e.Customer, e.TransactionID)] = true
	}
}

// takeResult keeps a result that the contract allows (CONTRACT 8); others are refused and change nothing.
func (b *books) takeResult(r *kgo.Record, fresh bool) {
	res := &result{partition: r.Partition, fresh: fresh}
	if json.Unmarshal(r.Value, res) != nil || res.ResultID == "" || !slices.Contains([]string{
		"PAID", "UNPAID", "REJECTED",
		"DISPUTED",
	}, res.Status) {
		return
	}
	if _, err := time.Parse(time.DateOnly, res.Effective); err != nil {
		return
	}
	res.DebitID = strings.ToLower(res.DebitID)
	b.results[res.DebitID] = append(b.results[res.DebitID], res)
	if b.resultIDs[res.DebitID] == nil {
		b.resultIDs[res.DebitID] = map[string]bool{}
	}
	b.resultIDs[res.DebitID][res.ResultID] = true
}

func place(topic, partition, offset string) string { return topic + "/" + partition + "/" + offset }

// hash is of facts that hold no control characters.
func hash(facts ...string) uint64 { return xxhash.Sum64String(strings.Join(facts, "\x00")) }

func rands(cents int64) string {
	sign := ""
	if cents < 0 {
		sign, cents = "-", -cents
	}
	return fmt.Sprintf("R %s%d.%02d", sign, cents/100, cents%100)
}
