// Package follow keeps a process abreast of a topic that has one partition: every record is handed over in the log's
// order, first all that is there, then each as it comes. So all processes that follow one topic know the same.
package follow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/retry"
	"github.com/kasi-collections/kasi/streams/stage"
)

// Topic reads a topic to the end that it has now, and returns. Then it goes on in the background until ctx ends. take
// gets every record, one at a time. A broker that is away is waited for; one that refuses us is an error.
func Topic(ctx context.Context, cfg stage.Config, topic string, take func(*kgo.Record)) error {
	cl, err := kgo.NewClient(cfg.Client(
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
	)...)
	if err != nil {
		return fmt.Errorf("%s: %w", topic, err)
	}
	end, err := endOf(ctx, cl, topic)
	if err != nil {
		cl.Close()
		return fmt.Errorf("%s cannot be read: %w", topic, err)
	}
	caughtUp := make(chan error, 1)
	go func() {
		defer cl.Close()
		f := follower{cfg: cfg, topic: topic, take: take}
		f.run(ctx, cl, end, caughtUp)
	}()
	select {
	case err := <-caughtUp:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// endOf is where the topic ends, or 0 where it holds nothing.
func endOf(ctx context.Context, cl *kgo.Client, topic string) (int64, error) {
	looks, at := progress.New(cl), progress.Place{Topic: topic}
	for pauses := retry.Growing(20*time.Millisecond, 2*time.Second); ; {
		ends, err := looks.Ends(ctx, true, topic)
		var starts map[progress.Place]int64
		if err == nil {
			starts, err = looks.Starts(ctx, topic)
		}
		if err == nil && starts[at] >= ends[at] {
			return 0, nil
		}
		if err == nil || !progress.Retriable(err) {
			return ends[at], err
		}
		if stop := retry.Pause(ctx, pauses.NextBackOff()); stop != nil {
			return 0, fmt.Errorf("%w: %w", stop, err)
		}
	}
}

type follower struct {
	cfg   stage.Config
	topic string
	take  func(*kgo.Record)
}

// run tells caughtUp when it has come to end, or why it never will.
func (f follower) run(ctx context.Context, cl *kgo.Client, end int64, caughtUp chan<- error) {
	waiting := true
	done := func(next int64) {
		if waiting && next >= end {
			waiting = false
			caughtUp <- nil
		}
	}
	done(0)
	for pauses := retry.Growing(20*time.Millisecond, 2*time.Second); ; {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return
		}
		fetches.EachRecord(func(r *kgo.Record) {
			f.take(r)
			done(r.Offset + 1)
		})
		if err := fetches.Err(); err != nil {
			if waiting && errors.Is(err, kerr.TopicAuthorizationFailed) {
				caughtUp <- fmt.Errorf("%s cannot be read: %w; deploy/kafka/acls.tsv says who needs which rights", f.topic, err)
				return
			}
			f.cfg.Logger().Warn("a topic cannot be read; trying again", "topic", f.topic, "err", err)
			if retry.Pause(ctx, pauses.NextBackOff()) != nil {
				return
			}
			continue
		}
		pauses.Reset()
	}
}
