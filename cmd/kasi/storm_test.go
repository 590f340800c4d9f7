package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/cmd/internal/storm"
	"github.com/kasi-collections/kasi/streams/kafkatest"
)

// TestStorm is `make storm`, short: a month of some hundred customers, while stages, sinks, the API, ClickHouse and (on Apache Kafka) the broker are killed with
// kill -9, and instances join and leave. KASI_TEST_KILLS sets another number of kills.
func TestStorm(t *testing.T) {
	t.Parallel()
	k := kafkatest.Start(t)
	o := storm.Options{
		Customers: 200, Records: 20_000, Kills: 12, Seed: 1, Brokers: k.Brokers, Cluster: k.Cluster, Replication: int(k.Replication), Dir: t.TempDir(),
		Kasi: func(args ...string) *exec.Cmd {
			cmd := command(context.Background(), args...)
			cmd.Env = append(cmd.Env, storm.Env()...)
			return cmd
		},
	}
	if n, err := strconv.Atoi(os.Getenv("KASI_TEST_KILLS")); err == nil {
		o.Kills = n
	}
	var out bytes.Buffer
	o.Out = &out
	err := storm.Run(t.Context(), o)
	t.Log(out.String())
	require.NoError(t, err)
}
