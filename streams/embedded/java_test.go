//go:build java

package embedded

import (
	"bytes"
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestJavaAdministers: Java's AdminClient, on which every Kafka console stands, works on the embedded broker. It reads
// answers that other clients ignore. `make test-kafka` runs it: it needs Java and the jars of `make kafka-jars`.
func TestJavaAdministers(t *testing.T) {
	k := launch(t, t.TempDir(), "127.0.0.1:0")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "java", "-cp", "../../deploy/kafka/jars/*", "testdata/Administrator.java", k.Addr())
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.Output()
	require.NoError(t, err, "%s\n%s", out, log.String())
	require.Equal(t, `cluster: kasi-embedded
names: true
described: 3
config: -1
altered: 1000000
partitions: 4
groups: [java-group]
all groups: [java-group]
members: 0
committed: 1
end: 1
deleted: true
quotas: true
`, string(out))
}
