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

// mostAsidePause bounds the pauses after which a partition that was set aside is looked at again. A look restores it.
const mostAsidePause = 10 * time.Minute

// comeBack looks again at partitions that were set aside, beside the loop, until ctx ends. Where one could go on by now
// the session ends, and the next one has it: a client's position in a running session cannot be moved safely. Until
// then the others are not disturbed.
func (r *session) comeBack(ctx context.Context) {
	pauses := retry.Growing(r.cfg.AsidePause, mostAsidePause)
	for retry.Pause(ctx, pauses.NextBackOff()) == nil {
		aside := r.parts.setAside()
		if len(aside) == 0 {
			pauses.Reset()
			continue
		}
		mended, err := r.mended(ctx, aside)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			r.log.Warn("partitions that are set aside could not be looked at", "err", err)
		case len(mended) > 0:
			r.fail(fmt.Errorf("%v can go on: the stage starts again with it", mended))
		}
	}
}

// mended are those of some partitions that were set aside that could go on.
func (r *session) mended(ctx context.Context, aside []progress.Place) (mended []progress.Place, err error) {
	ids, err := r.topicIDs(ctx)
	if err != nil {
		return nil, err
	}
	group, err := kadm.NewClient(r.sess.Client()).FetchOffsets(ctx, r.row.Group)
	if err != nil {
		return nil, fmt.Errorf("offsets of group %s: %w", r.row.Group, err)
	}
	slots, next := map[progress.Place]*slot{}, map[progress.Place]int64{}
	for _, at := range aside {
		s := &slot{group: -1, topic: ids[at.Topic].text()}
		if o, ok := group.Lookup(at.Topic, at.Partition); ok {
			s.group = o.At
		}
		slots[at] = s
	}
	if _, err := r.restoreAll(ctx, slots, next); err != nil {
		return nil, err
	}
	for at := range next {
		mended = append(mended, at)
	}
	slices.SortFunc(mended, progress.Place.Compare)
	return mended, nil
}
