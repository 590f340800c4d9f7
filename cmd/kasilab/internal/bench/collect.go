package bench

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

// commitInterval is the Kafka Streams program's: at some 30,000 records a second and thread, a transaction of it takes
// in about 10,000 records too.
const commitInterval = "330"

// peerSettings is how the Kafka Streams program is tuned.
var peerSettings = []string{
	"num.stream.threads=2", "commit.interval.ms=" + commitInterval, "statestore.cache.max.bytes=268435456",
	"buffered.records.per.partition=20000", "main.consumer.max.poll.records=10000",
	"main.consumer.max.partition.fetch.bytes=4194304", "producer.linger.ms=20", "producer.batch.size=524288",
	"producer.buffer.memory=134217728",
	"producer.compression.type=gzip", "producer.compression.gzip.level=1", "auto.include.jmx.reporter=false",
}

// contender is one of those that take turns.
type contender struct {
	name  string
	group string
	start func(ctx context.Context, k *kafka, round int) (*child, error)
}

// benchCollect sets the collect stage beside a bare loop and a Kafka Streams program. A first run of collect, not
// counted, gives the bare loop the records that collect writes.
func benchCollect(ctx context.Context, k *kafka, o *options, t *table) error {
	jars, err := peerJars()
	if err != nil {
		return err
	}
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
	script, err := os.CreateTemp("", "kasilab-script-")
	if err != nil {
		return err
	}
	defer remove(script)

	collect := collectContender(o)
	loop := func(name, kind string) *contender {
		return &contender{name: name, group: groupBare, start: func(ctx context.Context, k *kafka, _ int) (*child, error) {
			return spawn(ctx, kind, k.brokers(), fmt.Sprint(o.transaction), script.Name())
		}}
	}
	if _, err := k.once(ctx, o, collect, 0, warm, end); err != nil {
		return err
	}
	wrote, err := k.script(ctx, script, int(end))
	if err != nil {
		return err
	}
	say("   collect writes %s", wrote)
	turns := make([]*turn, 0, 4)
	for _, c := range []*contender{
		loop("bare loop", "bare"), loop("bare loop, collect's codecs", "bare-lz4"), collect, peerContender(o, jars),
	} {
		turns = append(turns, &turn{name: c.name, do: func(round int) (run, error) {
			return k.once(ctx, o, c, round, warm, end)
		}})
	}
	if err := takeTurns(o.rounds, func() error { return nil }, turns...); err != nil {
		return err
	}
	peerWrote, err := k.peerWrote(ctx, int(end)) // it had the last turn
	if err != nil {
		return err
	}
	alone, quick, ours, streams := turns[0].runs, turns[1].runs, turns[2].runs, turns[3].runs
	t.section("Kafka to Kafka, exactly once", "records/s", "processor s a million records (client + broker)",
		"collect beside it")
	t.row("bare franz-go loop, same records written, gzip", rates(alone), costs(alone), ratio(ours, alone))
	t.row("the same with collect's codecs, lz4 for its changelog", rates(quick), costs(quick), ratio(ours, quick))
	t.row("collect", rates(ours), costs(ours), "1")
	t.row("Kafka Streams 4.3, exactly_once_v2", rates(streams), costs(streams), ratio(ours, streams))
	t.note("%d timeline records measured after %d warm ones. A record of the timeline makes collect (and the bare "+
		"loop) write: %s.", end-warm, warm, wrote)
	t.note("The Kafka Streams program writes: %s. Its settings: %s; in-memory store with changelog.", peerWrote,
		strings.Join(peerSettings, " "))
	return nil
}

// peerContender is the Kafka Streams program.
func peerContender(o *options, jars string) *contender {
	run := func(ctx context.Context, k *kafka, _ int) (*child, error) {
		if err := k.topics(ctx, o.partitions, topicPeer+"transactions", topicPeer+"deposits",
			topicPeer+"decisions"); err != nil {
			return nil, err
		}
		args := append([]string{
			"-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp",
			jars, "Collect", k.brokers(), groupPeer, schemas.TopicTimeline, topicPeer,
		}, peerSettings...)
		return start(exec.CommandContext(ctx, "java", args...))
	}
	return &contender{name: "Kafka Streams", group: groupPeer, start: run}
}

// collectContender is the real stage.
func collectContender(o *options) *contender {
	return &contender{name: "collect", group: schemas.GroupCollect, start: func(ctx context.Context, k *kafka,
		round int,
	) (*child, error) {
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
	return r, nil
}

// peerJars is the class path of the Kafka Streams program.
func peerJars() (string, error) {
	for _, dir := range []string{"cmd/kasilab/internal/bench/peer/target", "peer/target"} {
		if jars, _ := filepath.Glob(filepath.Join(dir, "streams-peer-*.jar")); len(jars) == 1 {
			return jars[0] + ":" + filepath.Join(dir, "lib", "*"), nil
		}
	}
	return "", errors.New("the Kafka Streams program is not built: make bench-kafka builds it")
}
