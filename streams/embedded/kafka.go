// Package embedded runs a Kafka broker inside the process: kfake with a data directory. It is for evaluation,
// development and tests; DESIGN.md in this folder says what it does not give.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// Option is one of a broker.
type Option = kfake.Opt

// Durable forces each record to the disk before it is acknowledged, so that it survives a power cut. Each batch and
// each commit then costs a flush of the disk.
func Durable() Option { return kfake.SyncWrites() }

// Kafka is a running embedded broker.
type Kafka struct {
	addr  string
	close func() error
}

// StartKafka starts a broker that keeps its data under dir and listens on addr, host:port with a loopback host; port 0
// takes a free one. Clients must use the host of addr, since that is what the broker advertises. A second process on
// the same dir is an error. What the broker's former life left open (transactions, group members) is closed before it
// returns. ctx bounds the start only: end with Close.
//
// interfaces, where it is not empty, is the IP address to listen on in place of addr's host, which may then be any
// name: 0.0.0.0 in a container whose port is published. Whoever reaches it may do all: there is no authentication.
func StartKafka(ctx context.Context, dir, addr, interfaces string, log *slog.Logger, options ...Option) (*Kafka,
	error,
) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	host, listen, err := places(addr, interfaces)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("embedded kafka: %w", err)
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if got, err := lock.TryLock(); err != nil {
		return nil, fmt.Errorf("embedded kafka: locking %s: %w", dir, err)
	} else if !got {
		return nil, fmt.Errorf("embedded kafka: another process uses %s: stop it, or give this one a data directory of "+
			"its own", dir)
	}
	cluster, err := start(ctx, filepath.Join(dir, "data"), host, listen, log, options)
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	k := &Kafka{addr: cluster.ListenAddrs()[0]}
	k.close = sync.OnceValue(func() error { cluster.Close(); return lock.Unlock() })
	if interfaces != "" {
		log.Warn("embedded kafka has no authentication, and --kafka-listen opens it to whoever reaches this address",
			"listens", listen)
	}
	log.Warn("embedded kafka is for evaluation: a crash may tear a transaction in two, and acknowledged records are "+
		"forced to disk only with --durable; use a real Kafka for real money", "address", k.addr, "dir", dir)
	return k, nil
}

func start(ctx context.Context, dir, host, listen string, log *slog.Logger, options []Option) (*kfake.Cluster, error) {
	began := time.Now()
	cluster, err := kfake.NewCluster(append(options,
		kfake.NumBrokers(1), kfake.DataDir(dir), kfake.ClusterID("kasi-embedded"), kfake.WithLogger(logger{log}),
		kfake.ListenFn(func(string, string) (net.Listener, error) {
			l, err := net.Listen("tcp", listen)
			if err != nil {
				return nil, err
			}
			return &guard{Listener: l, host: host, log: log}, nil
		}),
		kfake.MaxVersions(versions()),
		// A demonstration that rests for weeks must find its consumer offsets again; the default drops them after 7 days.
		kfake.BrokerConfigs(map[string]string{"offsets.retention.minutes": "5256000"}),
	)...)
	if err != nil {
		return nil, fmt.Errorf("embedded kafka: cannot start on %s with data in %s: %w%s", listen, dir, err, wayOut(err))
	}
	addr := cluster.ListenAddrs()[0]
	if err := closeLeftovers(ctx, addr); err != nil {
		cluster.Close()
		return nil, fmt.Errorf("embedded kafka: closing what the last run left open: %w", err)
	}
	log.Info("embedded kafka started", "address", addr, "took", time.Since(began).Round(time.Millisecond))
	return cluster, nil
}

// versions are the requests that the broker takes: all that kfake knows but four, which Java's AdminClient does not
// understand as kfake answers them. Its describeTopics fails at key 75, createTopics above version 4 of key 19,
// listConsumerGroups above version 4 of key 16, and key 48 has quotas that nobody here has. The client falls back where
// a key or a version is missing.
func versions() *kversion.Versions {
	v := kversion.Stable()
	v.SetMaxKeyVersion(int16(kmsg.DescribeTopicPartitions), -1)
	v.SetMaxKeyVersion(int16(kmsg.DescribeClientQuotas), -1)
	v.SetMaxKeyVersion(int16(kmsg.CreateTopics), 4)
	v.SetMaxKeyVersion(int16(kmsg.ListGroups), 4)
	return v
}

