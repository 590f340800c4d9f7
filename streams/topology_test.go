package streams

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/stage"
)

// TestGroupsOf names the groups behind each role, and the topics that they read.
func TestGroupsOf(t *testing.T) {
	t.Parallel()
	require.Len(t, GroupsOf("sink")[0].Topics, len(schemas.SunkTopics))
	collect := progress.Group{ID: schemas.GroupCollect, Role: "collect", Topics: []string{schemas.TopicTimeline}}
	require.Equal(t, []progress.Group{collect}, GroupsOf("collect"))
	require.Len(t, GroupsOf("intake"), 2)
	require.Empty(t, GroupsOf("typo"))
	require.Equal(t, []string{"intake", "owners"}, StagesOf("intake"))
	require.Equal(t, []string{"sink"}, StagesOf("sink"))
	require.Error(t, Run(t.Context(), stage.Config{}, "typo", Needs{}, nil))
}

// TestTopologyIsWhole checks the table against the topic table: every topic exists there, one writer keeps each dense
// sequence, and state lies beside its input.
func TestTopologyIsWhole(t *testing.T) {
	t.Parallel()
	topics := map[string]schemas.Topic{}
	for _, topic := range schemas.Topics {
		topics[topic.Name] = topic
	}
	dense, groups, names := map[string][]string{}, map[string]bool{}, map[string]bool{}
	for _, s := range Topology {
		require.False(t, groups[s.Group] || names[s.Name], s.Name)
		groups[s.Group], names[s.Name] = true, true
		for _, in := range s.Inputs {
			require.Contains(t, topics, in)
			require.True(t, topics[in].Partitioned, in)
		}
		for _, o := range s.Outputs {
			require.Contains(t, topics, o.Topic)
			// Collect leaves the rest of a long record to itself. No other stage may feed itself.
			require.True(t, s.Name == "collect" || !slices.Contains(s.Inputs, o.Topic), s.Name)
			if o.Dense {
				require.True(t, topics[o.Topic].Partitioned, o.Topic)
				dense[o.Topic] = append(dense[o.Topic], s.Name)
			}
		}
		require.NotEmpty(t, s.Role, s.Name)
		require.NotNil(t, s.open, s.Name)
		require.Contains(t, topics, s.CountOf)
		require.True(t, slices.ContainsFunc(s.Outputs, func(o stage.Output) bool { return o.Topic == s.DeadLetters }), s.Name)
		if s.State != "" {
			require.True(t, topics[s.State].Compacted && topics[s.State].Partitioned, s.State)
			require.Len(t, s.Inputs, 1, "state of %s has the partitions of its one input", s.Name)
		}
	}
	for topic, writers := range dense {
		if topic != schemas.TopicOutcomes { // dense per stage
			require.Len(t, writers, 1, topic)
		}
	}
	for topic := range schemas.SunkTopics {
		if schemas.Counted(topic) { // no stage writes the others
			require.Contains(t, dense, topic)
		}
	}
}
