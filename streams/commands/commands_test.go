package commands

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/internal/rig"
	"github.com/kasi-collections/kasi/streams/progress"
)

func opened(r *rig.Rig) *Commands {
	r.Helper()
	c, err := New(r.Cfg)
	require.NoError(r, err)
	r.Cleanup(c.Close)
	return c
}

// find returns the one record of the topic with that key, which must lie on the key's partition.
func find(r *rig.Rig, topic, key string, kind schemas.Kind, into any) {
	r.Helper()
	var found []*kgo.Record
	for _, rec := range r.Records(topic, schemas.PartitionOf(schemas.RoutingHash(key), r.Cfg.Partitions)) {
		if string(rec.Key) == key {
			found = append(found, rec)
		}
	}
	require.Len(r, found, 1, "%s on its partition of %s", key, topic)
	require.Equal(r, string(kind), progress.Header(found[0], schemas.HeaderKind))
	require.NoError(r, json.Unmarshal(found[0].Value, into))
}

func TestCommandsGoToTheirKeysPartition(t *testing.T) {
	r := rig.New(t)
	c := opened(r)
	policy := schemas.PolicyCommand{
		RequestID: "r1", Row: 1, Action: schemas.PolicyPatch, TenantID: "acme",
		PolicyNumber: "POL001",
	}
	require.NoError(t, c.Policies(t.Context(), []schemas.PolicyCommand{
		policy,
		{TenantID: "acme", PolicyNumber: "POL002"},
	}))
	execute := schemas.ExecuteCommand{
		RequestID: "r2", TenantID: "acme", CustomerID: "CUST001", PolicyNumber: "POL001",
		PeriodMonth: "2025-11",
	}
	require.NoError(t, c.Execute(t.Context(), []schemas.ExecuteCommand{execute}))
	settle := schemas.SettleCommand{RequestID: "r3", TenantID: "acme", PeriodMonth: "2025-11", Cut: []int64{1, 2, 3, 4}}
	require.NoError(t, c.Settle(t.Context(), settle))

	var gotPolicy schemas.PolicyCommand
	find(r, schemas.TopicPolicyCommands, schemas.CustomerKey("acme", "POL001"), schemas.KindPolicy, &gotPolicy)
	require.Equal(t, policy, gotPolicy)
	var gotExecute schemas.ExecuteCommand
	find(r, schemas.TopicTimeline, schemas.CustomerKey("acme", "CUST001"), schemas.KindExecute, &gotExecute)
	require.Equal(t, execute, gotExecute)
	var gotSettle schemas.SettleCommand
	find(r, schemas.TopicSettlementCommands, "acme", schemas.KindSettle, &gotSettle)
	require.Equal(t, settle, gotSettle)

	n, err := c.Partitions(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 4, n)
	settle.Cut = settle.Cut[1:]
	require.ErrorContains(t, c.Settle(t.Context(), settle), "3 numbers for 4 partitions")
}

