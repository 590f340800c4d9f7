// Package records reads Kafka topics as an outside party does: what is committed, up to an end that was asked for
// before. It shares no code with the pipeline, because the verifier stands on it.
package records

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// patience bounds how long a read may bring nothing. It is longer than a stage's transaction may stay open (60 s).
const patience = 90 * time.Second

// Place is one partition of a topic.
type Place struct {
	Topic     string
	Partition int32
}

// Ends holds, for each partition, the offset before which everything is decided (the last stable offset).
type Ends map[Place]int64

// Source is a Kafka that is read from.
type Source struct {
	Brokers []string
	// Opts are further options of the clients (TLS, SASL).
	Opts []kgo.Opt
}

// Client opens a client with further options. Close it.
func (s Source) Client(more ...kgo.Opt) (*kgo.Client, error) {
	cl, err := kgo.NewClient(slices.Concat([]kgo.Opt{kgo.SeedBrokers(s.Brokers...)}, s.Opts, more)...)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	return cl, nil
}

// Ends asks where the topics end now. A topic that does not exist is an error.
func (s Source) Ends(ctx context.Context, topics ...string) (Ends, error) {
	return s.list(ctx, (*kadm.Client).ListCommittedOffsets, topics)
}

// Starts asks where the topics begin now: what lay before has been removed. A topic that does not exist is an error.
func (s Source) Starts(ctx context.Context, topics ...string) (Ends, error) {
	return s.list(ctx, (*kadm.Client).ListStartOffsets, topics)
}

type offsetsFunc func(*kadm.Client, context.Context, ...string) (kadm.ListedOffsets, error)

func (s Source) list(ctx context.Context, ask offsetsFunc, topics []string) (Ends, error) {
	cl, err := s.Client()
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	listed, err := ask(kadm.NewClient(cl), ctx, topics...)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("offsets of %v at %v: %w; is this the Kafka of a kasi that has been started?", topics,
			s.Brokers, err)
	}
	at := Ends{}
	listed.Each(func(o kadm.ListedOffset) { at[Place{o.Topic, o.Partition}] = o.Offset })
	for _, t := range topics {
		if len(listed[t]) == 0 {
			return nil, fmt.Errorf("topic %s does not exist at %v: start kasi first", t, s.Brokers)
		}
	}
	return at, nil
}

// Read calls each for every committed record before the ends, in order within a partition. An error of each ends it.
func (s Source) Read(ctx context.Context, ends Ends, each func(*kgo.Record) error) error {
	topics := map[string]bool{}
	for p := range ends {
		topics[p.Topic] = true
	}
	starts, err := s.Starts(ctx, slices.Sorted(maps.Keys(topics))...)
	if err != nil {
		return err
	}
	return s.ReadFrom(ctx, starts, ends, each)
}

// ReadFrom is Read from given offsets on.
func (s Source) ReadFrom(ctx context.Context, starts, ends Ends, each func(*kgo.Record) error) error {
	next, from := Ends{}, map[string]map[int32]kgo.Offset{}
	for p, end := range ends {
		if starts[p] >= end {
			continue
		}
		if from[p.Topic] == nil {
			from[p.Topic] = map[int32]kgo.Offset{}
		}
		from[p.Topic][p.Partition], next[p] = kgo.NewOffset().At(starts[p]), starts[p]
	}
	if len(next) == 0 {
		return nil
	}
	// Markers of transactions are kept: the last record before an end often is one, and without it nothing would tell that
	// the end is reached.
	cl, err := s.Client(kgo.ConsumePartitions(from), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords())
	if err != nil {
		return err
	}
	defer cl.Close()
	for len(next) > 0 {
		if err := poll(ctx, cl, next, ends, each); err != nil {
			return err
		}
	}
	return nil
}

// poll takes one fetch and crosses the partitions off whose end is reached.
func poll(ctx context.Context, cl *kgo.Client, next, ends Ends, each func(*kgo.Record) error) error {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	fetches := cl.PollFetches(waiting)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errs := fetches.Errors(); len(errs) > 0 {
		e := errs[0]
		if errors.Is(e.Err, context.DeadlineExceeded) {
			return fmt.Errorf("nothing came for %v while %v were waited for: a transaction stays open, or the broker is gone",
				patience, slices.Collect(maps.Keys(next)))
		}
		return fmt.Errorf("read %s partition %d: %w", e.Topic, e.Partition, e.Err)
	}
	var failed error
	fetches.EachRecord(func(r *kgo.Record) {
		at := Place{r.Topic, r.Partition}
		end, ok := ends[at]
		if !ok || failed != nil {
			return
		}
		if r.Offset < end && !r.Attrs.IsControl() {
			failed = each(r)
		}
		if r.Offset+1 >= end {
			delete(next, at)
		} else if _, open := next[at]; open {
			next[at] = r.Offset + 1
		}
	})
	return failed
}
