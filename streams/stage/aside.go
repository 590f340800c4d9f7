package stage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/retry"
)

// mostAsidePause bounds the pauses after which a partition that was set aside is looked at again.
const mostAsidePause = 10 * time.Minute

// asideAnyway is how long nothing may seem to have changed before a partition that was set aside is restored all the
// same: a log may have been mended in its place.
const asideAnyway = time.Hour

// comeBack looks again at partitions that were set aside, beside the loop, until ctx ends. Where one could go on by now
// the session ends, and the next one has it: a client's position in a running session cannot be moved safely. Until
// then the others are not disturbed.
func (r *session) comeBack(ctx context.Context) {
	pauses := retry.Growing(r.cfg.AsidePause, mostAsidePause)
	found := map[progress.Place]evidence{}
	for retry.Pause(ctx, pauses.NextBackOff()) == nil {
		aside := r.parts.setAside()
		if len(aside) == 0 {
			pauses.Reset()
			continue
		}
		mended, err := r.mended(ctx, aside, found)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			r.log.Warn("partitions that are set aside could not be looked at", "err", err)
		case len(mended) > 0:
			r.fail(fmt.Errorf("%v can go on: the stage starts again with it", mended))
		}
	}
}

// evidence is what a look at a partition that was set aside has judged by, but for the records themselves. A restore
// reads a whole state, so it is not done again while the evidence is the same.
type evidence struct {
	topic, state     topicID
	input, changelog bound
	group            int64
	next             int64 // what the state says that it needs
	at               time.Time
}

// same tells whether another look would judge alike. Of the input counts where it begins and ends beside what the state
// needs: records that go on coming change nothing.
func (e evidence) same(now evidence) bool {
	return e.topic == now.topic && e.state == now.state && e.changelog == now.changelog && e.group == now.group &&
		max(e.input.start, e.next) == max(now.input.start, e.next) &&
		min(e.input.end, e.next) == min(now.input.end, e.next) && now.at.Sub(e.at) < asideAnyway
}

// mended are those of some partitions that were set aside that could go on. Those of which found holds the same
// evidence as there is now are not looked at.
func (r *session) mended(ctx context.Context, aside []progress.Place, found map[progress.Place]evidence) (
	mended []progress.Place, err error,
) {
	now, err := r.evidenceOf(ctx, aside)
	if err != nil {
		return nil, err
	}
	slots, next := map[progress.Place]*slot{}, map[progress.Place]int64{}
	for _, at := range aside {
		if was, looked := found[at]; !looked || !was.same(now[at]) {
			slots[at] = &slot{group: now[at].group, topic: now[at].topic.text()}
		}
	}
	if len(slots) == 0 {
		return nil, nil
	}
	if _, err := r.restoreAll(ctx, slots, next, 0); err != nil {
		return nil, err
	}
	for at, s := range slots {
		if _, ok := next[at]; ok {
			mended = append(mended, at)
		}
		e := now[at]
		e.next = s.memory.Now().Next
		found[at] = e
	}
	slices.SortFunc(mended, progress.Place.Compare)
	return mended, nil
}

// evidenceOf asks for all that a look judges by but the records.
func (r *session) evidenceOf(ctx context.Context, aside []progress.Place) (map[progress.Place]evidence, error) {
	cl := r.sess.Client()
	topics := append(slices.Clone(r.row.Inputs), r.row.State)
	ids, err := r.topicIDs(ctx, topics...)
	if err != nil {
		return nil, err
	}
	all, err := bounds(ctx, progress.New(cl), topics...)
	if err != nil {
		return nil, err
	}
	group, err := kadm.NewClient(cl).FetchOffsets(ctx, r.row.Group)
	if err != nil {
		return nil, fmt.Errorf("offsets of group %s: %w", r.row.Group, err)
	}
	out := map[progress.Place]evidence{}
	for _, at := range aside {
		e := evidence{
			topic: ids[at.Topic], state: ids[r.row.State], input: all[at], group: -1, at: time.Now(),
			changelog: all[progress.Place{Topic: r.row.State, Partition: at.Partition}],
		}
		if o, ok := group.Lookup(at.Topic, at.Partition); ok {
			e.group = o.At
		}
		out[at] = e
	}
	return out, nil
}
