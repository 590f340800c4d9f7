package power

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	chembed "github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
	kembed "github.com/kasi-collections/kasi/streams/embedded"
)

// asEngines makes the test binary the two engines; its value is an engines.
const asEngines = "KASI_TEST_AS_ENGINES"

func TestMain(m *testing.M) {
	chembed.RunIfChild()
	if text := os.Getenv(asEngines); text != "" {
		err := serveEngines(text)
		fmt.Fprintln(os.Stderr, "the engines ended by themselves:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// engines are the embedded broker and ClickHouse in a process of their own.
type engines struct {
	Dir, Kafka, HTTP, Native string
	Durable                  bool
}

func serveEngines(text string) error {
	var e engines
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return err
	}
	var options []kembed.Option
	if e.Durable {
		options = append(options, kembed.Durable())
	}
	ctx := context.Background()
	if _, err := kembed.StartKafka(ctx, filepath.Join(e.Dir, "kafka"), e.Kafka, "", nil, options...); err != nil {
		return err
	}
	server, err := chembed.Start(ctx, chembed.Options{
		Dir: filepath.Join(e.Dir, "clickhouse"), HTTPAddr: e.HTTP, NativeAddr: e.Native, KasiPassword: kasiPW,
		Durable: e.Durable,
	})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	<-server.Done()
	return server.Err()
}

// Durable engines have after each cut all that they had acknowledged before. Others do not, which shows that the cuts
// cut.
func TestEnginesKeepTheirWordWhereDurable(t *testing.T) {
	if cannot(t) {
		return
	}
	d := disk(t, DiskOptions{Seed: 11})
	free, err := addrs(3)
	require.NoError(t, err)
	e := engines{Dir: d.in("durable"), Kafka: free[0], HTTP: free[1], Native: free[2], Durable: true}
	records, rows := e.lostByCuts(t, d, 3)
	require.Zero(t, records, "acknowledged records lost")
	require.Zero(t, rows, "acknowledged rows lost")
	e.Dir, e.Durable = d.in("plain"), false
	records, rows = e.lostByCuts(t, d, 3)
	require.Positive(t, records, "a broker that does not fsync lost nothing: the rig shows nothing")
	require.Positive(t, rows, "a ClickHouse that does not fsync lost nothing: the rig shows nothing")
}

// lostByCuts writes to both engines and cuts the power, again and again, and counts what was acknowledged and is gone.
func (e engines) lostByCuts(t *testing.T, d *Disk, cuts int) (records, rows int) {
	const each = 20
	p := &product{disk: d}
	for range cuts {
		e.start(t, p)
		recordsBefore, rowsBefore := e.write(t, each)
		require.NoError(t, d.Cut(p.kill))
		require.NoError(t, p.wait(t.Context()))
		e.start(t, p)
		recordsAfter, rowsAfter := e.write(t, 0)
		records, rows = records+recordsBefore-recordsAfter, rows+rowsBefore-rowsAfter
		p.kill()
		require.NoError(t, p.wait(t.Context()))
	}
	return records, rows
}

func (e engines) start(t testing.TB, p *product) {
	t.Helper()
	text, err := json.Marshal(e)
	require.NoError(t, err)
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), asEngines+"="+string(text))
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(p.kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
}

// write has so many records and rows acknowledged, one by one, and says how many there are.
func (e engines) write(t *testing.T, each int) (records, rows int) {
	t.Helper()
	ctx := t.Context()
	cl, err := kgo.NewClient(kgo.SeedBrokers(e.Kafka), kgo.DefaultProduceTopic("acknowledged"))
	require.NoError(t, err)
	defer cl.Close()
	adm := kadm.NewClient(cl)
	_, err = adm.CreateTopic(ctx, 1, 1, nil, "acknowledged")
	require.True(t, err == nil || strings.Contains(err.Error(), "TOPIC_ALREADY_EXISTS"), "%v", err)
	conn := connect(t, e.Native)
	require.NoError(t, conn.Exec(ctx,
		"CREATE TABLE IF NOT EXISTS acknowledged (n UInt64) ENGINE = MergeTree ORDER BY n"))
	for range each {
		require.NoError(t, cl.ProduceSync(ctx, kgo.StringRecord("acknowledged")).FirstErr())
		require.NoError(t, conn.Exec(ctx, "INSERT INTO acknowledged VALUES (1)"))
	}
	ends, err := adm.ListEndOffsets(ctx, "acknowledged")
	require.NoError(t, err)
	end, _ := ends.Lookup("acknowledged", 0)
	var n uint64
	require.NoError(t, conn.QueryRow(ctx, "SELECT count() FROM acknowledged").Scan(&n))
	return int(end.Offset), int(n)
}

// BenchmarkDurable is what it costs to force to disk: a record, and an insert of 1,000 rows, acknowledged one by one.
func BenchmarkDurable(b *testing.B) {
	for _, durable := range []bool{false, true} {
		free, err := addrs(3)
		require.NoError(b, err)
		p := &product{}
		engines{Dir: b.TempDir(), Kafka: free[0], HTTP: free[1], Native: free[2], Durable: durable}.start(b, p)
		cl, err := kgo.NewClient(kgo.SeedBrokers(free[0]), kgo.DefaultProduceTopic("t"), kgo.ProducerLinger(0))
		require.NoError(b, err)
		_, err = kadm.NewClient(cl).CreateTopic(b.Context(), 1, 1, nil, "t")
		require.NoError(b, err)
		conn := connect(b, free[2])
		require.NoError(b, conn.Exec(b.Context(), "CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n"))
		b.Run(fmt.Sprintf("record/durable=%v", durable), func(b *testing.B) {
			for b.Loop() {
				require.NoError(b, cl.ProduceSync(b.Context(), kgo.StringRecord("r")).FirstErr())
			}
		})
		b.Run(fmt.Sprintf("insert/durable=%v", durable), func(b *testing.B) {
			for b.Loop() {
				require.NoError(b, conn.Exec(b.Context(), "INSERT INTO t SELECT number FROM numbers(1000)"))
			}
		})
		cl.Close()
		p.kill()
		require.NoError(b, p.wait(b.Context()))
	}
}

func connect(t testing.TB, native string) driver.Conn {
	t.Helper()
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr: []string{native}, Auth: clickhouse.Auth{Database: "kasi", Username: "kasi", Password: kasiPW},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestMonthWithPowerCuts is `make power`, short.
func TestMonthWithPowerCuts(t *testing.T) {
	if cannot(t) {
		return
	}
	t.Parallel()
	kasi := filepath.Join(t.TempDir(), "kasi")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", kasi, "../../../kasi").CombinedOutput()
	require.NoError(t, err, string(out))
	o := Options{
		Customers: 60, Records: 500, Cuts: 1, Disk: DiskOptions{Seed: 1}, Flags: []string{"--durable"},
		Dir: t.TempDir(), Out: t.Output(),
		Kasi: func(args ...string) *exec.Cmd {
			cmd := exec.Command(kasi, args...)
			cmd.Env = append(os.Environ(), Env()...)
			return cmd
		},
	}
	if err := Run(t.Context(), o); err != nil {
		b, _ := os.ReadFile(filepath.Join(o.Dir, "kasi.log")) // it may not have come so far
		t.Logf("end of kasi.log:\n%s", b[max(0, len(b)-3000):])
		require.NoError(t, err)
	}
}
