package storm

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/cmd/internal/demo"
	"github.com/kasi-collections/kasi/streams/feed"
	"github.com/kasi-collections/kasi/streams/retry"
)

const (
	// atOnce is how many victims may be on their way back at one time: with more, the groups would do nothing but wait for
	// dead members.
	atOnce = 3
	// ahead is how many kills the month may run ahead of the killer before it waits for it.
	ahead = 2
	// moment bounds the random pause before a kill, shortMoment the one in phases that are one quick call, downtime the
	// one before the victim is started again.
	moment      = 2 * time.Second
	shortMoment = 300 * time.Millisecond
	downtime    = time.Second
	// asleep is how long a process sleeps (SIGSTOP): longer than the group waits for it, so that it wakes as a member that
	// others have forgotten.
	asleep = 20 * time.Second
	// copyAfter is the day of the month, from 0, at whose beginning an older copy of ClickHouse is of; it is brought back
	// once, some time after olderAfter.
	copyAfter, olderAfter = 5, 9
	// joinEvery is how many kills lie between two instances that join.
	joinEvery = 4
	// stay bounds how long an instance that joined stays.
	stay = 15 * time.Second
)

// killer kills in rotation, at random moments, as many as the month's progress allows: so the kills spread over all
// phases of it.
type killer struct {
	o            Options
	ps           *processes
	w            *Watch
	victims      []*victim
	acknowledged *Fed
	fail         context.CancelCauseFunc
	bar          *feed.Progress
	probe        *probe

	mu      sync.Mutex
	rng     *rand.Rand
	allowed int
	kills   int
	queue   []*victim
	back    int // victims on their way back
	day     civil.Date
	copied  time.Time // when copyAfter began
	now     demo.Phase
	calls   int // advances that were repeated
	joined  int // instances that joined, and left
	current *os.Process
	once    sync.Once
	work    sync.WaitGroup
	done    chan struct{} // all kills are done
}

func newKiller(o Options, ps *processes, w *Watch, ch *clickHouse, fail context.CancelCauseFunc) *killer {
	k := &killer{
		o: o, ps: ps, w: w, fail: fail, acknowledged: NewFed(),
		rng: rand.New(rand.NewPCG(o.Seed, 1<<34)), done: make(chan struct{}), day: firstDay,
	}
	k.victims = k.all(ch)
	return k
}

// run kills until all kills are done.
func (k *killer) run(ctx context.Context) {
	defer close(k.done)
	var err error
	if k.probe, err = newProbe(ctx, k.o.Brokers, k.o.Replication); err != nil {
		k.fail(err)
		return
	}
	defer k.probe.cl.Close()
	var back sync.WaitGroup
	defer back.Wait()
	for strikes := 0; k.count() < k.o.Kills; {
		for !k.mayKill() {
			if retry.Pause(ctx, lookEvery) != nil {
				return
			}
		}
		if retry.Pause(ctx, k.pause(k.most())) != nil {
			return
		}
		v := k.next()
		if v == nil {
			continue
		}
		if !v.kill() {
			k.missed(v)
			continue
		}
		if strikes++; strikes%joinEvery == 0 {
			n := strikes / joinEvery
			back.Go(func() { k.visit(ctx, n) })
		}
		back.Go(func() { k.revive(ctx, v) })
	}
}

// revive starts a victim again and measures how long it takes until it is of use.
func (k *killer) revive(ctx context.Context, v *victim) {
	began := time.Now()
	pause := cmp.Or(v.rest, k.pause(downtime))
	defer func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.back--
		v.away = false
	}()
	if retry.Pause(ctx, pause) != nil {
		return
	}
	if err := v.start(); err != nil {
		k.fail(err)
		return
	}
	k.measure(ctx, v, v.name(), began, v.back)
	if v.whole != nil {
		if err := v.whole(ctx); err != nil && ctx.Err() == nil {
			k.fail(err)
		}
	}
}

// measure waits until a victim is of use again, and notes how long that took.
func (k *killer) measure(ctx context.Context, v *victim, name string, killed time.Time,
	back func(context.Context) bool,
) {
	if err := WaitFor(ctx, name+" to come back", func() bool { return back(ctx) }); err != nil {
		if ctx.Err() == nil {
			k.fail(fmt.Errorf("killed at %s: %w", killed.Format(time.TimeOnly), err))
		}
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	v.took = append(v.took, time.Since(killed))
}

// next is the next victim of the rotation that is not on its way back.
func (k *killer) next() *victim {
	k.mu.Lock()
	defer k.mu.Unlock()
	free := func(v *victim) bool { return !v.away && (v.busy == nil || v.busy()) }
	if !slices.ContainsFunc(k.queue, free) {
		// Those left over may have nothing to kill for long: they are in the next round again.
		k.queue = slices.Clone(k.victims)
		k.rng.Shuffle(len(k.queue), func(i, j int) { k.queue[i], k.queue[j] = k.queue[j], k.queue[i] })
	}
	for i, v := range k.queue {
		if !free(v) {
			continue
		}
		k.queue = slices.Delete(k.queue, i, i+1)
		v.away = true
		v.turn++
		k.back++
		k.kills++
		v.kills++
		return v
	}
	return nil
}

// missed takes back that a victim was killed: there was nothing to kill.
func (k *killer) missed(v *victim) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v.away = false
	v.kills--
	k.kills--
	k.back--
}

