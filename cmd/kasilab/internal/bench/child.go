package bench

import (
	"compress/gzip"
	"context"
	"encoding/gob"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/cmd/internal/heap"
	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams"
	"github.com/kasi-collections/kasi/streams/stage"
)

// childCmd runs one contender. It is for this program itself.
func childCmd() *cobra.Command {
	return &cobra.Command{
		Use: "child", Hidden: true, Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, brokers := cmd.Context(), strings.Split(args[1], ",")
			if args[0] != "restore" { // it counts the heap
				defer heap.Floor()()
			}
			switch args[0] {
			case "bare":
				return runBare(ctx, brokers, args[2], args[3],
					kgo.ProducerBatchCompression(kgo.GzipCompression().WithLevel(gzip.BestSpeed)))
			case "bare-lz4":
				return runBare(ctx, brokers, args[2], args[3], kgo.WithCompressor(stage.Compressor()))
			case "sink":
				return runSink(ctx, brokers, args[2:])
			case "raw":
				return runRaw(ctx, args[2:])
			case "chi":
				return runChi(ctx, args[1])
			case "up":
				return runUp(ctx, args[2:])
			case "restore":
				return runCollect(ctx, brokers, args[2:], sayMemory(time.Now()))
			default:
				return runCollect(ctx, brokers, args[2:], func() {})
			}
		},
	}
}

// runCollect is the real stage; args are records a transaction, the instance, then a file for a profile.
func runCollect(ctx context.Context, brokers, args []string, ready func()) error {
	stop, err := profiled(args[2:])
	if err != nil {
		return err
	}
	defer stop()
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	cfg := stage.Config{
		Brokers: brokers, MaxRecords: n, Instance: args[1],
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	return streams.Run(ctx, cfg, "collect", streams.Needs{Engine: processors.NewEngine(rules.Default())}, ready)
}

// sayMemory tells how long the restore took and what the state weighs.
func sayMemory(began time.Time) func() {
	return func() {
		after := time.Since(began)
		debug.FreeOSMemory() // collects garbage first
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		status, _ := os.ReadFile("/proc/self/status") // only to be shown
		var kilobytes int
		for line := range strings.Lines(string(status)) {
			if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				_, _ = fmt.Sscan(rest, &kilobytes)
			}
		}
		fmt.Printf("restored heap=%d resident=%d after=%v\n", m.HeapAlloc, kilobytes*1024, after)
	}
}

// profiled starts a processor profile where a file is named.
func profiled(args []string) (stop func(), err error) {
	if len(args) == 0 {
		return func() {}, nil
	}
	f, err := os.Create(args[0])
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); _ = f.Close() }, nil
}

// runBare consumes, produces and commits with nothing in between but the records that collect would write, on a client
// with the options of a stage.
func runBare(ctx context.Context, brokers []string, records, path string, codec kgo.Opt) error {
	n, err := strconv.Atoi(records)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var scripts []script
	if err := gob.NewDecoder(f).Decode(&scripts); err != nil {
		return err
	}
	s, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(brokers...), kgo.ConsumerGroup(groupBare), kgo.ConsumeTopics(schemas.TopicTimeline),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.TransactionalID("bare"), kgo.ProducerLinger(0),
		codec, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxBufferedRecords(1<<20),
	)
	if err != nil {
		return err
	}
	defer s.Close()
	owed, next := make([]int, len(scripts)), make([]int, len(scripts))
	for {
		fetches := s.PollRecords(ctx, n)
		if ctx.Err() != nil {
			return nil
		}
		if err := fetches.Err(); err != nil {
			return err
		}
		if err := s.Begin(); err != nil {
			return err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			for i := range scripts {
				for owed[i] += scripts[i].Records; owed[i] >= scripts[i].Input; owed[i] -= scripts[i].Input {
					at := next[i] % len(scripts[i].Values)
					next[i]++
					s.Produce(ctx, &kgo.Record{
						Topic: scripts[i].Topic, Partition: r.Partition, Key: scripts[i].Keys[at],
						Value: scripts[i].Values[at], Headers: scripts[i].Headers, Timestamp: r.Timestamp,
					}, nil)
				}
			}
		})
		if _, err := s.End(context.Background(), kgo.TryCommit); err != nil {
			return err
		}
	}
}
