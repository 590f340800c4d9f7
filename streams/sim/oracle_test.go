package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"cloud.google.com/go/civil"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// oracle judges a run by the records on the topics alone: it shares the types of schemas with the pipeline, and no rule
// and no state.
//
// Every record of the outside has a timestamp of its own, which its copy on the timeline and all that it causes carry
// on. So the oracle goes along a partition's timeline and takes up, step by step, what each record caused. Only the two
// ticks of a day share a step.
type oracle struct {
	r          *reader
	partitions int32
	bad        map[int64]bool // timestamps of what the world got wrong on purpose

	at    map[place]int // records judged, of each place
	seq   map[string]int64
	ids   map[string]bool // event ids
	ticks map[place]schemas.Tick
	dead  map[int64][]*kgo.Record // dead letters by timestamp

	taken       map[string]bool // transactions
	policies    map[string]schemas.PolicyEvent
	collections map[string]*collection
	debits      map[string]*debit
	tenants     map[string]*clearing
	statements  statements
	moving      map[string]string          // request by policy id, while owners waits for the customer's answer
	released    map[string]bool            // moves of which a customer has let go
	fresh       []schemas.DebitInstruction // since the last judgement
	count       func(what string)
}

func newOracle(r *reader, partitions int32, count func(what string)) *oracle {
	return &oracle{
		r: r, partitions: partitions, bad: map[int64]bool{}, at: map[place]int{}, seq: map[string]int64{},
		ids:   map[string]bool{},
		ticks: map[place]schemas.Tick{}, dead: map[int64][]*kgo.Record{}, taken: map[string]bool{},
		policies:    map[string]schemas.PolicyEvent{},
		collections: map[string]*collection{}, debits: map[string]*debit{}, tenants: map[string]*clearing{},
		statements: newStatements(), moving: map[string]string{}, released: map[string]bool{}, count: count,
	}
}

// step is one record of a timeline, or the ticks of a day, and everything that it caused.
type step struct {
	at      place
	causes  []*kgo.Record
	ms      int64
	refused bool // by collect
	noted   bool // refused, and left something behind: a PAID that contradicts, another amount

	transactions []schemas.TransactionEvent
	debits       []schemas.DebitInstruction
	policies     []schemas.PolicyEvent
	collections  []schemas.CollectionEvent
	items        []schemas.OpenItemEvent
	outcomes     []schemas.OutcomeEvent
	outputs      int

	customer string // of a move: whose half of it this is
}

// mine tells whether an output is of this half of a move: both may lie on one partition, and carry the timestamp of the
// command. Who lets go answers only a refusal.
func (s *step) mine(ev any) bool {
	if s.customer == "" {
		return true
	}
	cmd := moveOf(s.causes[0])
	switch ev := ev.(type) {
	case *schemas.CollectionEvent:
		return ev.CustomerID == s.customer
	case *schemas.PolicyEvent:
		return ev.CustomerID == s.customer
	case *schemas.OutcomeEvent:
		return (ev.Code == schemas.OutcomeOK) == (cmd.Moved != nil)
	}
	return true
}

// moveOf is the move that a record of the timeline or of the policy commands holds.
func moveOf(rec *kgo.Record) (cmd schemas.MoveCommand) {
	_ = json.Unmarshal(rec.Value, &cmd)
	return cmd
}

func (s *step) errorf(format string, args ...any) error {
	return fmt.Errorf("timeline partition %d offset %d (%s, ms %d): %s", s.at.partition, s.causes[0].Offset,
		kindOf(s.causes[0]), s.ms, fmt.Sprintf(format, args...))
}

// judge takes in what is new. It is called at rest, when everything that the timeline holds has been taken over.
func (o *oracle) judge() ([]schemas.DebitInstruction, error) {
	o.fresh = nil
	for _, rec := range o.news(place{schemas.TopicDeadLetters, 0}) {
		o.dead[rec.Timestamp.UnixMilli()] = append(o.dead[rec.Timestamp.UnixMilli()], rec)
	}
	if err := o.judgeIntake(); err != nil {
		return nil, err
	}
	for again := true; again; {
		again = false
		for p := range o.partitions {
			for {
				s, err := o.step(p)
				if err != nil {
					return nil, err
				}
				if s == nil {
					break
				}
				again = true
				if err := o.judgeStep(s); err != nil {
					return nil, err
				}
			}
		}
	}
	for p := range o.partitions {
		if err := o.nothingLeft(p); err != nil {
			return nil, err
		}
	}
	if err := o.judgeSettlements(); err != nil {
		return nil, err
	}
	return o.fresh, o.judgeClearing()
}

