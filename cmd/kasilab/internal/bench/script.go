package bench

import (
	"context"
	"encoding/gob"
	"fmt"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/retry"
)

// sampled is how many values of each topic the bare loop is given: enough that none compresses against itself.
const sampled = 5_000

// script is what the collect stage wrote to one topic: how many records for how many of its input, and an even sample
// of them.
type script struct {
	Topic          string
	Records, Input int
	Keys, Values   [][]byte
	Headers        []kgo.RecordHeader
}

// script reads what collect has written and keeps a sample for the bare loop. It returns it in words.
func (k *kafka) script(ctx context.Context, into *os.File, input int) (string, error) {
	var all []script
	var words []string
	for _, topic := range []string{
		schemas.TopicTransactions, schemas.TopicDeposits, schemas.TopicDecisions, schemas.TopicDebits, schemas.TopicPolicies,
		schemas.TopicCollections,
		schemas.TopicOutcomes, schemas.TopicStateCollect, schemas.TopicDeadLetters,
	} {
		s := script{Topic: topic, Input: input}
		bytes := 0
		err := k.each(ctx, topic, func(r *kgo.Record, of int) {
			if s.Records%max(1, of/sampled) == 0 {
				s.Keys, s.Values, s.Headers = append(s.Keys, r.Key), append(s.Values, r.Value), r.Headers
			}
			s.Records++
			bytes += len(r.Value)
		})
		if err != nil {
			return "", err
		}
		all = append(all, s)
		if s.Records > 0 {
			words = append(words, fmt.Sprintf("%.2f to %s (%d bytes)", float64(s.Records)/float64(input), topic,
				bytes/s.Records))
		}
	}
	if err := gob.NewEncoder(into).Encode(all); err != nil {
		return "", err
	}
	return strings.Join(words, ", "), nil
}

// each reads a topic's committed records to its end. take also hears how many offsets there are in all.
func (k *kafka) each(ctx context.Context, topic string, take func(r *kgo.Record, of int)) error {
	ends, err := k.decided(ctx, topic)
	if err != nil {
		return err
	}
	of := 0
	for _, end := range ends[topic] {
		of += int(end.Offset)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(k.cluster.Brokers()...), kgo.ConsumeTopics(topic),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	if err != nil {
		return err
	}
	defer cl.Close()
	at := map[int32]int64{}
	for {
		done := true
		for p, end := range ends[topic] {
			done = done && at[p] >= end.Offset
		}
		if done {
			return nil
		}
		f := cl.PollFetches(ctx)
		if err := f.Err(); err != nil {
			return err
		}
		f.EachRecord(func(r *kgo.Record) {
			at[r.Partition] = r.Offset + 1
			if !r.Attrs.IsControl() {
				take(r, of)
			}
		})
	}
}

// decided are a topic's ends once no transaction is open on it: markers reach the topics after the group's offsets
// show.
func (k *kafka) decided(ctx context.Context, topic string) (kadm.ListedOffsets, error) {
	for {
		ends, err := k.admin.ListEndOffsets(ctx, topic)
		if err != nil {
			return nil, err
		}
		stable, err := k.admin.ListCommittedOffsets(ctx, topic)
		if err != nil {
			return nil, err
		}
		open := false
		ends.Each(func(o kadm.ListedOffset) {
			s, _ := stable.Lookup(topic, o.Partition)
			open = open || s.Offset < o.Offset
		})
		if !open {
			return ends, nil
		}
		if err := retry.Pause(ctx, look); err != nil {
			return nil, err
		}
	}
}

// peerWrote is what the Kafka Streams program wrote, in words, to be compared with collect.
func (k *kafka) peerWrote(ctx context.Context, input int) (string, error) {
	var words []string
	for _, topic := range []string{topicPeer + "transactions", topicPeer + "deposits", topicPeer + "decisions", groupPeer +
		"-customers-changelog"} {
		records, bytes := 0, 0
		if err := k.each(ctx, topic, func(r *kgo.Record, _ int) { records++; bytes += len(r.Value) }); err != nil {
			return "", err
		}
		if records == 0 {
			return "", fmt.Errorf("the Kafka Streams program wrote nothing to %s", topic)
		}
		words = append(words, fmt.Sprintf("%.2f to %s (%d bytes)", float64(records)/float64(input), topic, bytes/records))
	}
	return strings.Join(words, ", "), nil
}
