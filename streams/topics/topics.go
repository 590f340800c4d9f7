// Package topics makes the topics of Kasi and checks those that exist.
package topics

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/retry"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/tenants"
)

// outside are written by integrators with any client, so they may have any number of partitions.
var outside = []string{
	schemas.TopicFeedTransactions, schemas.TopicFeedIncomes, schemas.TopicRailResults, schemas.TopicPayoutResults,
}

// brokerPatience is how long Ensure waits for a broker that does not answer.
const brokerPatience = 30 * time.Second

// deliveryTimeout bounds how long a write waits for its broker.
const deliveryTimeout = 30 * time.Second

// Ensure creates the topics and tenants that are missing and returns the partition count of the timeline, which every
// partitioned topic of ours shares. Topics that exist are left as they are: their count wins over cfg.Partitions, since
// a customer's partition follows from it. Ours in different counts are an error. Several processes may call it at once.
// A broker that does not answer is waited for, 30 seconds at most.
func Ensure(ctx context.Context, cfg stage.Config) (int32, error) {
	cl, err := kgo.NewClient(cfg.Client()...)
	if err != nil {
		return 0, fmt.Errorf("topics: %w", err)
	}
	defer cl.Close()
	began := time.Now()
	for pauses := retry.Growing(time.Millisecond, 250*time.Millisecond); ; {
		counts, err := topicCounts(ctx, cl)
		missing := missingTopics(counts)
		if err == nil && len(missing) == 0 && len(cfg.Tenants) > 0 {
			_, err = tenants.Add(ctx, cfg, cfg.Tenants...)
		}
		if err != nil {
			// A broker that is being started beside us refuses connections for some seconds.
			if !progress.Retriable(err) || time.Since(began) > brokerPatience || retry.Pause(ctx, pauses.NextBackOff()) != nil {
				return 0, err
			}
			continue
		}
		n, err := agreedPartitions(counts, cmp.Or(max(cfg.Partitions, 0), stage.DefaultPartitions))
		if err != nil {
			return 0, err
		}
		if len(missing) == 0 {
			if cfg.Partitions > 0 && n != cfg.Partitions {
				cfg.Logger().Warn("topics exist with another partition count; theirs is used", "partitions", n, "configured",
					cfg.Partitions)
			}
			return n, checkRetention(ctx, cl, cfg)
		}
		if err := createTopics(ctx, cl, cfg, missing, n); err != nil {
			return 0, err
		}
		// A cluster answers the creation before every broker knows of it, so we look again until all of them are there.
		if err := retry.Pause(ctx, pauses.NextBackOff()); err != nil {
			return 0, fmt.Errorf("topics: %d still not visible after their creation: %w", len(missing), err)
		}
	}
}

// kept are the topics that must not forget by themselves: what outsiders write, since Kasi may be away longer than a
// retention lasts, and the logs of record, of which all else can be made again.
var kept = append([]string{
	schemas.TopicTimeline, schemas.TopicPolicyCommands, schemas.TopicSettlementCommands, schemas.TopicCalendar,
}, outside...)

// checkRetention refuses a changelog that forgets by age or size, since a state would be lost in silence, and warns of
// a topic of kept that does.
func checkRetention(ctx context.Context, cl *kgo.Client, cfg stage.Config) error {
	names := slices.Clone(kept)
	for _, t := range schemas.Topics {
		if t.Compacted && t.KeepDays == 0 {
			names = append(names, t.Name)
		}
	}
	configs, err := kadm.NewClient(cl).DescribeTopicConfigs(ctx, names...)
	if err != nil {
		cfg.Logger().Warn("topics: their configuration cannot be read, so nobody knows whether they forget", "err", err)
		return nil
	}
	warnOfForgottenGroups(ctx, cl, cfg)
	var wrong []error
	for _, c := range configs {
		values := map[string]string{}
		for _, kv := range c.Configs {
			values[kv.Key] = kv.MaybeValue()
		}
		forgets := strings.Contains(values["cleanup.policy"], "delete") &&
			(values["retention.ms"] != "-1" || values["retention.bytes"] != "-1")
		command := fmt.Sprintf("kafka-configs.sh --bootstrap-server %s --alter --entity-type topics --entity-name %s "+
			"--add-config ", cfg.Brokers[0], c.Name)
		switch {
		case c.Err != nil:
			cfg.Logger().Warn("topics: the configuration of one cannot be read, so nobody knows whether it forgets", "topic",
				c.Name, "err", c.Err)
		case forgets && !slices.Contains(kept, c.Name):
			wrong = append(wrong, fmt.Errorf("topic %s is a changelog and forgets states (cleanup.policy=%s, retention.ms=%s, "+
				"retention.bytes=%s): %scleanup.policy=compact", c.Name, values["cleanup.policy"], values["retention.ms"],
				values["retention.bytes"], command))
		case forgets:
			cfg.Trouble("topics", stage.TroubleRetention, c.Name, fmt.Sprintf("topic %s forgets records, read or not "+
				"(retention.ms=%s, retention.bytes=%s; by the producers' own timestamps where message.timestamp.type is "+
				"CreateTime): %sretention.ms=-1,retention.bytes=-1", c.Name, values["retention.ms"],
				values["retention.bytes"], command))
		}
	}
	return errors.Join(wrong...)
}

