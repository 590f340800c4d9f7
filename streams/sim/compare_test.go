package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// compare runs the same inputs once more, on a fresh broker on which nothing fails and in as few batches as there can
// be, and holds every output against that of the run, byte for byte. The order of the timeline among its writers is the
// run's own.
func (r *run) compare() {
	// intake: what comes from outside, and whose policy number is whose.
	again, err := r.clean([]string{"intake"}, schemas.TopicFeedTransactions, schemas.TopicFeedIncomes,
		schemas.TopicRailResults, schemas.TopicPolicyCommands)
	r.check(err)
	made := func(rec *kgo.Record) bool { k := kindOf(rec); return k != schemas.KindTick && k != schemas.KindExecute }
	r.same(again, schemas.TopicTimeline, made, true)
	r.same(again, schemas.TopicDeadLetters, of("intake", "owners"), true)
	r.check(sameLines("outcomes of owners", stageLines(r.reader, "owners", r.rig.partitions), stageLines(again, "owners",
		r.rig.partitions)))

	again, err = r.clean([]string{"collect", "settle"}, schemas.TopicTimeline, schemas.TopicSettlementCommands)
	r.check(err)
	for _, topic := range []string{
		schemas.TopicTransactions, schemas.TopicDeposits, schemas.TopicDecisions, schemas.TopicDebits, schemas.TopicPolicies,
		schemas.TopicCollections, schemas.TopicOpenItems, schemas.TopicSettlements,
	} {
		r.same(again, topic, func(*kgo.Record) bool { return true }, false)
	}
	r.same(again, schemas.TopicPolicyCommands, func(rec *kgo.Record) bool { return kindOf(rec) == schemas.KindMove }, true)
	r.same(again, schemas.TopicDeadLetters, of("collect", "settle"), true)
	for _, stage := range []string{"collect", "settle"} {
		r.check(sameLines("outcomes of "+stage, stageLines(r.reader, stage, r.rig.partitions), stageLines(again, stage,
			r.rig.partitions)))
	}
}

// clean runs stages over the run's own inputs and returns what they wrote.
func (r *run) clean(stages []string, inputs ...string) (out *reader, err error) {
	g, err := newRig(r.rig.partitions)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(g.cfg.Brokers...),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	}, g.cfg.KgoOpts...)...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	for _, at := range r.reader.places {
		if !slices.Contains(inputs, at.topic) {
			continue
		}
		var copies []*kgo.Record
		for _, rec := range r.reader.log[at] {
			copies = append(copies, &kgo.Record{
				Topic: at.topic, Partition: at.partition, Key: rec.Key, Value: rec.Value,
				Headers: rec.Headers, Timestamp: rec.Timestamp,
			})
		}
		if err := cl.ProduceSync(r.ctx, copies...).FirstErr(); err != nil {
			return nil, err
		}
	}
	calm := newWeather(0, rand.New(rand.NewPCG(0, 0)))
	calm.calm()
	g.start(calm, 0, &ledger{reader: r.reader}, stages...)
	out, err = newReader(g, allTopics()...)
	if err != nil {
		return nil, err
	}
	defer out.cl.Close()
	groups := map[string][]string{}
	for group, topics := range stageInputs() {
		if slices.Contains(inputs, topics[0]) {
			groups[group] = topics
		}
	}
	return out, g.settle(r.ctx, out, groups)
}

// settle waits until the stages of a rig have nothing left to do.
func (r *rig) settle(ctx context.Context, out *reader, groups map[string][]string) error {
	for began, pause := time.Now(), 2*time.Millisecond; ; pause = min(pause*5/4, 50*time.Millisecond) {
		if err := out.poll(ctx); err != nil {
			return err
		}
		if out.quiet(groups) {
			return nil
		}
		if err := r.failed(); err != nil {
			return err
		}
		if time.Since(began) > patience {
			return fmt.Errorf("the pipeline does not come to rest within %v of virtual time", patience)
		}
		time.Sleep(pause)
	}
}

// same compares one topic. Where several writers meet, only the order within each is fixed, which the sequence of
// timestamps shows.
func (r *run) same(again *reader, topic string, take func(*kgo.Record) bool, anyOrder bool) {
	for _, at := range r.reader.places {
		if at.topic != topic {
			continue
		}
		was, is := lines(r.reader.log[at], take), lines(again.log[at], take)
		if anyOrder {
			slices.Sort(was)
			slices.Sort(is)
		}
		r.check(sameLines(fmt.Sprintf("%s partition %d", at.topic, at.partition), was, is))
	}
}

func lines(records []*kgo.Record, take func(*kgo.Record) bool) []string {
	var out []string
	for _, rec := range records {
		if take(rec) {
			out = append(out, line(rec))
		}
	}
	return out
}

// of takes the dead letters of some stages.
func of(stages ...string) func(*kgo.Record) bool {
	return func(rec *kgo.Record) bool {
		return slices.Contains(stages, headerOf(rec, "__connect.errors.connector.name"))
	}
}

func stageLines(r *reader, stage string, partitions int32) []string {
	var out []string
	for p := range partitions {
		for _, l := range lines(r.log[place{schemas.TopicOutcomes, p}], func(rec *kgo.Record) bool {
			return outcomeStage(rec) == stage
		}) {
			out = append(out, fmt.Sprintf("%d %s", p, l))
		}
	}
	return out
}

func sameLines(what string, was, is []string) error {
	for i := range max(len(was), len(is)) {
		switch {
		case i >= len(was):
			return fmt.Errorf("%s: a run without faults has one more: %s", what, is[i])
		case i >= len(is):
			return fmt.Errorf("%s: a run without faults does not have: %s", what, was[i])
		case was[i] != is[i]:
			return fmt.Errorf("%s: record %d differs:\n  this run:       %s\n  without faults: %s", what, i, was[i], is[i])
		}
	}
	return nil
}
