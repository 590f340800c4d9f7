package progress

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// source is a record that others were made of.
type source struct {
	Place
	offset int64
}

// origins asks the group that has made the transaction's records of others. Its offsets were committed in the same
// transaction. So where the group stands before the records that ours were made of, ours do not count: it will make
// them again. Where it stands behind them, exactly one transaction that counts has made something of each. If no other
// one has, on the same partition or among the refusals, it was ours.
func (j Judge) origins(ctx context.Context, u Undecided) (Verdict, error) {
	if j.Origin == nil {
		return Verdict{}, nil
	}
	ends, err := j.Ends(ctx, false, u.Topic)
	if err != nil {
		return Verdict{}, err
	}
	ours, others, err := j.sources(ctx, u, ends[u.Place])
	if err != nil || len(ours) == 0 {
		return Verdict{}, err
	}
	group, err := j.Admin.FetchOffsets(kadm.RequireStable(ctx), j.Group)
	switch {
	case errors.Is(err, kerr.GroupIDNotFound):
		return Verdict{}, nil
	case err != nil:
		return Verdict{}, fmt.Errorf("offsets of group %s: %w", j.Group, err)
	}
	starts, err := j.Starts(ctx, topicsOf(ours)...)
	if err != nil {
		return Verdict{}, err
	}
	before, behind, again := 0, 0, 0
	for s := range ours {
		o, known := group.Lookup(s.Topic, s.Partition)
		switch {
		case o.Err != nil:
			return Verdict{}, fmt.Errorf("offset of group %s on %s: %w", j.Group, s.Place, o.Err)
		case !known || o.At < 0 || s.offset < starts[s.Place]:
			return Verdict{}, nil // the group has expired, or could not take the record in again
		case o.At <= s.offset:
			before++
		default:
			behind++
			if others[s] {
				again++
			}
		}
	}
	switch {
	case behind == 0:
		return Verdict{Aborted, fmt.Sprintf("group %s has not taken in the %d records that its own were made of", j.Group,
			before)}, nil
	case before > 0:
	case again == behind:
		return Verdict{Aborted, fmt.Sprintf("another transaction holds what was made of the same %d records", again)}, nil
	case again == 0:
		refused, err := j.refused(ctx, ours)
		if err != nil || refused {
			return Verdict{}, err
		}
		return Verdict{Committed, fmt.Sprintf("group %s has taken in the %d records that its own were made of, and nothing "+
			"else was made of them", j.Group, behind)}, nil
	}
	return Verdict{}, nil
}

func topicsOf(sources map[source]bool) (topics []string) {
	for s := range sources {
		topics = append(topics, s.Topic)
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// sources are the records of which the transaction's were made, and those of which others on its partition were that
// came later and count.
func (j Judge) sources(ctx context.Context, u Undecided, end int64) (ours, others map[source]bool, err error) {
	ours, others = map[source]bool{}, map[source]bool{}
	open := map[int64][]source{}
	_, err = j.scan(ctx, u.Place, u.Offset, min(end, u.Offset+lastStretch), judgeBytes, kgo.ReadUncommitted(),
		func(r *kgo.Record) error {
			if r.Attrs.IsControl() {
				if outcomeOf(r) == Committed {
					for _, s := range open[r.ProducerID] {
						others[s] = true
					}
				}
				delete(open, r.ProducerID)
				return nil
			}
			at, offset, ok := j.Origin(r)
			switch s := (source{at, offset}); {
			case !ok:
			case r.ProducerID == u.Producer && r.ProducerEpoch == u.Epoch:
				ours[s] = true
			case !r.Attrs.IsTransactional():
				others[s] = true
			default:
				open[r.ProducerID] = append(open[r.ProducerID], s)
			}
			return nil
		})
	if end > u.Offset+lastStretch {
		clear(ours) // what lies further on may hold them again
	}
	return ours, others, err
}

// refused tells whether one of the records, or a part of it, was refused, as far as can be seen.
func (j Judge) refused(ctx context.Context, ours map[source]bool) (found bool, err error) {
	starts, err := j.Starts(ctx, j.Refusals)
	if err != nil {
		return false, err
	}
	ends, err := j.Ends(ctx, false, j.Refusals)
	if err != nil {
		return false, err
	}
	for at, end := range ends {
		if end-starts[at] > lastStretch {
			return true, nil
		}
		_, err := j.scan(ctx, at, starts[at], end, judgeBytes, kgo.ReadUncommitted(), func(r *kgo.Record) error {
			if !r.Attrs.IsControl() {
				from, offset, ok := j.Origin(r)
				found = found || ok && ours[source{from, offset}]
			}
			return nil
		})
		if err != nil {
			return false, err
		}
	}
	return found, nil
}
