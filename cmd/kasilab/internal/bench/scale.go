package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/retry"
)

// instances is how many collect stages share the partitions when one of them dies.
const instances = 3

// failoverRate is the load in the meantime, in records a second.
const failoverRate = 2_000

// benchPartitions measures collect with 1, 2 and 4 partitions.
func benchPartitions(ctx context.Context, k *kafka, o *options, t *table) error {
	t.section("Collect by partitions", "records/s", "processor s a million records (client + broker)")
	for _, n := range []int{1, 2, 4} {
		o := *o
		o.partitions, o.profile = n, ""
		if err := k.anew(ctx, &o); err != nil {
			return err
		}
		w := world{o.customers, n}
		if err := k.feed(ctx, w.month(o.warm+o.records)); err != nil {
			return err
		}
		one := &turn{name: fmt.Sprintf("%d partition(s)", n), do: func(round int) (run, error) {
			return k.once(ctx, &o, collectContender(&o), round, int64(w.setupRecords()+o.warm),
				int64(w.setupRecords()+w.ticksIn()+o.warm+o.records))
		}}
		if err := takeTurns(o.rounds, func() error { return nil }, one); err != nil {
			return err
		}
		t.row(one.name, rates(one.runs), costs(one.runs))
	}
	return nil
}

// benchFailover lets one of three collect stages die under load and measures how long its partitions stand still.
func benchFailover(ctx context.Context, k *kafka, o *options, t *table) error {
	t.section("One of three collect stages ends", "its partitions stand still for", "the others' longest pause meanwhile")
	for _, how := range []struct {
		name string
		end  func(*child) error
	}{
		{"stopped (SIGTERM)", (*child).stop},
		{"kill -9", func(c *child) error { c.kill(); return nil }},
	} {
		var gone, others []time.Duration
		for range o.rounds {
			a, b, err := k.failover(ctx, o, how.end)
			if err != nil {
				return err
			}
			say("   %s: %v, others %v", how.name, a, b)
			gone, others = append(gone, a), append(others, b)
		}
		slices.Sort(gone)
		slices.Sort(others)
		t.row(how.name, spread(gone), spread(others))
	}
	t.note("Failover: %d records a second over %d partitions, %d customers; a dead member is missed after the group's "+
		"session timeout of 15 s.", failoverRate, o.partitions, o.customers)
	return nil
}

func spread(sorted []time.Duration) string {
	r := func(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
	return fmt.Sprintf("%v (%v-%v)", r(sorted[len(sorted)/2]), r(sorted[0]), r(sorted[len(sorted)-1]))
}

// failover is one death.
func (k *kafka) failover(ctx context.Context, o *options, end func(*child) error) (gone, others time.Duration,
	err error,
) {
	if err := k.anew(ctx, o); err != nil {
		return 0, 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := world{o.customers, o.partitions}
	if err := k.feed(ctx, func(yield func(*kgo.Record) bool) { w.setup(yield) }); err != nil {
		return 0, 0, err
	}
	var members []*child
	for i := range instances {
		c, err := spawn(ctx, "collect", k.brokers(), fmt.Sprint(o.transaction), fmt.Sprint(i))
		if err != nil {
			return 0, 0, err
		}
		members = append(members, c)
	}
	defer func() {
		for i, c := range members {
			if i != 1 {
				err = errors.Join(err, c.stop())
			}
		}
	}()
	if err := k.until(ctx, nil, schemas.GroupCollect, schemas.TopicTimeline, int64(w.setupRecords())); err != nil {
		return 0, 0, err
	}
	mine, err := k.settled(ctx, "kasi-collect-1")
	if err != nil {
		return 0, 0, err
	}
	loaded := make(chan struct{})
	go func() { defer close(loaded); k.load(ctx, w) }()
	if err := retry.Pause(ctx, 3*time.Second); err != nil {
		return 0, 0, err
	}
	watch := newPauses(mine)
	if err := k.watch(ctx, watch, 500*time.Millisecond); err != nil {
		return 0, 0, err
	}
	watch.kill = time.Now()
	ended := make(chan error, 1)
	go func() { ended <- end(members[1]) }()
	for !watch.done() {
		if err := k.watch(ctx, watch, 0); err != nil {
			return 0, 0, err
		}
	}
	err = <-ended
	cancel()
	<-loaded
	return watch.gone, watch.others, err
}

// load feeds transactions at a steady rate until ctx ends.
func (k *kafka) load(ctx context.Context, w world) {
	random, began := newRandom(), time.Now()
	for sent := 0; ; {
		for ; sent < int(time.Since(began).Seconds()*failoverRate); sent++ {
			who := random.IntN(w.customers)
			at := monthBegins.Add(time.Duration(sent) * time.Second)
			k.client.Produce(ctx, w.record(schemas.KindTransaction, who, w.transaction(random, sent, who, at), at), nil)
		}
		if retry.Pause(ctx, look) != nil {
			return
		}
	}
}

// settled waits until every instance has partitions, and returns those of one client.
func (k *kafka) settled(ctx context.Context, id string) (map[int32]bool, error) {
	for {
		groups, err := k.admin.DescribeGroups(ctx, schemas.GroupCollect)
		if err != nil {
			return nil, err
		}
		mine, owners := map[int32]bool{}, 0
		for _, m := range groups[schemas.GroupCollect].Members {
			assigned, ok := m.Assigned.AsConsumer()
			if !ok {
				continue
			}
			for _, t := range assigned.Topics {
				if len(t.Partitions) > 0 {
					owners++
				}
				for _, p := range t.Partitions {
					if strings.HasPrefix(m.ClientID, id) {
						mine[p] = true
					}
				}
			}
		}
		if owners == instances && len(mine) > 0 && groups[schemas.GroupCollect].State == "Stable" {
			return mine, nil
		}
		if err := retry.Pause(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// pauses follows how long each partition's committed offset stands still.
type pauses struct {
	mine         map[int32]bool
	kill         time.Time
	at           map[int32]int64
	moved        map[int32]time.Time
	gone, others time.Duration
	back         map[int32]bool
}

func newPauses(mine map[int32]bool) *pauses {
	return &pauses{mine: mine, at: map[int32]int64{}, moved: map[int32]time.Time{}, back: map[int32]bool{}}
}

// done tells that each partition of the dead instance has moved on, after its pause.
func (p *pauses) done() bool { return len(p.back) == len(p.mine) }

func (p *pauses) see(partition int32, offset int64, now time.Time) {
	if offset == p.at[partition] {
		return
	}
	if last, known := p.moved[partition]; known && !p.kill.IsZero() {
		pause := now.Sub(last)
		switch {
		case !p.mine[partition]:
			p.others = max(p.others, pause)
		case now.Sub(p.kill) > 200*time.Millisecond && pause > 200*time.Millisecond || p.back[partition]:
			// What it had under way at its end may still have come through; the pause is what follows.
			p.gone, p.back[partition] = max(p.gone, pause), true
		}
	}
	p.at[partition], p.moved[partition] = offset, now
}

// watch looks once, or for a time.
func (k *kafka) watch(ctx context.Context, p *pauses, long time.Duration) error {
	for began := time.Now(); ; {
		offsets, err := k.admin.FetchOffsets(ctx, schemas.GroupCollect)
		if err != nil {
			return err
		}
		now := time.Now()
		for partition, o := range offsets[schemas.TopicTimeline] {
			p.see(partition, o.At, now)
		}
		if err := retry.Pause(ctx, look); err != nil || time.Since(began) >= long {
			return err
		}
	}
}