// leastRest is the rest of a group that its brokers should outlast.
const leastRest = 30 * 24 * time.Hour

// warnOfForgottenGroups warns of brokers that soon forget how far a group had come that rests. A state knows it for its
// stage; the feeds' half of intake has none and would take in again all that the outside topics hold.
func warnOfForgottenGroups(ctx context.Context, cl *kgo.Client, cfg stage.Config) {
	configs, err := kadm.NewClient(cl).DescribeBrokerConfigs(ctx)
	if err != nil {
		return // it takes a right that nothing else here needs
	}
	for _, broker := range configs {
		for _, kv := range broker.Configs {
			minutes, err := strconv.ParseInt(kv.MaybeValue(), 10, 64)
			if kv.Key == "offsets.retention.minutes" && err == nil && minutes < int64(leastRest.Minutes()) {
				cfg.Logger().Warn("topics: Kafka forgets the groups of a kasi that rests so long; intake then reads its topics "+
					"again", "offsets.retention.minutes", minutes, "better", int64(leastRest.Minutes()))
				return
			}
		}
	}
}

// Open makes a client for writing to topics that exist (Ensure): it chooses partitions itself. It also returns the
// partition count that all partitioned topics of ours share.
func Open(cfg stage.Config) (*kgo.Client, int32, error) {
	cl, err := kgo.NewClient(cfg.Client(
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordDeliveryTimeout(deliveryTimeout),
		// A caller that gives up must get its answer. What may then arrive twice, the stages know by its ids.
		kgo.AllowIdempotentProduceCancellation(),
	)...)
	if err != nil {
		return nil, 0, err
	}
	n, err := existing(cl)
	if err != nil {
		cl.Close()
		return nil, 0, err
	}
	return cl, n, nil
}

func existing(cl *kgo.Client) (int32, error) {
	ctx, cancel := context.WithTimeout(context.Background(), deliveryTimeout)
	defer cancel()
	counts, err := topicCounts(ctx, cl)
	if err != nil {
		return 0, err
	}
	if missing := missingTopics(counts); len(missing) > 0 {
		return 0, fmt.Errorf("topic %s and %d more do not exist: start `kasi run` once, which creates them", missing[0].Name,
			len(missing)-1)
	}
	return agreedPartitions(counts, 0)
}

// topicCounts is the partition count of each topic of ours that every broker knows. Brokers hear of a creation one
// after the other; who asks a slow one next would be told that the topic does not exist. A broker that does not answer
// tells nobody so.
func topicCounts(ctx context.Context, cl *kgo.Client) (map[string]int32, error) {
	names := make([]string, 0, len(schemas.Topics))
	for _, t := range schemas.Topics {
		names = append(names, t.Name)
	}
	topics, err := progress.Topics(ctx, cl, names...)
	if err != nil {
		return nil, fmt.Errorf("topics: cannot list them; is Kafka running at the configured address? %w", err)
	}
	counts := map[string]int32{}
	for name, t := range topics {
		err := kerr.ErrorForCode(t.ErrorCode)
		switch {
		case errors.Is(err, kerr.UnknownTopicOrPartition):
		case err != nil:
			return nil, fmt.Errorf("topic %s: %w", name, err)
		default:
			counts[name] = int32(len(t.Partitions))
		}
	}
	if brokers := cl.DiscoveredBrokers(); len(brokers) > 1 {
		for _, b := range brokers {
			known, _ := progress.Topics(ctx, b, names...)
			maps.DeleteFunc(counts, func(name string, _ int32) bool {
				return errors.Is(kerr.ErrorForCode(known[name].ErrorCode), kerr.UnknownTopicOrPartition)
			})
		}
	}
	return counts, nil
}