// news are the records of a place that have not been judged yet; it counts them as judged.
func (o *oracle) news(at place) []*kgo.Record {
	fresh := o.r.log[at][o.at[at]:]
	o.at[at] = len(o.r.log[at])
	return fresh
}

// step takes up the next record of a timeline partition and what it caused. A policy that comes from another customer
// waits until it has left.
func (o *oracle) step(p int32) (*step, error) {
	at := place{schemas.TopicTimeline, p}
	rest := o.r.log[at][o.at[at]:]
	if len(rest) == 0 {
		return nil, nil
	}
	s := &step{at: at, ms: rest[0].Timestamp.UnixMilli(), causes: rest[:1]}
	if kindOf(rest[0]) == schemas.KindMove {
		cmd := moveOf(rest[0])
		if cmd.Moved != nil && !o.released[moveID(&cmd, s.ms)] {
			return nil, nil
		}
		s.customer = cmd.At()
	}
	for kindOf(rest[0]) != schemas.KindMove && len(rest) > len(s.causes) &&
		rest[len(s.causes)].Timestamp.UnixMilli() == s.ms {
		s.causes = rest[:len(s.causes)+1]
	}
	o.at[at] += len(s.causes)
	for _, d := range o.dead[s.ms] {
		s.refused = s.refused || headerOf(d, "__connect.errors.connector.name") == "collect"
		switch headerOf(d, "__connect.errors.class.name") {
		case schemas.RejectContradictsFinal, schemas.RejectAmountMismatch:
			s.noted = true
		}
	}
	for _, err := range []error{
		caused(o, s, schemas.TopicTransactions, &s.transactions,
			func(e *schemas.TransactionEvent) *schemas.Meta { return &e.Meta }),
		caused(o, s, schemas.TopicDeposits, new([]schemas.DepositEvent),
			func(e *schemas.DepositEvent) *schemas.Meta { return &e.Meta }),
		caused(o, s, schemas.TopicDecisions, new([]schemas.DecisionEvent),
			func(e *schemas.DecisionEvent) *schemas.Meta { return &e.Meta }),
		caused(o, s, schemas.TopicDebits, &s.debits, func(e *schemas.DebitInstruction) *schemas.Meta { return &e.Meta }),
		caused(o, s, schemas.TopicPolicies, &s.policies, func(e *schemas.PolicyEvent) *schemas.Meta { return &e.Meta }),
		caused(o, s, schemas.TopicCollections, &s.collections,
			func(e *schemas.CollectionEvent) *schemas.Meta { return &e.Meta }),
		caused(o, s, schemas.TopicOpenItems, &s.items, func(e *schemas.OpenItemEvent) *schemas.Meta { return &e.Meta }),
		caused(o, s, topicCollectOutcomes, &s.outcomes, func(e *schemas.OutcomeEvent) *schemas.Meta { return &e.Meta }),
	} {
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// topicCollectOutcomes is the collect stage's part of kasi.outcomes.v1, which three stages write; judgeIntake sorts
// them.
const topicCollectOutcomes = "outcomes of collect"

// caused takes up the outputs of one topic that carry the step's timestamp.
func caused[T any](o *oracle, s *step, topic string, into *[]T, meta func(*T) *schemas.Meta) error {
	at := place{topic, s.at.partition}
	for _, rec := range o.r.log[at][o.at[at]:] {
		if rec.Timestamp.UnixMilli() != s.ms {
			return nil
		}
		var ev T
		if err := json.Unmarshal(rec.Value, &ev); err != nil {
			return s.errorf("an output on %s is no JSON of its type: %v", topic, err)
		}
		if !s.mine(&ev) {
			return nil
		}
		o.at[at]++
		if err := o.judgeMeta(at, rec, meta(&ev)); err != nil {
			return err
		}
		*into = append(*into, ev)
		s.outputs++
	}
	return nil
}

// judgeMeta is what every event must have: the next number of its topic and partition, and an id that no other has.
func (o *oracle) judgeMeta(at place, rec *kgo.Record, m *schemas.Meta) error {
	key := fmt.Sprintf("%s/%d", at.topic, at.partition)
	o.seq[key]++
	switch {
	case m.Seq != o.seq[key]:
		return fmt.Errorf("%s partition %d offset %d has seq %d, after %d", at.topic, at.partition, rec.Offset, m.Seq,
			o.seq[key]-1)
	case o.ids[m.EventID]:
		return fmt.Errorf("%s partition %d offset %d: event id %s was there before", at.topic, at.partition, rec.Offset,
			m.EventID)
	case m.At.UnixMilli() != rec.Timestamp.UnixMilli():
		return fmt.Errorf("%s partition %d offset %d has another instant inside than outside", at.topic, at.partition,
			rec.Offset)
	}
	o.ids[m.EventID] = true
	return nil
}

// nothingLeft refuses outputs that no record of the timeline caused.
func (o *oracle) nothingLeft(p int32) error {
	for _, topic := range []string{
		schemas.TopicTransactions, schemas.TopicDeposits, schemas.TopicDecisions, schemas.TopicDebits, schemas.TopicPolicies,
		schemas.TopicCollections, topicCollectOutcomes,
	} {
		if at := (place{topic, p}); o.at[at] < len(o.r.log[at]) {
			return fmt.Errorf("%s partition %d offset %d was caused by nothing, or twice, or out of order", topic, p,
				o.r.log[at][o.at[at]].Offset)
		}
	}
	return nil
}

func (o *oracle) judgeStep(s *step) error {
	rec := s.causes[0]
	kind := kindOf(rec)
	if len(s.causes) > 1 && kind != schemas.KindTick {
		return s.errorf("%d records of the timeline have one timestamp", len(s.causes))
	}
	if s.refused && !s.noted && s.outputs > 0 {
		return s.errorf("it was refused and caused %d outputs", s.outputs)
	}
	var err error
	switch kind {
	case schemas.KindTick:
		err = o.judgeTicks(s)
	case schemas.KindTransaction:
		err = o.judgeTransaction(s, rec)
	case schemas.KindResult:
		err = o.judgeResult(s, rec)
	case schemas.KindPolicy:
		err = o.judgePolicy(s, rec)
	case schemas.KindMove:
		err = o.judgeMove(s, rec)
	case schemas.KindExecute:
		err = o.judgeExecute(s, rec)
	}
	if err == nil && kind != schemas.KindTick && len(s.debits) > 0 {
		err = s.errorf("a debit outside of a cut-off")
	}
	if err != nil {
		return err
	}
	return o.judgeMoney(s)
}

// judgeTicks: no day and no cut-off is left out.
func (o *oracle) judgeTicks(s *step) error {
	for _, rec := range s.causes {
		var now schemas.Tick
		if err := json.Unmarshal(rec.Value, &now); err != nil {
			return s.errorf("no tick: %v", err)
		}
		last, known := o.ticks[s.at]
		if known {
			day, err := civil.ParseDate(last.Date)
			if err != nil {
				return s.errorf("no date: %v", err)
			}
			same := now.Date == last.Date && now.Cutoff == last.Cutoff+1
			next := now.Date == day.AddDays(1).String() && now.Cutoff == 0 && last.Cutoff > 0
			if !same && !next {
				return s.errorf("tick %v follows %v", now, last)
			}
		}
		o.ticks[s.at] = now
	}
	return nil
}

// judgeTransaction: each counts once.
func (o *oracle) judgeTransaction(s *step, rec *kgo.Record) error {
	var tx schemas.Transaction
	if err := json.Unmarshal(rec.Value, &tx); err != nil {
		return s.errorf("no transaction: %v", err)
	}
	key := strings.Join([]string{tx.TenantID, tx.CustomerID, tx.TransactionID}, "\x1f")
	switch {
	case s.refused:
		return s.errorf("transaction %s was refused", tx.TransactionID)
	case o.taken[key] && s.outputs > 0:
		return s.errorf("transaction %s came again and caused %d outputs", tx.TransactionID, s.outputs)
	case !o.taken[key] && len(s.transactions) != 1:
		return s.errorf("transaction %s is on %s %d times", tx.TransactionID, schemas.TopicTransactions, len(s.transactions))
	}
	o.taken[key] = true
	return nil
}

func kindOf(rec *kgo.Record) schemas.Kind { return schemas.Kind(headerOf(rec, schemas.HeaderKind)) }

func headerOf(rec *kgo.Record, key string) string {
	i := slices.IndexFunc(rec.Headers, func(h kgo.RecordHeader) bool { return h.Key == key })
	if i < 0 {
		return ""
	}
	return string(rec.Headers[i].Value)
}

// outcomeStage is the stage that wrote an outcome.
func outcomeStage(rec *kgo.Record) string {
	var ev schemas.OutcomeEvent
	_ = json.Unmarshal(rec.Value, &ev)
	return ev.Stage
}
