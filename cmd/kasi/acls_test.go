package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/cmd/internal/connect"
	"github.com/kasi-collections/kasi/cmd/internal/connect/certtest"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/sinks/clickhouse/chtest"
	"github.com/kasi-collections/kasi/streams/kafkatest"
)

// rights is a line of deploy/kafka/acls.tsv.
type rights struct{ user, what, name, operations string }

func readRights(t *testing.T) (all []rights) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "deploy", "kafka", "acls.tsv"))
	require.NoError(t, err)
	for line := range strings.Lines(string(b)) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); !strings.HasPrefix(line, "#") {
			require.Len(t, f, 4, line)
			all = append(all, rights{f[0], f[1], f[2], f[3]})
		}
	}
	return all
}

// grant makes the ACLs of a line.
func (r rights) grant(t *testing.T, adm *kadm.Client) {
	t.Helper()
	name, prefix := strings.CutSuffix(r.name, "*")
	b := kadm.NewACLs().Allow("User:" + r.user).AllowHosts("*").ResourcePatternType(kadm.ACLPatternLiteral)
	if prefix {
		b.ResourcePatternType(kadm.ACLPatternPrefixed)
	}
	switch r.what {
	case "topic":
		b.Topics(name)
	case "group":
		b.Groups(name)
	case "transactional-id":
		b.TransactionalIDs(name)
	case "cluster":
		b.Clusters()
	default:
		require.Fail(t, "unknown resource", "%v", r)
	}
	var operations []kadm.ACLOperation
	for text := range strings.SplitSeq(r.operations, ",") {
		op, err := kmsg.ParseACLOperation(text)
		require.NoError(t, err)
		operations = append(operations, op)
	}
	made, err := adm.CreateACLs(t.Context(), b.Operations(operations...))
	require.NoError(t, err)
	for _, m := range made {
		require.NoError(t, m.Err)
	}
}

// guarded is a Kafka whose users have the rights of the file, and a ClickHouse.
type guarded struct {
	t   *testing.T
	cfg config.Config // of nobody
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	all, users := readRights(t), map[string]string{"admin": "word"}
	for _, r := range all {
		users[r.user] = "word"
	}
	ca := certtest.New(t)
	own := ca.Sign(t, "server")
	k := kafkatest.Secured(t, kafkatest.Security{CA: ca.File, Cert: own.Cert, Key: own.Key, Users: users, Super: "admin"})
	ch := chtest.Secured(t, own.Cert, own.Key, "test-kasi", "test-analyst")
	g := &guarded{t: t, cfg: config.Config{
		KafkaBrokers: k.Brokers[0], KafkaTLS: true, KafkaCA: ca.File, KafkaSASL: config.Scram256, KafkaPassword: "word",
		ClickHouseAddr: ch.SecureNative, ClickHouseHTTP: ch.SecureHTTP, ClickHouseTLS: true, ClickHouseCA: ca.File,
		Database: "kasi", Password: "test-kasi", HTTP: freePort(t), Calendar: "manual", Date: "2025-11-01", Partitions: 4,
		DataDir: t.TempDir(), Instance: "1", Payouts: "assumed", WebhooksPauses: "1s", WebhooksFor: "1h",
		WebhooksSecret: "seal", WebhooksAllowPrivate: true,
	}}
	adm := kadm.NewClient(g.client("admin"))
	for _, r := range all {
		r.grant(t, adm)
	}
	return g
}

func (g *guarded) as(user string) config.Config {
	cfg := g.cfg
	cfg.KafkaUser = user
	return cfg
}

func (g *guarded) client(user string, more ...kgo.Opt) *kgo.Client {
	g.t.Helper()
	opts, err := connect.Kafka(g.as(user))
	require.NoError(g.t, err)
	cl, err := kgo.NewClient(append(append(opts, kgo.SeedBrokers(g.cfg.KafkaBrokers)), more...)...)
	require.NoError(g.t, err)
	g.t.Cleanup(cl.Close)
	return cl
}

// product is the command line as an operator's, on what the roles serve.
func (g *guarded) product() *product {
	return &product{t: g.t, http: g.cfg.HTTP, kafka: g.cfg.KafkaBrokers, env: []string{
		"KASI_KAFKA_BROKERS=" + g.cfg.KafkaBrokers, "KASI_KAFKA_TLS=true", "KASI_KAFKA_CA=" + g.cfg.KafkaCA,
		"KASI_KAFKA_SASL=SCRAM-SHA-256", "KASI_KAFKA_USER=kasi-operator", "KASI_KAFKA_PASSWORD=word",
		"KASI_CLICKHOUSE_HTTP=" + g.cfg.ClickHouseHTTP, "KASI_CLICKHOUSE_TLS=true", "KASI_CLICKHOUSE_CA=" + g.cfg.KafkaCA,
		"KASI_API=http://" + g.cfg.HTTP, "KASI_API_KEYS=",
	}}
}

