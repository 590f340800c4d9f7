package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/letters"
)

// kasi runs a command line in this process, its output no terminal.
func kasi(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := root()
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestDLQCommands(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, schemas.TopicDeadLetters,
		schemas.TopicFeedTransactions, schemas.TopicRailResults))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	brokers := strings.Join(c.ListenAddrs(), ",")
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	at := time.Date(2025, 11, 5, 8, 0, 0, 0, time.UTC)
	for i, class := range []string{"MISSING_FIELD", "UNKNOWN_DEBIT", "UNKNOWN_DEBIT"} {
		topic := schemas.TopicRailResults
		if i == 0 {
			topic = schemas.TopicFeedTransactions
		}
		rec := &kgo.Record{
			Topic: schemas.TopicDeadLetters, Key: []byte("who"), Value: []byte("Mrs \x1b[31mDlamini"),
			Timestamp: at.AddDate(0, 0, i),
		}
		for _, h := range [][2]string{
			{letters.HeaderErrorTopic, topic},
			{letters.HeaderErrorPartition, "0"},
			{letters.HeaderErrorOffset, "4"},
			{letters.HeaderErrorClass, class},
			{letters.HeaderErrorMessage, "why " + class},
			{letters.HeaderErrorConnector, "intake"},
		} {
			rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: h[0], Value: []byte(h[1])})
		}
		require.NoError(t, cl.ProduceSync(t.Context(), rec).FirstErr())
	}
	dlq := func(args ...string) (string, error) {
		return kasi(t, append(append([]string{"dlq"}, args...), "--kafka-brokers", brokers)...)
	}

	out, err := dlq("list", "--class", "UNKNOWN_DEBIT", "--since", "2025-11-07")
	require.NoError(t, err)
	require.Equal(t, "0-2\t2025-11-07T08:00:00Z\tUNKNOWN_DEBIT\tkasi.rail.results.v1/0/4\twhy UNKNOWN_DEBIT\n", out)
	out, err = dlq("list", "--json")
	require.NoError(t, err)
	require.Equal(t, 3, strings.Count(out, "\n"))
	require.NotContains(t, out, "Dlamini")
	_, err = dlq("list", "--since", "yesterday")
	require.ErrorContains(t, err, "--since")

	out, err = dlq("show", "0-0")
	require.NoError(t, err)
	require.Contains(t, out, "class    MISSING_FIELD")
	require.NotContains(t, out, "Dlamini", "personal data only with --value")
	out, err = dlq("show", "0-0", "--value")
	require.NoError(t, err)
	require.Contains(t, out, `Mrs \x1b[31mDlamini`, "what steers a terminal is quoted")
	out, err = dlq("show", "0-0", "--value", "--json")
	require.NoError(t, err)
	var shown map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &shown))
	require.Equal(t, "0-0", shown["id"])
	_, err = dlq("show", "0-9")
	require.ErrorContains(t, err, "no dead letter 0-9")

	_, err = dlq("replay")
	require.ErrorContains(t, err, "name the dead letters")
	_, err = dlq("replay", "0-1", "--class", "UNKNOWN_DEBIT")
	require.ErrorContains(t, err, "not both")
	_, err = dlq("replay", "--class", "NOPE", "--yes")
	require.ErrorContains(t, err, "no dead letter of class NOPE")
	_, err = dlq("replay", "--class", "UNKNOWN_DEBIT")
	require.ErrorContains(t, err, "2 dead letters would be replayed; run it again with --yes")
	out, err = dlq("replay", "--class", "UNKNOWN_DEBIT", "--yes", "--by", "me")
	require.NoError(t, err)
	require.Equal(t, "replayed 0-1 to kasi.rail.results.v1 partition 0\nreplayed 0-2 to kasi.rail.results.v1 "+
		"partition 0\n", out)
	out, err = dlq("replay", "0-0", "0-0")
	require.NoError(t, err, "one record twice is one record")
	require.Equal(t, 1, strings.Count(out, "\n"))
}
