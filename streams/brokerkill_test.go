package streams

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/kafkatest"
	"github.com/kasi-collections/kasi/streams/stage"
)

// TestBrokerGone takes a broker away in the middle of the stage's work, again and again. Of three brokers of a local
// Apache Kafka one is killed with kill -9 and started again, and the next when all replicas are in sync; of any other
// Kafka all connections are cut. The input is fed by a client that goes through the same.
func TestBrokerGone(t *testing.T) {
	t.Parallel()
	const partitions = 3
	kafka := kafkatest.StartThree(t)
	h := harnessOn(t, kafka, partitions)
	if kafka.Cluster != nil {
		h.requireTwoInSync()
	}
	w := &wire{}
	cfg := h.wired(w)
	cfg.MaxRecords = 10
	h.startCount(cfg)
	gone := 0
	h.feed(countInput(3000, partitions), 250, func(done int) {
		if done%750 != 0 {
			return
		}
		gone++
		if kafka.Cluster == nil {
			w.cut()
			return
		}
		broker := gone % len(kafka.Brokers)
		kafka.Cluster.Kill(broker)
		require.NoError(t, kafka.Cluster.Start(broker))
		require.NoError(t, kafka.Cluster.Ready(h.ctx()))
	})
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	require.Equal(t, 4, gone)
	h.requireExactly(row("collect"), newCountTask)
}

// requireTwoInSync checks that every topic of ours keeps an acknowledged record on two brokers at least.
func (h *harness) requireTwoInSync() {
	h.t.Helper()
	var names []string
	for _, topic := range schemas.Topics {
		names = append(names, topic.Name)
	}
	configs, err := kadm.NewClient(h.client()).DescribeTopicConfigs(h.ctx(), names...)
	require.NoError(h.t, err)
	for _, topic := range configs {
		require.NoError(h.t, topic.Err)
		for _, c := range topic.Configs {
			if c.Key == "min.insync.replicas" {
				require.Equal(h.t, "2", c.MaybeValue(), topic.Name)
				// The topic's own, not what the broker happens to have.
				require.Equal(h.t, kmsg.ConfigSourceDynamicTopicConfig, c.Source, topic.Name)
			}
		}
	}
}

// lives counts how often a stage said that it does not serve.
type lives struct {
	stage.Observer
	ended atomic.Int32
}

func (l *lives) Ended(string, error) { l.ended.Add(1) }

// TestOutOfReach takes the network away for longer than kgo tries: the group is out of reach, and the stage joins it
// again under its old member id instead of starting anew.
func TestOutOfReach(t *testing.T) {
	t.Parallel()
	const partitions = 3
	h := newHarness(t, partitions)
	w := &wire{}
	cfg := h.wired(w)
	lives := &lives{Observer: stage.NoObserver()}
	cfg.MaxRecords, cfg.Observer = 10, lives
	h.startCount(cfg)
	members := func() []string {
		group, err := kadm.NewClient(h.client()).DescribeGroups(h.ctx(), schemas.GroupCollect)
		require.NoError(t, err)
		var ids []string
		for _, m := range group[schemas.GroupCollect].Members {
			ids = append(ids, m.MemberID)
		}
		return ids
	}
	before := members()
	require.Len(t, before, 1)
	h.feed(countInput(1000, partitions), 500, func(done int) {
		if done != 500 {
			return
		}
		// idle: a transaction would be asked for its end as long as kgo has patience
		h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
		w.setAway(true)
		require.Eventually(t, func() bool { return lives.ended.Load() > 0 }, patience, 10*time.Millisecond)
		w.setAway(false)
	})
	h.caughtUp(schemas.GroupCollect, schemas.TopicTimeline)
	h.requireExactly(row("collect"), newCountTask)
	require.Equal(t, before, members())
}