func (k *killer) counted(v *victim) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kills++
	v.kills++
}

func (k *killer) mayKill() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.kills < k.allowed && k.back < atOnce
}

func (k *killer) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.kills
}

func (k *killer) pause(most time.Duration) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return time.Duration(k.rng.Int64N(int64(most)))
}

// advancing tells which process is moving the calendar; nil when none.
func (k *killer) advancing(p *os.Process) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.current = p
}

func (k *killer) repeated() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls++
}

// finish waits until every kill is done and every victim back.
func (k *killer) finish(ctx context.Context) error {
	select {
	case <-k.done:
	case <-ctx.Done():
	}
	k.work.Wait()
	k.bar.Done()
	return context.Cause(ctx)
}

// Share is the part of all kills that is due when a phase begins.
func Share(p demo.Phase, d civil.Date) float64 {
	switch p {
	case demo.PhaseImport:
		return 0.04
	case demo.PhaseExecute:
		return 0.07
	case demo.PhaseHistory:
		return 0.1
	case demo.PhaseMorning, demo.PhaseAdvance:
		days := float64(firstDay.AddMonths(1).AddDays(2).DaysSince(firstDay) + 1)
		return 0.1 + 0.87*float64(d.DaysSince(firstDay)+1)/days
	case demo.PhaseSettle, demo.PhaseReport:
		return 0.97
	case demo.PhaseExport:
		return 1
	}
	return 0
}

// phase hears from the month where it is, and makes it wait where the killer is behind.
func (k *killer) phase(ctx context.Context, p demo.Phase, d civil.Date) error {
	k.once.Do(func() { k.begin(ctx) })
	k.mu.Lock()
	k.allowed = max(k.allowed, int(Share(p, d)*float64(k.o.Kills)+0.5))
	k.day, k.now = d, p
	if k.copied.IsZero() && d.DaysSince(firstDay) >= copyAfter {
		k.copied = time.Now()
	}
	k.mu.Unlock()
	if p != demo.PhaseMorning {
		return nil
	}
	k.show()
	return WaitFor(ctx, "the killer", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.allowed-k.kills <= ahead
	})
}

// begin starts to kill, and to show how far that is.
func (k *killer) begin(ctx context.Context) {
	k.bar = feed.NewProgress(k.o.Out, k.o.Terminal, "storm", int64(k.o.Kills)).EachStep()
	k.work.Go(func() { k.run(ctx) })
	if !k.o.Terminal {
		return // a line a day
	}
	k.work.Go(func() {
		for retry.Pause(ctx, time.Second) == nil {
			select {
			case <-k.done:
				return
			default:
				k.show()
			}
		}
	})
}

// most is how long a kill may be put off in the present phase.
func (k *killer) most() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch k.now {
	case demo.PhaseExecute, demo.PhaseReport, demo.PhaseSettle, demo.PhaseExport:
		return shortMoment
	default:
		return moment
	}
}

// visit lets one more instance of a role join and leave again, every other time by a kill.
//
// kfake, which is what there is where no broker can be killed, starts the session of a member only when it answers its
// join: one that dies before holds its group up for the whole rebalance timeout, a minute. So there instances leave in
// peace, and no member is killed while another joins.
func (k *killer) visit(ctx context.Context, n int) {
	role := []string{"collect", "sink", "intake"}[n%3]
	v := k.victims[slices.IndexFunc(k.victims, func(v *victim) bool { return v.role == role })]
	gentle := k.o.Cluster == nil
	if gentle {
		if !k.spare(v) {
			return
		}
		defer k.release(v)
	}
	name := fmt.Sprintf("%s-visitor-%d", role, n)
	if err := k.ps.start(role, name); err != nil {
		k.fail(err)
		return
	}
	if retry.Pause(ctx, stay/3+k.pause(stay*2/3)) != nil {
		return
	}
	k.mu.Lock()
	k.joined++
	k.mu.Unlock()
	if gentle || n%2 == 0 {
		k.ps.stop(name)
		return
	}
	back := v.use(name)
	if k.ps.kill(name) {
		k.counted(v)
		k.measure(ctx, v, name, time.Now(), back)
	}
}

// spare keeps a role from being killed until its release, unless it is on its way back already.
func (k *killer) spare(v *victim) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if v.away {
		return false
	}
	v.away = true
	return true
}

func (k *killer) release(v *victim) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v.away = false
}
