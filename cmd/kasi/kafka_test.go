package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/kafkatest"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/topics"
)

// A transaction that somebody has open is named and left alone, whatever is asked for; without one there is nothing to
// say.
func TestUndecidedTransactionsByHand(t *testing.T) {
	t.Parallel()
	kafka := kafkatest.Fake(t)
	_, err := topics.Ensure(t.Context(), stage.Config{Brokers: kafka.Brokers, Partitions: 2})
	require.NoError(t, err)
	say := func(more ...string) (string, error) {
		var out bytes.Buffer
		cmd := root()
		cmd.SetOut(&out)
		cmd.SetArgs(append([]string{"kafka", "undecided", "--kafka-brokers", strings.Join(kafka.Brokers, ",")}, more...))
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	said, err := say()
	require.NoError(t, err)
	require.Equal(t, "no transaction holds readers back\n", said)

	producer, err := kgo.NewClient(kgo.SeedBrokers(kafka.Brokers...), kgo.TransactionalID("kasi-collect-1"),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	defer producer.Close()
	require.NoError(t, producer.BeginTransaction())
	require.NoError(t, producer.ProduceSync(t.Context(), &kgo.Record{
		Topic: schemas.TopicDebits, Partition: 1, Value: []byte("x"),
	}).FirstErr())
	forced := []string{"--end", "--topic", schemas.TopicDebits, "--partition", "1", "--as", "aborted"}
	for _, more := range [][]string{nil, {"--end"}, forced} {
		said, err = say(more...)
		require.ErrorContains(t, err, "1 transactions hold readers back")
		require.Contains(t, said, "kasi.debits.v1 partition 1: the transaction of producer ")
		require.Contains(t, said, "has it open as kasi-collect-1")
	}
	said, err = say("--json")
	require.Error(t, err)
	var line struct {
		Outcome string
		Ended   bool
	}
	require.NoError(t, json.Unmarshal([]byte(said), &line))
	require.Equal(t, "running", line.Outcome)
	require.False(t, line.Ended)
	_, err = say("--as", "committed")
	require.ErrorContains(t, err, "--as needs --end, --topic and --partition")
	require.NoError(t, producer.EndTransaction(t.Context(), kgo.TryCommit))
}