// serve runs every role as its own user, the ticker first since it makes the topics, and returns when all serve.
func (g *guarded) serve() {
	t := g.t
	ctx, cancel := context.WithCancel(context.Background())
	roles, ctx := errgroup.WithContext(ctx)
	t.Cleanup(func() { cancel(); require.NoError(t, roles.Wait()) })
	for _, role := range app.RoleNames() {
		cfg := g.as("kasi-" + role)
		env, err := app.NewEnv(cfg)
		require.NoError(t, err)
		logger := slog.New(slog.DiscardHandler)
		require.NoError(t, env.Prepare(ctx, cfg, logger, role), role)
		ready := make(chan struct{}, 16)
		roles.Go(func() error {
			if err := env.Run(ctx, role, cfg, logger, func() {
				select {
				case ready <- struct{}{}:
				default:
				}
			}); err != nil {
				return fmt.Errorf("%s: %w", role, err)
			}
			return nil
		})
		select {
		case <-ready:
		case <-ctx.Done():
			require.NoError(t, roles.Wait(), role)
		case <-time.After(time.Minute):
			require.Fail(t, "a role does not serve", "%s", role)
		}
	}
}

// The product does its work with one user a role, each with the rights of deploy/kafka/acls.tsv and no others; parties
// outside have theirs.
func TestRolesNeedNoMoreThanTheirACLs(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.serve()
	p := g.product()
	var told atomic.Int32
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { told.Add(1) }))
	t.Cleanup(hook.Close)
	must := func(args ...string) string {
		t.Helper()
		out, err := p.run(nil, args...)
		require.NoError(t, err, "kasi %s\n%s", strings.Join(args, " "), out)
		return out
	}
	must("tenants", "create", "demo")
	out, err := p.command(t.Context(), "keys", "create", "--tenant", "demo").Output()
	require.NoError(t, err)
	key := strings.TrimSpace(string(out))
	p.env = append(p.env, "KASI_API_KEY="+key)
	policies := filepath.Join(t.TempDir(), "policies.csv")
	require.NoError(t, os.WriteFile(policies, []byte("customer_id,external_customer_ref,policy_number,product_code,"+
		"collection_amount\nC1,E1,POL001,FUNERAL_01,150.00\n"), 0o600))
	require.Eventually(t, func() bool { // the key is known within a second, the tenant too
		_, err := p.run(nil, "policies", "import", policies)
		return err == nil
	}, 20*time.Second, 100*time.Millisecond)
	code, body := p.callAs(key, "POST", "/v1/webhooks", "application/json",
		`{"url":"`+hook.URL+`","events":["collection.paid"]}`)
	require.Equal(t, 201, code, body)
	must("collections", "execute", "--period", "2025-11", "--wait")

	feed := g.client("bank-feed")
	deposit := `{"transaction_id":"T1","tenant_id":"demo","customer_id":"C1","booked_at":"2025-11-03T09:00:00+02:00",` +
		`"amount_cents":900000,"direction":"CREDIT","description":"SALARY"}`
	send := func(cl *kgo.Client, topic, value string) error {
		return cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr()
	}
	require.NoError(t, send(feed, schemas.TopicFeedTransactions, deposit))
	must("calendar", "advance", "--to", "2025-11-05")

	bank := g.client("bank-side", kgo.ConsumerGroup("bank-1"), kgo.ConsumeTopics(schemas.TopicDebits),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	var debit schemas.DebitInstruction
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for debit.DebitID == "" {
		fetched := bank.PollFetches(ctx)
		require.NoError(t, fetched.Err())
		fetched.EachRecord(func(r *kgo.Record) { require.NoError(t, json.Unmarshal(r.Value, &debit)) })
	}
	require.NoError(t, send(bank, schemas.TopicRailResults, fmt.Sprintf(`{"result_id":"R1","debit_id":%q,"status":"PAID",`+
		`"effective_date":%q}`, debit.DebitID, debit.ActionDate)))
	must("calendar", "advance", "--to", "2025-12-03")
	require.Contains(t, must("reports", "download", "--period", "2025-11"), ",PAID_FULL,")
	require.Contains(t, must("settlements", "create", "--period", "2025-11"), "SETTLE-2025-11-001")
	must("kafka", "undecided")
	must("dlq", "list")
	require.Eventually(t, func() bool { return told.Load() > 0 }, 20*time.Second, 50*time.Millisecond, "the webhook")
	said, err := p.run([]string{"KASI_KAFKA_USER=kasi-verify"}, "verify", "--grace", "0s")
	require.NoError(t, err, said)

	said, err = p.run([]string{"KASI_KAFKA_USER=kasi-settle"}, "keys", "list", "--tenant", "demo")
	require.Error(t, err)
	require.Contains(t, said, "kasi.keys.v1 cannot be read: TOPIC_AUTHORIZATION_FAILED")

	for user, topic := range map[string]string{
		"bank-feed": schemas.TopicRailResults, "bank-side": schemas.TopicFeedTransactions,
		"kasi-verify": schemas.TopicTimeline,
		"kasi-api":    schemas.TopicDebits, "kasi-sink": schemas.TopicCollections, "kasi-webhooks": schemas.TopicTimeline,
		"kasi-ticker": schemas.TopicDebits, "kasi-intake": schemas.TopicDebits, "kasi-settle": schemas.TopicDebits,
		"kasi-collect": schemas.TopicPayouts,
	} {
		err := send(g.client(user), topic, "{}")
		require.ErrorContains(t, err, "AUTHORIZATION_FAILED", "%s on %s", user, topic)
	}
}
