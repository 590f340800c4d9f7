package kafkatest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"golang.org/x/sync/errgroup"
)

// startPatience bounds the start of a broker; the machine may be busy.
const startPatience = 90 * time.Second

// Cluster is Apache Kafka in KRaft mode on this machine, loopback only, without fsync (Kafka's default). Each node is
// broker and controller. Its directory is removed when the test process ends, however it ends, unless Keep was called.
//
// Only a cluster of three may lose a broker, and one at a time: kill it, start it, wait for Ready. A lone broker that
// was killed has no leader for its partitions while it registers anew. Kafka 4.3 takes such partitions for deleted and
// leaves out the markers of transactions that were being decided (streams/DESIGN.md, Limits).
type Cluster struct {
	dir   string
	jvm   []string // flags of the brokers' Java
	nodes []*node
	*Security
}

// Option changes how StartCluster starts brokers.
type Option func(*Cluster)

// Full gives each broker the Java that Kafka's own start script gives it, all compilers and 1 GiB: slow to start, and
// the only kind whose speed says anything.
func Full(c *Cluster) {
	c.jvm = []string{
		"-Xms1g", "-Xmx1g", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
		"-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent",
	}
}

// small is quick to start. Half as much heap makes a broker of TestStorm collect garbage for half of its time.
var small = []string{"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}

// node is one broker.
type node struct {
	id      int
	addr    string
	secure  string // address of the secured listener
	dir     string
	config  string
	process *process
}

// StartCluster formats and starts n brokers and returns when all of them answer. It belongs to the test process: Stop
// it, or let it die with it.
func StartCluster(n int, options ...Option) (*Cluster, error) {
	jars, err := findJars()
	if err != nil {
		return nil, err
	}
	if _, err := exec.LookPath("java"); err != nil {
		return nil, errors.New("java is missing: install Java 17 or later")
	}
	dir, err := os.MkdirTemp("", "kasi-kafka-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir, jvm: small}
	for _, o := range options {
		o(c)
	}
	if err := c.configure(n); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := c.format(jars); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	for _, n := range c.nodes {
		if err := c.start(n, jars); err != nil {
			c.Stop()
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), startPatience)
	defer cancel()
	if err := c.Ready(ctx); err != nil {
		c.Keep()
		c.Stop()
		return nil, err
	}
	return c, nil
}

// format makes the directories of all nodes at once: each takes a Java more than a second.
func (c *Cluster) format(jars string) error {
	id := clusterID()
	var g errgroup.Group
	for _, n := range c.nodes {
		g.Go(func() error {
			out, err := java(jars, small, "kafka.tools.StorageTool", "format", "-t", id, "-c", n.config).CombinedOutput()
			if err != nil {
				return fmt.Errorf("format of node %d: %w\n%s", n.id, err, out)
			}
			return nil
		})
	}
	return g.Wait()
}

// findJars looks for deploy/kafka/jars upwards from the test's directory.
func findJars() (string, error) {
	dir := os.Getenv("KASI_TEST_KAFKA_JARS")
	if dir == "" {
		at, err := os.Getwd()
		if err != nil {
			return "", err
		}
		for ; ; at = filepath.Dir(at) {
			if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil || at == filepath.Dir(at) {
				break
			}
		}
		dir = filepath.Join(at, "deploy", "kafka", "jars")
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "kafka_2.13-*.jar")); len(found) == 0 {
		return "", fmt.Errorf("no Kafka in %s: make kafka-jars fetches it", dir)
	}
	return dir, nil
}

// clusterID is 16 random bytes as 22 characters of base64url. Kafka refuses a leading dash.
func clusterID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[0] &= 0x7f
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// configure chooses ports and writes the nodes' properties.
func (c *Cluster) configure(n int) error {
	ports, err := freePorts(3 * n)
	if err != nil {
		return err
	}
	brokers, controllers, secured := ports[:n], ports[n:2*n], ports[2*n:]
	var voters []string
	for i, addr := range controllers {
		voters = append(voters, fmt.Sprintf("%d@%s", i+1, addr))
	}
	for i, addr := range brokers {
		b := &node{
			id: i + 1, addr: addr, secure: secured[i], dir: filepath.Join(c.dir, fmt.Sprintf("data-%d", i+1)),
			config: filepath.Join(c.dir, fmt.Sprintf("node-%d.properties", i+1)),
		}
		own := map[string]string{
			"node.id": fmt.Sprint(b.id), "process.roles": "broker,controller", "log.dirs": b.dir,
			"listeners":            "PLAINTEXT://" + addr + ",CONTROLLER://" + controllers[i],
			"advertised.listeners": "PLAINTEXT://" + addr, "controller.listener.names": "CONTROLLER",
			"controller.quorum.voters": strings.Join(voters, ","),
		}
		if c.Security != nil {
			if err := c.secure(own, b.secure); err != nil {
				return err
			}
		}
		text := properties(settings(n), own)
		if err := os.WriteFile(b.config, []byte(text), 0o600); err != nil {
			return err
		}
		c.nodes = append(c.nodes, b)
	}
	return nil
}

// settings are what a Kafka of n brokers for tests is given beside its addresses: replication that it can have, and no
// waiting.
func settings(n int) map[string]string {
	factor, isr := "1", "1"
	if n >= 3 {
		factor, isr = "3", "2"
	}
	return map[string]string{
		"default.replication.factor": factor, "min.insync.replicas": isr, "auto.create.topics.enable": "false",
		"unclean.leader.election.enable":   "false",
		"offsets.topic.replication.factor": factor, "offsets.topic.num.partitions": "5",
		"transaction.state.log.replication.factor": factor, "transaction.state.log.min.isr": isr,
		"transaction.state.log.num.partitions":             "5",
		"share.coordinator.state.topic.replication.factor": factor, "share.coordinator.state.topic.min.isr": isr,
		"group.initial.rebalance.delay.ms": "0", "group.min.session.timeout.ms": fmt.Sprint(minSession.Milliseconds()),
		"log.segment.delete.delay.ms": "1000",
		// A broker that was killed may register anew once its old session has run out.
		"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500",
	}
}

func properties(maps ...map[string]string) string {
	var b strings.Builder
	for _, m := range maps {
		for k, v := range m {
			fmt.Fprintf(&b, "%s=%s\n", k, v)
		}
	}
	return b.String()
}

// freePorts are addresses that nobody listens at; all are chosen before any is let go.
func freePorts(n int) ([]string, error) {
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return out, nil
}

// Brokers are the addresses of all brokers.
func (c *Cluster) Brokers() []string {
	var out []string
	for _, n := range c.nodes {
		out = append(out, n.addr)
	}
	return out
}

func (c *Cluster) replication() int16 { return int16(min(3, len(c.nodes))) }

// Start starts broker i (0, 1, ...) after its first format or after Kill. It does not wait for its answer: Ready does.
func (c *Cluster) Start(i int) error {
	jars, err := findJars()
	if err != nil {
		return err
	}
	return c.start(c.nodes[i], jars)
}

func (c *Cluster) start(n *node, jars string) (err error) {
	n.process, err = startProcess(c.dir, n.dir+".log", java(jars, c.jvm, "kafka.Kafka", n.config))
	return err
}

// Pids are the processes of all nodes: for whoever counts processor time.
func (c *Cluster) Pids() []int {
	var out []int
	for _, n := range c.nodes {
		out = append(out, n.process.cmd.Process.Pid)
	}
	return out
}

// Kill ends broker i as kill -9 does and waits for its end. The next may be killed after Start and Ready.
func (c *Cluster) Kill(i int) { c.nodes[i].process.kill() }

// Ready waits until each broker answers, names all of them, and shows every replica of every partition in sync. Asking
// one would not do: for some seconds the others still name one that is dead.
func (c *Cluster) Ready(ctx context.Context) error {
	for {
		waiting, err := c.notReady(ctx)
		if err != nil || waiting == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("kafka in %s does not get ready: %w", c.dir, waiting)
		case <-time.After(pause):
		}
	}
}