func TestCommandsWithoutABroker(t *testing.T) {
	r := rig.NewFake(t)
	c := opened(r)
	r.Cluster.Close()
	ctx, cancel := context.WithTimeout(r.Context(), 200*time.Millisecond)
	defer cancel()
	err := c.Policies(ctx, []schemas.PolicyCommand{{TenantID: "acme", PolicyNumber: "POL001"}})
	require.ErrorContains(t, err, "1 of 1 commands were not acknowledged")
	_, err = c.Owed(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestCommandsNeedTopics(t *testing.T) {
	r := rig.New(t)
	cl, err := kgo.NewClient(r.Cfg.Client()...)
	require.NoError(t, err)
	defer cl.Close()
	_, err = progress.New(cl).Admin.DeleteTopics(r.Context(), schemas.TopicTimeline)
	require.NoError(t, err)
	require.Eventually(t, func() bool { // the controller answers before the broker knows
		topics, err := progress.Topics(r.Context(), cl, schemas.TopicTimeline)
		return err == nil && len(topics[schemas.TopicTimeline].Partitions) == 0
	}, 60*time.Second, progress.RetryPause)
	_, err = New(r.Cfg)
	require.ErrorContains(t, err, schemas.TopicTimeline)
}

// owedWithSlowCollect asks what is owed while a result lies outside, another on the timeline, and collect is slow.
// lying makes the broker say that collect has taken both over, which is what an Owed that does not wait would assume.
func owedWithSlowCollect(t *testing.T, lying bool) []int64 {
	r := rig.NewFake(t)
	r.Produce(schemas.TopicRailResults, 1, "outside", "", kgo.TryCommit)
	r.Produce(schemas.TopicTimeline, 3, "inside", "", kgo.TryCommit)
	asked, done, gate := r.Asked(schemas.GroupCollect), make(chan struct{}), make(chan struct{})
	if lying {
		r.Lie(schemas.GroupCollect)
	}
	r.Intake(nil)
	r.Collect(gate)
	var owed []int64
	var err error
	go func() {
		defer close(done)
		owed, err = opened(r).Owed(r.Context())
	}()
	rig.Until(asked, 20, done, gate)
	<-done
	require.NoError(t, err)
	return owed
}

// Money that the bank has reported counts, also where intake has not looked at the report yet.
func TestOwedWaitsForIntake(t *testing.T) {
	r := rig.NewFake(t)
	r.Produce(schemas.TopicRailResults, 1, "outside", "", kgo.TryCommit)
	asked, done, gate := r.Asked(schemas.GroupIntake), make(chan struct{}), make(chan struct{})
	r.Intake(gate)
	r.Collect(nil)
	var owed []int64
	var err error
	go func() {
		defer close(done)
		owed, err = opened(r).Owed(r.Context())
	}()
	rig.Until(asked, 20, done, gate)
	<-done
	require.NoError(t, err)
	require.Equal(t, []int64{0, 2, 0, 0}, owed)
}

// A policy that moves goes through intake and collect twice, and its collections count.
func TestOwedWaitsForAMove(t *testing.T) {
	r := rig.NewFake(t)
	r.Produce(schemas.TopicPolicyCommands, 1, "command", "", kgo.TryCommit)
	asked, done, gate := r.Asked(schemas.GroupPolicies), make(chan struct{}), make(chan struct{})
	to := func(topic string, in *kgo.Record, value string) *kgo.Record {
		return &kgo.Record{Topic: topic, Partition: in.Partition, Value: []byte(value)}
	}
	r.Stage(schemas.GroupIntake, nil, nil, schemas.TopicFeedTransactions, schemas.TopicFeedIncomes,
		schemas.TopicRailResults, schemas.TopicPayoutResults)
	r.Stage(schemas.GroupPolicies, nil, func(in *kgo.Record) *kgo.Record {
		if string(in.Value) == "command" {
			return to(schemas.TopicTimeline, in, "let go")
		}
		<-gate // the second way is slow
		return to(schemas.TopicTimeline, in, "take over")
	}, schemas.TopicPolicyCommands)
	r.Stage(schemas.GroupCollect, nil, func(in *kgo.Record) *kgo.Record {
		if string(in.Value) == "let go" {
			return to(schemas.TopicPolicyCommands, in, "gone")
		}
		return to(schemas.TopicCollections, in, "taken over")
	}, schemas.TopicTimeline)
	var owed []int64
	var err error
	go func() {
		defer close(done)
		owed, err = opened(r).Owed(r.Context())
	}()
	rig.Until(asked, 60, done, gate)
	<-done
	require.NoError(t, err)
	require.Equal(t, []int64{0, 2, 0, 0}, owed)
}

func TestOwedWaitsForCollect(t *testing.T) {
	// A record and the marker of its transaction on each of the two partitions.
	require.Equal(t, []int64{0, 2, 0, 2}, owedWithSlowCollect(t, false))
}

func TestOwedBeforeCollectIsThroughIsFound(t *testing.T) {
	require.Equal(t, []int64{0, 0, 0, 0}, owedWithSlowCollect(t, true))
}

// Collect's offsets may show before its transaction is decided on every partition: the answer must not fall short of
// what it wrote.
func TestOwedWaitsForOpenTransactions(t *testing.T) {
	r := rig.New(t)
	r.Stages()
	c := opened(r)
	// new topics have got their leaders, and the stages their partitions, however long that takes
	_, err := c.Owed(r.Context())
	require.NoError(t, err)
	tx, err := kgo.NewClient(r.Cfg.Client(kgo.TransactionalID("open"), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	require.NoError(t, err)
	defer tx.Close()
	require.NoError(t, tx.BeginTransaction())
	require.NoError(t, tx.ProduceSync(r.Context(), &kgo.Record{
		Topic: schemas.TopicCollections, Partition: 2,
		Value: []byte("x"),
	}).FirstErr())

	ctx, cancel := context.WithTimeout(r.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = c.Owed(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "a transaction is open on partition 2 of kasi.collections.v1 (offset 0 of 1)")

	require.NoError(t, tx.EndTransaction(r.Context(), kgo.TryCommit))
	owed, err := c.Owed(r.Context())
	require.NoError(t, err)
	require.Equal(t, []int64{0, 0, 2, 0}, owed)
}
