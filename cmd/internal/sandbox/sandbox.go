// Package sandbox is a bank to try Kasi with: it reads debits from Kafka, and answers each on its action date. What it
// answers follows from the debit and its options alone, and the id of an answer from the debit's: run again, it changes
// nothing.
package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"cloud.google.com/go/civil"
	"github.com/cespare/xxhash/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/records"
	"github.com/kasi-collections/kasi/streams/retry"
)

// Options of a bank.
type Options struct {
	Kafka records.Source
	// Today is the business date: no debit is answered before its action date.
	Today func(ctx context.Context) (civil.Date, error)
	// Fails are the policies whose debits are not paid, each with the bank's code of why.
	Fails map[string]string
	// UnpaidPercent of the other debits are not paid for want of funds, and DisputedPercent of those that are paid are
	// disputed at once. Which ones follows from Seed and the debit's id.
	UnpaidPercent, DisputedPercent int
	Seed                           uint64
	// Once ends the bank when everything that can be answered by now is answered.
	Once bool
	// Every is the pause between two looks. Default: half a second.
	Every time.Duration
	// Answered hears of each answer after Kafka has it.
	Answered func(schemas.DebitInstruction, schemas.Result)
}

// noFunds is the South African code of a debit that found too little money.
const noFunds = "02"

// bank is a bank under way.
type bank struct {
	Options
	cl      *kgo.Client
	read    records.Ends // up to where debits were read
	waiting map[string]schemas.DebitInstruction
	given   map[string]int // answers that a debit has by now
}

// Run answers debits until ctx ends, or with Once until none is left that can be answered, and returns how many it
// answered and how many wait for their day.
func Run(ctx context.Context, o Options) (answered, waiting int, err error) {
	if o.Every <= 0 {
		o.Every = 500 * time.Millisecond
	}
	b := &bank{Options: o, waiting: map[string]schemas.DebitInstruction{}, given: map[string]int{}}
	if b.cl, err = o.Kafka.Client(kgo.RequiredAcks(kgo.AllISRAcks())); err != nil {
		return 0, 0, err
	}
	defer b.cl.Close()
	if err := b.heard(ctx); err != nil {
		return 0, 0, err
	}
	if b.read, err = o.Kafka.Starts(ctx, schemas.TopicDebits); err != nil {
		return 0, 0, err
	}
	for {
		n, err := b.look(ctx)
		answered += n
		if ctx.Err() != nil {
			return answered, len(b.waiting), nil
		}
		if err != nil || o.Once {
			return answered, len(b.waiting), err
		}
		if retry.Pause(ctx, o.Every) != nil {
			return answered, len(b.waiting), nil
		}
	}
}

// heard reads which debits have an answer already, whoever gave it.
func (b *bank) heard(ctx context.Context) error {
	ends, err := b.Kafka.Ends(ctx, schemas.TopicRailResults)
	if err != nil {
		return err
	}
	return b.Kafka.Read(ctx, ends, func(r *kgo.Record) error {
		var res schemas.Result
		if json.Unmarshal(r.Value, &res) == nil { // a broken one is a dead letter of Kasi's
			b.given[res.DebitID]++
		}
		return nil
	})
}

// look reads the debits that came since the last look, and answers those whose day has come.
func (b *bank) look(ctx context.Context) (answered int, err error) {
	today, err := b.Today(ctx)
	if err != nil {
		return 0, err
	}
	ends, err := b.Kafka.Ends(ctx, schemas.TopicDebits)
	if err != nil {
		return 0, err
	}
	err = b.Kafka.ReadFrom(ctx, b.read, ends, func(r *kgo.Record) error {
		var d schemas.DebitInstruction
		if err := json.Unmarshal(r.Value, &d); err != nil || d.DebitID == "" {
			return nil // none of Kasi's
		}
		if b.given[d.DebitID] < len(b.judge(d)) { // of two answers, a killed bank may have sent one
			b.waiting[d.DebitID] = d
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	b.read = ends
	for _, id := range slices.Sorted(maps.Keys(b.waiting)) {
		d := b.waiting[id]
		results := b.judge(d)
		on := results[len(results)-1].EffectiveDate
		if on > today.String() {
			continue
		}
		if err := b.send(ctx, results); err != nil {
			return answered, err
		}
		delete(b.waiting, id)
		b.given[id] = len(results)
		answered++
		if b.Answered != nil {
			b.Answered(d, results[len(results)-1])
		}
	}
	return answered, nil
}

// judge is what the bank says of a debit: one result, or two where it is paid and then disputed. A tracked debit that
// is not paid is answered on the last day on which the bank presents it.
func (b *bank) judge(d schemas.DebitInstruction) []schemas.Result {
	res := schemas.Result{
		ResultID: "SANDBOX-" + d.DebitID, DebitID: d.DebitID, Status: schemas.ResultPaid, EffectiveDate: d.ActionDate,
		AmountCents: &d.AmountCents,
	}
	code, fails := b.Fails[d.PolicyNumber]
	if !fails && b.drawn("unpaid", d.DebitID, b.UnpaidPercent) {
		code, fails = noFunds, true
	}
	if fails {
		res.Status, res.ReasonCode = schemas.ResultUnpaid, code
		if code == noFunds && d.TrackingUntil != "" {
			res.EffectiveDate = d.TrackingUntil
		}
		return []schemas.Result{res}
	}
	if b.drawn("disputed", d.DebitID, b.DisputedPercent) {
		dispute := res
		dispute.ResultID, dispute.Status = res.ResultID+"-DISPUTE", schemas.ResultDisputed
		dispute.ReasonCode = "30"
		return []schemas.Result{res, dispute}
	}
	return []schemas.Result{res}
}

// drawn tells whether something happens to a debit, in so many of 100 cases.
func (b *bank) drawn(what, id string, percent int) bool {
	return xxhash.Sum64String(fmt.Sprint(b.Seed, what, id))%100 < uint64(percent)
}

func (b *bank) send(ctx context.Context, results []schemas.Result) error {
	for _, res := range results {
		value, err := json.Marshal(res)
		if err != nil {
			return err
		}
		rec := &kgo.Record{Topic: schemas.TopicRailResults, Key: []byte(res.DebitID), Value: value}
		if err := b.cl.ProduceSync(ctx, rec).FirstErr(); err != nil {
			return fmt.Errorf("the answer to a debit cannot be written: %w", errors.Join(err, ctx.Err()))
		}
	}
	return nil
}
