package kafkatest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// asParent makes the test binary the parent of a process that must not outlive it; its value is the directory.
const asParent = "KASI_TEST_KAFKA_PARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(asParent); dir != "" {
		parent(dir)
	}
	os.Exit(m.Run())
}

// parent starts a process that lives for long, says so, and waits to be killed.
func parent(dir string) {
	_, err := startProcess(dir, filepath.Join(dir, "log"), exec.Command("sh", "-c", "echo $$; exec sleep 1000"))
	fmt.Println("started", err)
	select {}
}

// A broker dies with the test process, even where that is killed, and its directory goes.
func TestProcessDiesWithItsParent(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "kasi-kafka-")
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asParent+"="+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "started <nil>\n", line)
	var pid string
	require.Eventually(t, func() bool {
		b, err := os.ReadFile(filepath.Join(dir, "log"))
		pid = strings.TrimSpace(string(b))
		return err == nil && pid != ""
	}, 10*time.Second, pause)
	require.DirExists(t, "/proc/"+pid)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // killed
	gone := func(path string) func() bool {
		return func() bool { _, err := os.Stat(path); return os.IsNotExist(err) }
	}
	require.Eventually(t, gone("/proc/"+pid), 10*time.Second, pause)
	require.Eventually(t, gone(dir), 10*time.Second, pause)
}

// A cluster of three takes records while a broker is dead, and is not ready before its replicas are in sync again.
// Other Kafkas take records as they are.
func TestThreeOutliveABroker(t *testing.T) {
	k := StartThree(t)
	ctx, cancel := context.WithTimeout(context.Background(), startPatience)
	t.Cleanup(cancel)
	k.Topics(t, 3, "kasi.test")
	cl, err := kgo.NewClient(kgo.SeedBrokers(k.Brokers...), kgo.MetadataMinAge(pause),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	if k.Cluster != nil {
		require.Len(t, k.Brokers, 3)
		k.Cluster.Kill(1)
	}
	for p := range int32(3) {
		rec := &kgo.Record{Topic: "kasi.test", Partition: p, Value: []byte("meanwhile")}
		require.NoError(t, cl.ProduceSync(ctx, rec).FirstErr())
	}
	if k.Cluster == nil {
		return
	}
	require.Eventually(t, func() bool {
		meta, err := metadata(ctx, k.Brokers[0])
		return err == nil && len(outOfSync(meta.Topics)) > 0
	}, startPatience, pause)
	require.NoError(t, k.Cluster.Start(1))
	require.NoError(t, k.Cluster.Ready(ctx))
	meta, err := metadata(ctx, k.Brokers[1])
	require.NoError(t, err)
	require.Empty(t, outOfSync(meta.Topics))
}

// Each test finds nothing of ours: no topic, no group although its member never left, no open transaction.
func TestStartGivesAnEmptyKafka(t *testing.T) {
	for range 3 {
		t.Run("round", func(t *testing.T) {
			k := Start(t)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			t.Cleanup(cancel)
			cl, err := kgo.NewClient(kgo.SeedBrokers(k.Brokers...), kgo.TransactionalID("kasi-left"), kgo.MetadataMinAge(pause))
			require.NoError(t, err)
			t.Cleanup(cl.Close)
			adm := kadm.NewClient(cl)
			meta, err := adm.Metadata(ctx)
			require.NoError(t, err)
			require.Empty(t, ours(meta.Topics.Names()))
			groups, err := adm.ListGroups(ctx)
			require.NoError(t, err)
			require.Empty(t, ours(groups.Groups()))

			_, err = adm.CreateTopic(ctx, 2, k.Replication, nil, "kasi.test")
			require.NoError(t, err)
			require.NoError(t, cl.BeginTransaction())
			require.NoError(t, cl.ProduceSync(ctx, &kgo.Record{Topic: "kasi.test", Value: []byte("open")}).FirstErr())
			member, err := kgo.NewClient(kgo.SeedBrokers(k.Brokers...), kgo.ConsumerGroup("kasi.test"),
				kgo.ConsumeTopics("kasi.test"))
			require.NoError(t, err)
			t.Cleanup(member.CloseAllowingRebalance)
			require.Eventually(t, func() bool {
				d, err := adm.DescribeGroups(ctx, "kasi.test")
				return err == nil && len(d["kasi.test"].Members) == 1
			}, time.Minute, pause)
		})
	}
}
