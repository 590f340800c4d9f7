package storm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	chembed "github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
	"github.com/kasi-collections/kasi/streams/kafkatest"
)

func TestMain(m *testing.M) {
	chembed.RunIfChild()
	os.Exit(m.Run())
}

// TestStorm is `make storm`, short: a month of some hundred customers, while stages, sinks, the API, ClickHouse and (on
// Apache Kafka) one of three brokers after the other are killed with kill -9 or put to sleep, and instances join and
// leave. KASI_TEST_KILLS sets another number of kills.
func TestStorm(t *testing.T) {
	t.Parallel()
	kasi := filepath.Join(t.TempDir(), "kasi")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", kasi, "../../../kasi").CombinedOutput()
	require.NoError(t, err, string(out))
	k := kafkatest.StartThree(t)
	o := Options{
		Customers: 200, Records: 20_000, Kills: 12, Seed: 1, Brokers: k.Brokers, Cluster: k.Cluster,
		Replication: int(k.Replication), Dir: t.TempDir(),
		Kasi: func(args ...string) *exec.Cmd {
			cmd := exec.Command(kasi, args...)
			cmd.Env = append(os.Environ(), Env()...)
			return cmd
		},
	}
	if n, err := strconv.Atoi(os.Getenv("KASI_TEST_KILLS")); err == nil {
		o.Kills = n
	}
	o.Out = testLog{t}
	err = Run(t.Context(), o)
	if err == nil {
		return
	}
	logs, _ := filepath.Glob(filepath.Join(o.Dir, "*.log")) // the pattern is a good one
	for _, name := range logs {
		if b, err := os.ReadFile(name); err == nil {
			t.Logf("end of %s:\n%s", filepath.Base(name), b[max(0, len(b)-3000):])
		}
	}
	require.NoError(t, err)
}

// testLog shows what is written as the test's own words, as it comes.
type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimRight(string(b), "\n"))
	return len(b), nil
}
