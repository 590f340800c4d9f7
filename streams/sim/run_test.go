package sim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/civil"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/calendar"
	"github.com/kasi-collections/kasi/streams/commands"
)

// run is one life of the whole pipeline, as a seed decides it.
type run struct {
	seed    uint64
	rig     *rig
	weather *weather
	reader  *reader
	oracle  *oracle
	bank    *bank
	script  *script
	ledger  *ledger

	ctx      context.Context
	producer *kgo.Client
	commands *commands.Commands
	calendar *calendar.Clock
	rng      *rand.Rand // of what is neither script nor bank nor weather

	start, today civil.Date
	counts       map[string]int
	hash         string
	records      int
	lives        int
	virtual      time.Duration
}

// failure is what a check gives up with; play turns it into an error.
type failure struct{ err error }

func (r *run) check(err error) {
	if err != nil {
		panic(failure{err})
	}
}

func (r *run) count(what string) { r.counts[what]++ }

// later lets a moment pass: no two records of the outside have the same timestamp, so that every output names the
// record that caused it.
func (r *run) later() { time.Sleep(time.Millisecond) }

// play runs a seed in a bubble of virtual time and returns what came of it, with the first thing that was wrong.
func play(t *testing.T, seed uint64) (r *run, err error) {
	r = &run{seed: seed, counts: map[string]int{}, rng: rand.New(rand.NewPCG(seed, 1))}
	synctest.Test(t, func(*testing.T) {
		defer func() {
			if p := recover(); p != nil {
				f, ok := p.(failure)
				if !ok {
					panic(p)
				}
				err = f.err
			}
			err = errors.Join(err, r.end())
		}()
		r.begin()
		r.live()
		r.compare()
	})
	return r, err
}

// begin starts everything.
func (r *run) begin() {
	rng := r.rng
	r.start = civil.Date{Year: 2025, Month: 10, Day: 1}.AddDays(rng.IntN(240))
	time.Sleep(time.Until(r.start.In(schemas.Johannesburg)))
	var cancel context.CancelFunc
	r.ctx, cancel = context.WithCancel(context.Background())
	_ = cancel
	var err error
	r.rig, err = newRig(1 + int32(rng.IntN(3)))
	r.check(err)
	r.reader, err = newReader(r.rig, allTopics()...)
	r.check(err)
	r.oracle = newOracle(r.reader, r.rig.partitions, r.count)
	books, err := newReader(r.rig, schemas.TopicCollections)
	r.check(err)
	r.weather = newWeather(r.seed, rng)
	r.ledger = &ledger{reader: books, weather: r.weather}
	r.weather.install(r.rig.cluster)
	r.producer, err = kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(r.rig.cfg.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
	}, r.rig.cfg.KgoOpts...)...)
	r.check(err)
	r.commands, err = commands.New(r.rig.cfg)
	r.check(err)
	r.bank = &bank{run: r, seed: r.seed}
	r.script = newScript(r, rand.New(rand.NewPCG(r.seed, 2)))
	r.rig.start(r.weather, []int{2, 5, 20, 1000}[rng.IntN(4)], r.ledger, "intake", "collect", "settle")
}

// live is the months.
func (r *run) live() {
	var err error
	r.calendar, err = calendar.New(r.rig.cfg, dated)
	r.check(err)
	early := r.rng.IntN(4) == 0
	if early {
		r.script.first()
	}
	r.later()
	r.check(calendar.RunTicker(r.ctx, r.rig.cfg, dated, calendar.Ticker{Manual: true, Start: r.start}, func() {}))
	if !early {
		r.script.first()
	}
	days := 14 + r.rng.IntN(18)
	if r.rng.IntN(8) == 0 {
		days += 31
	}
	for r.today = r.start; ; {
		r.rest()
		r.bank.day(r.today, r.script.rng)
		r.script.day(r.today)
		r.upset()
		if r.today.DaysSince(r.start) >= days {
			break
		}
		to := r.today.AddDays(1)
		switch r.rng.IntN(10) {
		case 0:
			to = r.today // one more cut-off of the same day
		case 1:
			to = r.today.AddDays(2 + r.rng.IntN(5)) // days on which nothing comes
		}
		r.later()
		_, err := r.calendar.Advance(r.ctx, to, calendar.AdvanceOpts{Stall: patience})
		r.check(err)
		r.today = to
	}
	r.weather.calm()
	r.rest()
	r.check(r.oracle.end())
	r.hash, r.virtual = r.trace(), time.Since(r.weather.began)
}

// upset stops a stage and starts it again, now and then.
func (r *run) upset() {
	if r.rng.IntN(12) > 0 {
		return
	}
	p := r.rig.processes[r.rng.IntN(len(r.rig.processes))]
	select {
	case p.restart <- struct{}{}:
		r.weather.mu.Lock()
		r.weather.note(p.name, "stopped and started")
		r.weather.mu.Unlock()
	default:
	}
}

// rest waits until nothing moves any more and has the oracle judge what came out.
func (r *run) rest() {
	began := time.Now()
	for pause := 2 * time.Millisecond; ; pause = min(pause*5/4, 50*time.Millisecond) {
		r.check(r.reader.poll(r.ctx))
		if r.reader.quiet(stageInputs()) {
			break
		}
		r.check(r.rig.failed())
		if time.Since(began) > patience {
			r.check(fmt.Errorf("the pipeline does not come to rest within %v of virtual time", patience))
		}
		time.Sleep(pause)
	}
	debits, err := r.oracle.judge()
	r.check(err)
	for _, d := range debits {
		r.bank.take(d)
	}
	r.count("steps judged")
}

// produce writes one record of the outside to a partition that means nothing. bad ones must end among the dead letters
// of intake.
func (r *run) produce(bad bool, rec *kgo.Record) {
	r.later()
	rec.Timestamp, rec.Partition = time.Now(), int32(r.rng.IntN(int(r.rig.partitions)))
	if bad {
		r.oracle.bad[rec.Timestamp.UnixMilli()] = true
	}
	r.check(r.producer.ProduceSync(r.ctx, rec).FirstErr())
}

// end stops everything, whatever state it is in.
func (r *run) end() error {
	if r.rig == nil {
		return nil
	}
	if r.weather != nil {
		r.weather.calm()
	}
	err := r.rig.close()
	for _, p := range r.rig.processes {
		r.lives += p.lives
	}
	for _, close := range r.closers() {
		close()
	}
	return err
}

func (r *run) closers() (all []func()) {
	if r.reader != nil {
		all = append(all, r.reader.cl.Close)
	}
	if r.ledger != nil {
		all = append(all, r.ledger.reader.cl.Close)
	}
	if r.producer != nil {
		all = append(all, r.producer.Close)
	}
	if r.commands != nil {
		all = append(all, r.commands.Close)
	}
	if r.calendar != nil {
		all = append(all, r.calendar.Close)
	}
	return all
}

// trace is a hash of every record with its place, and of every fault with its time.
func (r *run) trace() string {
	h := sha256.New()
	for _, at := range r.reader.places {
		for _, rec := range r.reader.log[at] {
			fmt.Fprintf(h, "%s %d %d %s\n", at.topic, at.partition, rec.Offset, line(rec))
			r.records++
		}
	}
	for _, l := range r.weather.log {
		fmt.Fprintln(h, l)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// line is what of a record must be the same in every run.
func line(r *kgo.Record) string {
	s := fmt.Sprintf("%d %q %s", r.Timestamp.UnixMilli(), r.Key, r.Value)
	for _, h := range r.Headers {
		s += fmt.Sprintf(" %s=%q", h.Key, h.Value)
	}
	return s
}
