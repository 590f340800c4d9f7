package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/streams/kafkatest"
	"github.com/kasi-collections/kasi/streams/retry"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/topics"
)

// look is the pause between two looks at a group's offsets: the resolution of every time measured here.
const look = 5 * time.Millisecond

// kafka is the Apache Kafka of one part.
type kafka struct {
	cluster *kafkatest.Cluster
	client  *kgo.Client
	admin   *kadm.Client
}

func startKafka() (*kafka, error) {
	say("starting Apache Kafka ...")
	cluster, err := kafkatest.StartCluster(1, kafkatest.Full)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.Brokers()...), kgo.MetadataMinAge(50*time.Millisecond),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MaxBufferedRecords(100_000), kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	if err != nil {
		cluster.Stop()
		return nil, err
	}
	return &kafka{cluster, client, kadm.NewClient(client)}, nil
}

func (k *kafka) stop() {
	k.client.Close()
	k.cluster.Stop()
}

func (k *kafka) brokers() string { return strings.Join(k.cluster.Brokers(), ",") }

// usage is the broker's processor time.
func (k *kafka) usage() time.Duration { return usage(k.cluster.Pids()...) }

// config is what a stage is given.
func (k *kafka) config(o *options) stage.Config {
	return stage.Config{
		Brokers: k.cluster.Brokers(), Partitions: int32(o.partitions), MaxRecords: o.transaction, Tenants: []string{"acme"},
	}
}

// anew deletes the groups, and the topics except those to keep, and makes Kasi's topics again where they are missing.
func (k *kafka) anew(ctx context.Context, o *options, keep ...string) error {
	if err := k.clearGroups(ctx); err != nil {
		return err
	}
	for {
		left, err := k.clear(ctx, keep)
		if err != nil {
			return err
		}
		if left == 0 {
			break
		}
		if err := retry.Pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	_, err := topics.Ensure(ctx, k.config(o))
	return err
}

// clear deletes what it can and says how much there was.
func (k *kafka) clear(ctx context.Context, keep []string) (left int, err error) {
	meta, err := k.admin.Metadata(ctx)
	if err != nil {
		return 0, err
	}
	var names []string
	for _, name := range meta.Topics.Names() {
		if !strings.HasPrefix(name, "__") && !slices.Contains(keep, name) {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		_, err = k.admin.DeleteTopics(ctx, names...)
		k.client.PurgeTopicsFromClient(names...) // it knows their ids, which new topics of these names will not have
	}
	return len(names), err
}

// clearGroups deletes all groups, so that the next reader begins at the beginning.
func (k *kafka) clearGroups(ctx context.Context) error {
	for {
		groups, err := k.admin.ListGroups(ctx)
		if err != nil {
			return err
		}
		names := groups.Groups()
		if len(names) == 0 {
			return nil
		}
		if _, err := k.admin.DeleteGroups(ctx, names...); err != nil {
			return err
		}
		if err := retry.Pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// topics makes topics that nothing expires from.
func (k *kafka) topics(ctx context.Context, partitions int, names ...string) error {
	forever := "-1"
	made, err := k.admin.CreateTopics(ctx, int32(partitions), 1, map[string]*string{"retention.ms": &forever}, names...)
	if err == nil {
		err = made.Error()
	}
	return err
}

// feed produces records and waits for the broker's acknowledgement of all.
func (k *kafka) feed(ctx context.Context, records func(yield func(*kgo.Record) bool)) error {
	var failed error
	for r := range records {
		k.client.Produce(ctx, r, func(_ *kgo.Record, err error) {
			if err != nil {
				failed = err // calls come one after the other
			}
		})
	}
	if err := k.client.Flush(ctx); err != nil {
		return err
	}
	return failed
}

// until waits until a group has taken over so many records of a topic, all partitions together. Topics watched so hold
// no transaction markers.
func (k *kafka) until(ctx context.Context, c *child, group, topic string, records int64) error {
	for said := time.Now(); ; {
		offsets, err := k.admin.FetchOffsets(ctx, group)
		if err != nil && !kerr.IsRetriable(err) && !errors.Is(err, kerr.GroupIDNotFound) {
			return err
		}
		var sum int64
		for _, at := range offsets[topic] {
			sum += max(at.At, 0)
		}
		if sum >= records {
			return nil
		}
		if time.Since(said) > 5*time.Second {
			said = time.Now()
			say("   %s: %d of %d", group, sum, records)
		}
		if c != nil && c.gone() {
			return fmt.Errorf("%s has ended before its work was done: %w", group, c.stop())
		}
		if err := retry.Pause(ctx, look); err != nil {
			return err
		}
	}
}

// contend measures one contender: it reads so many records warm and then so many against the clock.
func (k *kafka) contend(ctx context.Context, c *child, group, topic string, warm, end int64) (run, error) {
	if err := k.until(ctx, c, group, topic, warm); err != nil {
		return run{}, err
	}
	began, client, server := time.Now(), c.usage(), k.usage()
	if err := k.until(ctx, c, group, topic, end); err != nil {
		return run{}, err
	}
	return run{int(end - warm), time.Since(began), c.usage() - client, k.usage() - server}, nil
}
