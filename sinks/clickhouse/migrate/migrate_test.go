package migrate

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// On a cluster the marks are replicated too, or a replica would promise what only another has written.
func TestMarksOfACluster(t *testing.T) {
	statement, err := createMarks("kasi")
	require.NoError(t, err)
	require.Contains(t, statement, "CREATE TABLE IF NOT EXISTS sink_marks ON CLUSTER kasi\n(")
	require.Contains(t, statement, "\nENGINE = ReplicatedAggregatingMergeTree\nORDER BY (topic, partition)")
	statement, err = createMarks("")
	require.NoError(t, err)
	require.Contains(t, statement, "CREATE TABLE IF NOT EXISTS sink_marks\n(")
	require.Contains(t, statement, "\nENGINE = AggregatingMergeTree\n")
}
