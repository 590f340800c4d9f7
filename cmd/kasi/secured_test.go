package main

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/cmd/internal/connect"
	"github.com/kasi-collections/kasi/cmd/internal/connect/certtest"
	"github.com/kasi-collections/kasi/sinks/clickhouse/chtest"
	"github.com/kasi-collections/kasi/streams/kafkatest"
)

// secured is a product whose Kafka, ClickHouse and API speak TLS only, to whoever logs in.
func secured(t *testing.T) *product {
	t.Helper()
	ca := certtest.New(t)
	broker, server, api := ca.Sign(t, "broker"), ca.Sign(t, "clickhouse"), ca.Sign(t, "api")
	k := kafkatest.Secured(t, kafkatest.Security{
		CA: ca.File, Cert: broker.Cert, Key: broker.Key, Users: map[string]string{"kasi": "kafka-word"}, Super: "kasi",
	})
	ch := chtest.Secured(t, server.Cert, server.Key, "test-kasi", "test-analyst")
	word := filepath.Join(t.TempDir(), "word")
	require.NoError(t, os.WriteFile(word, []byte("kafka-word\n"), 0o600))
	p := &product{t: t, http: freePort(t), kafka: k.Brokers[0]}
	p.engine = []string{"--kafka-brokers", p.kafka, "--clickhouse-addr", ch.SecureNative, "--partitions", "4"}
	p.env = []string{
		"KASI_KAFKA_BROKERS=" + p.kafka, "KASI_KAFKA_TLS=true", "KASI_KAFKA_CA=" + ca.File,
		"KASI_KAFKA_SASL=SCRAM-SHA-512", "KASI_KAFKA_USER=kasi", "KASI_KAFKA_PASSWORD_FILE=" + word,
		"KASI_CLICKHOUSE_ADDR=" + ch.SecureNative, "KASI_CLICKHOUSE_HTTP=" + ch.SecureHTTP, "KASI_CLICKHOUSE_TLS=true",
		"KASI_CLICKHOUSE_CA=" + ca.File, "KASI_HTTP_CERT=" + api.Cert, "KASI_HTTP_KEY=" + api.Key,
		"KASI_API=https://" + p.http, "KASI_API_CA=" + ca.File, "KASI_API_KEY=" + testKey,
	}
	return p
}