// notReady says what the cluster still lacks; err is that it never will have it.
func (c *Cluster) notReady(ctx context.Context) (waiting, err error) {
	for _, n := range c.nodes {
		if n.process.ended() {
			return nil, fmt.Errorf("node %d has ended:\n%s", n.id, tail(n.dir+".log"))
		}
	}
	for _, n := range c.nodes {
		meta, err := metadata(ctx, n.addr)
		if err != nil {
			return err, nil //nolint:nilerr // it may pass
		}
		if found := len(meta.Brokers); found != len(c.nodes) {
			return fmt.Errorf("broker %d knows %d of %d", n.id, found, len(c.nodes)), nil
		}
		if behind := outOfSync(meta.Topics); len(behind) > 0 {
			return fmt.Errorf("broker %d shows replicas out of sync: %s", n.id, strings.Join(behind, ", ")), nil
		}
	}
	return nil, nil
}

// outOfSync are the partitions that lack a leader or a replica in sync.
func outOfSync(topics kadm.TopicDetails) []string {
	var out []string
	topics.EachPartition(func(p kadm.PartitionDetail) {
		if p.Leader < 0 || len(p.ISR) < len(p.Replicas) {
			out = append(out, fmt.Sprintf("%s/%d leader %d in sync %v", p.Topic, p.Partition, p.Leader, p.ISR))
		}
	})
	return out
}

// Keep leaves the brokers' logs and data behind when the process ends.
func (c *Cluster) Keep() { _ = os.WriteFile(filepath.Join(c.dir, keepFile), nil, 0o600) }

// Stop kills all nodes and removes the directory, unless Keep was called.
func (c *Cluster) Stop() {
	for _, n := range c.nodes {
		if n.process != nil {
			n.process.kill()
		}
	}
	if _, err := os.Stat(filepath.Join(c.dir, keepFile)); err != nil {
		_ = os.RemoveAll(c.dir)
	}
}
