package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/kasi-collections/kasi/schemas"
)

// Names of the peers' groups and topics.
const (
	groupBare = "bench.bare"
	groupPeer = "bench-peer"
	topicPeer = "bench.peer."
)

// commitInterval is the Kafka Streams program's: at some 30,000 records a second and thread, a transaction of it takes in about 10,000 records too.
const commitInterval = "330"

// peerSettings is how the Kafka Streams program is tuned. Fewer threads, RocksDB, the default fetches and batches were each slower.
var peerSettings = []string{
	"num.stream.threads=2", "commit.interval.ms=" + commitInterval, "statestore.cache.max.bytes=268435456", "buffered.records.per.partition=20000", "main.consumer.max.poll.records=10000",
	"main.consumer.max.partition.fetch.bytes=4194304", "producer.linger.ms=20", "producer.batch.size=524288", "producer.buffer.memory=134217728",
	"producer.compression.type=gzip", "producer.compression.gzip.level=1", "auto.include.jmx.reporter=false",
}

// contender is one of those that take turns.
type contender struct {
	name  string
	group string
	start func(ctx context.Context, k *kafka, round int) (*child, error)
	runs  []run
}

// benchCollect sets the collect stage beside a bare loop and a Kafka Streams program. A first run of collect, not counted, gives the bare loop the records that collect writes.
func benchCollect(ctx context.Context, o *options, t *table) error {
	jars, err := peerJars()
	if err != nil {
		return err
	}
	k, err := startKafka()
	if err != nil {
		return err
	}
	defer k.stop()
	w := world{o.customers, o.partitions}
	warm := int64(w.setupRecords() + o.warm)
	end := int64(w.setupRecords() + w.ticksIn() + o.warm + o.records)
	if err := k.anew(ctx, o); err != nil {
		return err
	}
	say("writing the timeline: %d records ...", end)
	if err := k.feed(ctx, w.month(o.warm+o.records)); err != nil {
		return err
	}
	script, err := os.CreateTemp("", "kafkabench-script-")
	if err != nil {
		return err
	}
	defer os.Remove(script.Name())
	defer script.Close()

	collect := collectContender(o)
	bare := &contender{name: "bare loop", group: groupBare, start: func(ctx context.Context, k *kafka, _ int) (*child, error) {
		return spawn(ctx, "bare", k.brokers(), fmt.Sprint(o.transaction), script.Name())
	}}
	peer := &contender{name: "Kafka Streams", group: groupPeer, start: func(ctx context.Context, k *kafka, _ int) (*child, error) {
		if err := k.topics(ctx, o.partitions, topicPeer+"transactions", topicPeer+"deposits", topicPeer+"decisions"); err != nil {
			return nil, err
		}
		args := append([]string{"-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", jars, "Collect", k.brokers(), groupPeer, schemas.TopicTimeline, topicPeer}, peerSettings...)
		return start(ctx, exec.CommandContext(ctx, "java", args...))
	}}
	if _, err := k.once(ctx, o, collect, 0, warm, end); err != nil {
		return err
	}
	wrote, err := k.script(ctx, script, int(end))
	if err != nil {
		return err
	}
	say("   collect writes %s", wrote)
	for round := 1; round <= o.rounds; round++ {
		for _, c := range []*contender{bare, collect, peer} {
			r, err := k.once(ctx, o, c, round, warm, end)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			c.runs = append(c.runs, r)
			if c == peer && round == o.rounds {
				if err := k.peerWrote(ctx, t, int(end)); err != nil {
					return err
				}
			}
		}
	}
	t.section("Kafka to Kafka, exactly once", "records/s", "processor s a million records (client + broker)", "collect beside it")
	t.row("bare franz-go loop, same records written", rates(bare.runs), costs(bare.runs), ratio(collect.runs, bare.runs))
	t.row("collect", rates(collect.runs), costs(collect.runs), "1")
	t.row("Kafka Streams 4.3, exactly_once_v2", rates(peer.runs), costs(peer.runs), ratio(collect.runs, peer.runs))
	t.note("%d timeline records measured after %d warm ones. A record of the timeline makes collect (and the bare loop) write: %s.", end-warm, warm, wrote)
	t.note("Kafka Streams: %s; in-memory store with changelog.", strings.Join(peerSettings, " "))
	return nil
}

// collectContender is the real stage.
func collectContender(o *options) *contender {
	return &contender{name: "collect", group: schemas.GroupCollect, start: func(ctx context.Context, k *kafka, round int) (*child, error) {
		args := []string{"collect", k.brokers(), fmt.Sprint(o.transaction), "0"}
		if o.profile != "" && round > 0 {
			args = append(args, o.profile)
		}
		return spawn(ctx, args...)
	}}
}

// once measures one run of a contender on topics that hold nothing but the timeline.
func (k *kafka) once(ctx context.Context, o *options, c *contender, round int, warm, end int64) (run, error) {
	if err := k.anew(ctx, o, schemas.TopicTimeline); err != nil {
		return run{}, err
	}
	process, err := c.start(ctx, k, round)
	if err != nil {
		return run{}, err
	}
	r, err := k.contend(ctx, process, c.group, schemas.TopicTimeline, warm, end)
	if err = errors.Join(err, process.stop()); err != nil {
		return run{}, err
	}
	say("%d %-14s %s", round, c.name, r)
	return r, nil
}

// peerJars is the class path of the Kafka Streams program.
func peerJars() (string, error) {
	for _, dir := range []string{"cmd/kafkabench/peer/target", "peer/target"} {
		if jars, _ := filepath.Glob(filepath.Join(dir, "streams-peer-*.jar")); len(jars) == 1 {
			return jars[0] + ":" + filepath.Join(dir, "lib", "*"), nil
		}
	}
	return "", errors.New("the Kafka Streams program is not built: make bench-kafka builds it (mvn -f cmd/kafkabench/peer/pom.xml package)")
}