// run is a command's output and its error, within a time in which nothing hangs. with are variables over the product's.
func (p *product) run(with []string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	cmd := p.command(ctx, args...)
	cmd.Env = append(cmd.Env, with...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// A month and every command over secured connections only.
func TestEveryCommandOverSecuredConnections(t *testing.T) {
	t.Parallel()
	p := secured(t)
	p.up(t.TempDir(), "2025-11-01")
	must := func(args ...string) string {
		t.Helper()
		out, err := p.run(nil, args...)
		require.NoError(t, err, "kasi %s\n%s", strings.Join(args, " "), out)
		return out
	}
	dir := t.TempDir()
	policies, feed := filepath.Join(dir, "policies.csv"), filepath.Join(dir, "feed.csv")
	require.NoError(t, os.WriteFile(policies, []byte("customer_id,external_customer_ref,policy_number,product_code,"+
		"collection_amount\nC1,E1,POL001,FUNERAL_01,150.00\n"), 0o600))
	require.NoError(t, os.WriteFile(feed, []byte("account_id,date,type,operation,amount,balance,k_symbol,bank,account\n"+
		"1,2025-11-06,credit,cash,9000.00,9000.00,,,\n"), 0o600))

	require.Contains(t, must("policies", "import", policies), "1 imported, 0 failed")
	require.Contains(t, must("collections", "execute", "--period", "2025-11", "--wait"), "1 collections made")
	require.Contains(t, must("calendar", "advance", "--to", "2025-11-05"), "2025-11-05")
	require.Contains(t, must("bank", "--once"), "1 debits answered")
	must("feed", "replay", feed)
	require.Contains(t, must("calendar", "show"), "2025-11-06")
	require.Contains(t, must("reports", "download", "--period", "2025-11"), ",PAID_FULL,")
	require.Contains(t, must("explain", "--policy", "POL001", "--date", "2025-11-05"), "POL001")
	id := strings.TrimSpace(must("sql", "--format", "csv", "SELECT any(debit_id) FROM debits_log FORMAT TSV"))
	require.Contains(t, must("trace", id), "debit")
	require.Contains(t, must("verify", "--grace", "0s"), "the books agree")
	require.Contains(t, must("settlements", "create", "--period", "2025-11", "--preview"), "150.00")
	must("settlements", "list")
	must("open-items", "list")
	require.Contains(t, must("tenants", "create", "acme"), "created")
	must("tenants", "set", "acme", "--from", "2025-11-01", "patience=9500")
	require.Contains(t, must("tenants", "list"), "acme")
	require.Contains(t, must("keys", "create", "--tenant", "acme"), "kasi_")
	require.Contains(t, must("keys", "list", "--tenant", "acme"), "acme")
	must("dlq", "list")
	require.Contains(t, must("kafka", "undecided"), "no transaction holds readers back")
	require.Contains(t, must("sink", "refill"), "nothing is missing")
	must("config", "check")
	p.loginIsSentOverTLSOnly()
}

// loginIsSentOverTLSOnly logs in to the console and looks at the cookie.
func (p *product) loginIsSentOverTLSOnly() {
	p.t.Helper()
	ca := p.env[slices.IndexFunc(p.env, func(kv string) bool { return strings.HasPrefix(kv, "KASI_API_CA=") })]
	client, err := connect.API(strings.TrimPrefix(ca, "KASI_API_CA="))
	require.NoError(p.t, err)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := client.PostForm("https://"+p.http+"/login", url.Values{"key": {testKey}})
	require.NoError(p.t, err)
	require.NoError(p.t, res.Body.Close())
	require.Len(p.t, res.Cookies(), 1, res.Status)
	require.True(p.t, res.Cookies()[0].Secure)
	require.Equal(p.t, 1, res.ProtoMajor)
}

// A mistake ends a command or a role at once, and the message says what to do. No password is in it.
func TestMistakesOfSecuredConnectionsEndAtOnce(t *testing.T) {
	t.Parallel()
	p := secured(t)
	other := certtest.New(t).File
	word := filepath.Join(t.TempDir(), "word")
	require.NoError(t, os.WriteFile(word, []byte("wrong-word"), 0o600))
	for _, c := range []struct{ with, says, command string }{
		{"KASI_KAFKA_PASSWORD_FILE=" + word, `refuses the user "kasi" by SCRAM-SHA-512`, "keys list --tenant demo"},
		{"KASI_KAFKA_PASSWORD_FILE=" + word, `refuses the user "kasi" by SCRAM-SHA-512`, "run collect"},
		{"KASI_KAFKA_CA=" + other, "--kafka-ca", "dlq list"},
		{"KASI_KAFKA_CA=" + other, "--kafka-ca", "up --calendar manual"},
		{"KASI_CLICKHOUSE_CA=" + other, "--clickhouse-ca", "run sink"},
		{"KASI_CLICKHOUSE_CA=" + other, "--clickhouse-ca", "sql SELECT"},
		{"KASI_CLICKHOUSE_CA=" + other, "--clickhouse-ca", "verify"},
		{"KASI_CLICKHOUSE_CA=" + other, "--clickhouse-ca", "sink refill"},
		{"KASI_CLICKHOUSE_PASSWORD=wrong-word", "refuses the user kasi", "run settle"},
		{"KASI_HTTP_KEY=" + other, "http-cert, http-key", "config check"},
		{"KASI_KAFKA_TSL=true", "did you mean KASI_KAFKA_TLS?", "dlq list"},
	} {
		began := time.Now()
		out, err := p.run([]string{c.with, "KASI_DATA_DIR=" + t.TempDir()}, strings.Fields(c.command)...)
		require.ErrorAs(t, err, new(*exec.ExitError), c.command)
		require.Contains(t, out, c.says, c.command)
		require.Less(t, time.Since(began), 20*time.Second, c.command)
		require.NotContains(t, out, "-word", c.command)
	}
}
