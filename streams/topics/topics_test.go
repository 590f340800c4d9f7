package topics

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/stage"
)

// bareBroker has those topics only.
func bareBroker(t *testing.T, partitions map[string]int32) (stage.Config, *kadm.Client) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	cfg := stage.Config{Brokers: cluster.ListenAddrs()}
	cl, err := kgo.NewClient(cfg.Client(kgo.MetadataMinAge(50 * time.Millisecond))...)
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	adm := kadm.NewClient(cl)
	for topic, n := range partitions {
		_, err := adm.CreateTopic(t.Context(), n, 1, nil, topic)
		require.NoError(t, err)
	}
	return cfg, adm
}

func TestEnsureTopicsByManyAtOnce(t *testing.T) {
	cfg, adm := bareBroker(t, map[string]int32{schemas.TopicFeedIncomes: 3})
	cfg.Partitions = 5
	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			n, err := Ensure(t.Context(), cfg)
			if n != 5 {
				t.Errorf("%d partitions", n)
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
	topics, err := adm.ListTopics(t.Context())
	require.NoError(t, err)
	require.Len(t, topics, len(schemas.Topics))
	for _, topic := range schemas.Topics {
		want := 1
		if topic.Partitioned {
			want = 5
		}
		if topic.Name == schemas.TopicFeedIncomes {
			want = 3 // an integrator's own
		}
		require.Len(t, topics[topic.Name].Partitions, want, topic.Name)
	}
}

// A broker that has not heard of the topics yet is waited for: whoever asks it next needs them.
func TestEnsureWaitsForEveryBroker(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	cfg := stage.Config{Brokers: cluster.ListenAddrs()}
	_, err = Ensure(t.Context(), cfg)
	require.NoError(t, err)
	slow, left := int32(2), atomic.Int32{}
	left.Store(3)
	cluster.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if cluster.CurrentNode() != slow || left.Add(-1) < 0 {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		for _, asked := range req.(*kmsg.MetadataRequest).Topics {
			topic := kmsg.NewMetadataResponseTopic()
			topic.Topic, topic.ErrorCode = asked.Topic, kerr.UnknownTopicOrPartition.Code
			resp.Topics = append(resp.Topics, topic)
		}
		return resp, nil, true
	})
	_, err = Ensure(t.Context(), cfg)
	require.NoError(t, err)
	require.Negative(t, left.Load(), "the slow broker was not asked until it knew the topics")
}

func TestExistingTopicsDecideThePartitionCount(t *testing.T) {
	cfg, _ := bareBroker(t, map[string]int32{schemas.TopicTimeline: 2})
	cfg.Partitions = 9
	n, err := Ensure(t.Context(), cfg)
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
}

func TestTopicsThatDoNotFitAreErrors(t *testing.T) {
	cfg, _ := bareBroker(t, map[string]int32{schemas.TopicTimeline: 2, schemas.TopicCollections: 3})
	_, err := Ensure(t.Context(), cfg)
	require.ErrorContains(t, err, "(2: kasi.customer.timeline.v1; 3: kasi.collections.v1)")

	cfg, _ = bareBroker(t, map[string]int32{schemas.TopicCalendar: 2})
	_, err = Ensure(t.Context(), cfg)
	require.ErrorContains(t, err, "topic kasi.calendar.v1 has 2 partitions and must have 1")
}

func TestEnsureTopicsWithoutABroker(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := Ensure(ctx, stage.Config{Brokers: []string{"127.0.0.1:1"}})
	require.ErrorContains(t, err, "is Kafka running")
}

// The embedded broker's compaction is not crash-safe; a real one's keeps a changelog from growing for ever.
func TestHowTopicsAreKept(t *testing.T) {
	changelog, log := schemas.Topic{Name: "c", Compacted: true}, schemas.Topic{Name: "l"}
	forever := [][2]string{
		{"cleanup.policy", "delete"},
		{"retention.ms", "-1"},
		{"retention.bytes", "-1"},
		{"message.timestamp.after.max.ms", "9223372036854775807"},
	}
	require.Equal(t, forever, topicConfigs(stage.Config{FreshTxnID: true}, changelog))
	require.Equal(t, forever, topicConfigs(stage.Config{}, log))
	require.Equal(t, [2]string{"cleanup.policy", "compact"}, topicConfigs(stage.Config{}, changelog)[0])
	require.Contains(t, topicConfigs(stage.Config{Replication: 3}, log), [2]string{"min.insync.replicas", "2"})
	require.Equal(t, forever, topicConfigs(stage.Config{Replication: 2}, log), "of two replicas both would be needed")

	cfg, adm := bareBroker(t, nil)
	_, err := Ensure(t.Context(), cfg)
	require.NoError(t, err)
	configs, err := adm.DescribeTopicConfigs(t.Context(), schemas.TopicStateCollect, schemas.TopicTimeline)
	require.NoError(t, err)
	for topic, want := range map[string]string{schemas.TopicStateCollect: "compact", schemas.TopicTimeline: "delete"} {
		got, err := configs.On(topic, nil)
		require.NoError(t, err)
		for _, c := range got.Configs {
			if c.Key == "cleanup.policy" {
				require.Equal(t, want, *c.Value, topic)
			}
		}
	}
}

type told struct {
	stage.Observer
	texts map[string]string
}

func (o told) Troubled(_, kind, where, text string) { o.texts[kind+" "+where] = text }

// A topic of an outsider that forgets is told with the command that mends it; a changelog that forgets is refused.
func TestTopicsThatForget(t *testing.T) {
	cfg, adm := bareBroker(t, map[string]int32{schemas.TopicFeedIncomes: 3})
	heard, log := told{stage.NoObserver(), map[string]string{}}, new(strings.Builder)
	cfg.Observer, cfg.Log = heard, slog.New(slog.NewTextHandler(log, nil))
	_, err := Ensure(t.Context(), cfg)
	require.NoError(t, err)
	require.Len(t, heard.texts, 1)
	require.Contains(t, log.String(), "offsets.retention.minutes=10080 better=43200")
	require.Contains(t, heard.texts["retention "+schemas.TopicFeedIncomes], "retention.ms=604800000")
	require.Contains(t, heard.texts["retention "+schemas.TopicFeedIncomes],
		"--entity-name kasi.feed.incomes.v1 --add-config retention.ms=-1,retention.bytes=-1")

	forgets := []kadm.AlterConfig{
		{Op: kadm.SetConfig, Name: "cleanup.policy", Value: kadm.StringPtr("compact,delete")},
		{Op: kadm.SetConfig, Name: "retention.ms", Value: kadm.StringPtr("86400000")},
	}
	_, err = adm.AlterTopicConfigs(t.Context(), forgets, schemas.TopicStateCollect)
	require.NoError(t, err)
	_, err = Ensure(t.Context(), cfg)
	require.ErrorContains(t, err, "topic kasi.state.collect.v1 is a changelog and forgets states")
	require.ErrorContains(t, err, "--entity-name kasi.state.collect.v1 --add-config cleanup.policy=compact")
}