// agreedPartitions is the count that all existing partitioned topics of ours have, or want where there is none yet.
func agreedPartitions(counts map[string]int32, want int32) (int32, error) {
	seen := map[int32][]string{}
	for _, t := range schemas.Topics {
		have, exists := counts[t.Name]
		switch {
		case !exists || slices.Contains(outside, t.Name):
		case t.Partitioned:
			seen[have] = append(seen[have], t.Name)
		case have != 1:
			return 0, fmt.Errorf("topic %s has %d partitions and must have 1: delete it or use another cluster", t.Name, have)
		}
	}
	if len(seen) == 0 {
		return want, nil
	}
	if len(seen) == 1 {
		for n := range seen {
			return n, nil
		}
	}
	var parts []string
	for n, names := range seen {
		parts = append(parts, fmt.Sprintf("%d: %s", n, strings.Join(names, ", ")))
	}
	slices.Sort(parts)
	return 0, fmt.Errorf("topics of ours must have one partition count and have several (%s): recreate the odd ones "+
		"with the timeline's count", strings.Join(parts, "; "))
}

func missingTopics(counts map[string]int32) []schemas.Topic {
	return slices.DeleteFunc(slices.Clone(schemas.Topics), func(t schemas.Topic) bool {
		_, exists := counts[t.Name]
		return exists
	})
}

func createTopics(ctx context.Context, cl *kgo.Client, cfg stage.Config, missing []schemas.Topic, n int32) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = int32(deliveryTimeout.Milliseconds())
	replication := max(cfg.Replication, 1)
	for _, t := range missing {
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = t.Name, 1, replication
		if t.Partitioned {
			rt.NumPartitions = n
		}
		for _, kv := range topicConfigs(cfg, t) {
			c := kmsg.NewCreateTopicsRequestTopicConfig()
			c.Name, c.Value = kv[0], &kv[1]
			rt.Configs = append(rt.Configs, c)
		}
		req.Topics = append(req.Topics, rt)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return fmt.Errorf("topics: cannot create them: %w", err)
	}
	for _, t := range resp.Topics {
		// Another process may have been faster.
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("topic %s: cannot create it with replication %d: %w", t.Topic, replication, err)
		}
	}
	return nil
}

// topicConfigs says how a new topic is kept. Nothing expires by itself: the timeline replays every decision, and a
// statement can be computed again from the collections. Who must delete sooner sets a retention on the topic; we never
// alter one that exists.
func topicConfigs(cfg stage.Config, t schemas.Topic) [][2]string {
	var configs [][2]string
	if t.Compacted && !cfg.FreshTxnID {
		// The active segment is never compacted: with the default of 1 GiB a restart would read mostly superseded states.
		configs = [][2]string{{"cleanup.policy", "compact"}, {"segment.bytes", "67108864"}}
	} else {
		// The embedded broker's compaction is not crash-safe, so there a changelog is an ordinary log that nothing cuts.
		configs = [][2]string{{"cleanup.policy", "delete"}, {"retention.ms", "-1"}, {"retention.bytes", "-1"}}
	}
	if t.KeepDays > 0 {
		keep := [2]string{"retention.ms", strconv.FormatInt((time.Duration(t.KeepDays) * 24 * time.Hour).Milliseconds(), 10)}
		if cfg.FreshTxnID {
			configs = [][2]string{{"cleanup.policy", "delete"}, keep}
		} else {
			configs = [][2]string{{"cleanup.policy", "compact,delete"}, {"segment.bytes", "67108864"}, keep}
		}
	}
	// Our records carry the timestamp of the outside record that caused them, so that a replay is identical: one from a
	// clock that runs ahead must not stall a stage.
	configs = append(configs, [2]string{"message.timestamp.after.max.ms", "9223372036854775807"})
	if cfg.Replication >= 3 {
		// Producers ask for the acknowledgement of all replicas in sync: with Kafka's default that may be the leader alone.
		configs = append(configs, [2]string{"min.insync.replicas", "2"})
	}
	return configs
}