// wayOut is what an operator can do about an error of the start.
func wayOut(err error) string {
	if errors.Is(err, syscall.EADDRINUSE) || strings.Contains(err.Error(), syscall.EADDRINUSE.Error()) {
		return "; choose another address, or stop what holds it (`ss -ltnp` shows it; is another kasi running?)"
	}
	return ""
}

// Addr is the address that clients use, host:port.
func (k *Kafka) Addr() string { return k.addr }

// Close writes what is in memory to the data directory and frees it. Connections are cut. A second call does nothing.
func (k *Kafka) Close() error { return k.close() }

// closeLeftovers aborts the transactions and removes the group members that the broker kept from before its restart.
// Their processes are gone with it; left alone, an open transaction would hold back every reader until its time-out and
// a dead member the next assignment until its session ends, 45 seconds each. An outside client that did live on joins
// again and repeats its transaction by itself.
func closeLeftovers(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	return errors.Join(abortTransactions(ctx, cl, adm), removeMembers(ctx, cl, adm))
}

// abortTransactions takes over each transactional id that has something open, which aborts it.
func abortTransactions(ctx context.Context, cl *kgo.Client, adm *kadm.Client) error {
	open, err := adm.ListTransactions(ctx, nil, []string{"Ongoing"})
	if err != nil {
		return fmt.Errorf("listing transactions: %w", err)
	}
	for _, id := range open.TransactionalIDs() {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID, req.TransactionTimeoutMillis = &id, 60_000
		for {
			resp, err := req.RequestWith(ctx, cl)
			if err == nil {
				err = kerr.ErrorForCode(resp.ErrorCode)
			}
			if err == nil {
				break
			}
			if !kerr.IsRetriable(err) || ctx.Err() != nil {
				return fmt.Errorf("aborting the transaction of %q: %w", id, err)
			}
		}
	}
	return nil
}

// removeMembers does what the members' clients would have done on a clean end: leave.
func removeMembers(ctx context.Context, cl *kgo.Client, adm *kadm.Client) error {
	groups, err := adm.DescribeGroups(ctx)
	if err != nil {
		return fmt.Errorf("describing groups: %w", err)
	}
	for _, g := range groups {
		if g.Err != nil || len(g.Members) == 0 {
			continue
		}
		req := kmsg.NewPtrLeaveGroupRequest()
		req.Group = g.Group
		for _, m := range g.Members {
			member := kmsg.NewLeaveGroupRequestMember()
			member.MemberID = m.MemberID
			req.Members = append(req.Members, member)
		}
		if _, err := req.RequestWith(ctx, cl); err != nil {
			return fmt.Errorf("removing the members of group %q: %w", g.Group, err)
		}
	}
	return nil
}

// places splits addr into the host that is advertised and the address that is listened on. The broker has no
// authentication, so another interface than loopback must be named.
func places(addr, interfaces string) (host, listen string, err error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", "", fmt.Errorf("embedded kafka: %q is not host:port: %w", addr, err)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "", "", fmt.Errorf("embedded kafka: %q has no port from 0 to 65535", addr)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	if interfaces != "" {
		if net.ParseIP(interfaces) == nil {
			return "", "", fmt.Errorf("embedded kafka: --kafka-listen %q is not an IP address such as 0.0.0.0", interfaces)
		}
		return host, net.JoinHostPort(interfaces, port), nil
	}
	ip := net.ParseIP(host)
	if host == "localhost" {
		ip = net.IPv4(127, 0, 0, 1)
	}
	if ip == nil || !ip.IsLoopback() {
		return "", "", fmt.Errorf("embedded kafka: %q is not a loopback address; it has no authentication, so it listens "+
			"on 127.0.0.1 only: use a real Kafka to serve other machines, or say --kafka-listen", addr)
	}
	return host, net.JoinHostPort(ip.String(), port), nil
}

// logger passes the broker's own messages on.
type logger struct{ log *slog.Logger }

// Logf implements kfake.Logger.
func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	to := slog.LevelDebug
	switch level {
	case kfake.LogLevelError:
		to = slog.LevelError
	case kfake.LogLevelWarn:
		to = slog.LevelWarn
	}
	if l.log.Enabled(context.Background(), to) {
		l.log.Log(context.Background(), to, "embedded kafka: "+fmt.Sprintf(format, args...))
	}
}
