package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/cmd/internal/config"
)

func load(t *testing.T, yaml string, environ []string, args ...string) (config.Config, error) {
	t.Helper()
	path := ""
	if yaml != "" {
		path = filepath.Join(t.TempDir(), "kasi.yaml")
		require.NoError(t, os.WriteFile(path, []byte(yaml), 0o600))
	}
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	fs.Bool("unrelated", false, "a flag of the command itself")
	config.Flags(fs)
	require.NoError(t, fs.Parse(args))
	return config.Load(path, fs, func(name string) (string, bool) {
		for _, e := range environ {
			if value, ok := strings.CutPrefix(e, name+"="); ok {
				return value, true
			}
		}
		return "", false
	})
}

func TestSourcesWinInOrder(t *testing.T) {
	c, err := load(t, "http: 127.0.0.1:1\nkafka: 127.0.0.1:2\npartitions: 3\n", []string{
		"KASI_KAFKA=127.0.0.1:4",
		"KASI_PARTITIONS=5", "KASI_LIBCHDB=/x", "HOME=/y",
	},
		"--partitions", "6", "--unrelated")
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:1", c.HTTP, "the file wins over the default")
	require.Equal(t, "127.0.0.1:4", c.Kafka, "the environment wins over the file")
	require.Equal(t, 6, c.Partitions, "a flag wins over the environment")
	require.Equal(t, ".kasi", c.DataDir, "a flag that was not set does not hide anything")
}

func TestDefaultsWhole(t *testing.T) {
	c, err := load(t, "", nil)
	require.NoError(t, err)
	require.Equal(t, config.Config{
		DataDir: ".kasi", HTTP: "127.0.0.1:8080", Kafka: "127.0.0.1:9092", ClickHouseHTTP: "127.0.0.1:8123",
		ClickHouseNative: "127.0.0.1:9000",
		Database:         "kasi", Calendar: "real", Instance: "1", Replication: 1, QueryRate: 100, UpdateRate: 10,
		Payouts:     "assumed",
		RefusedRate: 100, WebhooksPauses: "1s,5s,15s,30s,1m,2m,5m,10m,20m,30m,1h,2h,4h", WebhooksFor: "72h",
		LogLevel:  "info",
		LogFormat: "text",
	}, c)
}

func TestAllMistakesAtOnce(t *testing.T) {
	_, err := load(t, "htttp: x\ncalendar: julian\npartitions: -1\n", []string{
		"KASI_API_KEYS=demo=a,other=a",
		"KASI_KAFKA=0.0.0.0:9092", "KASI_DATE=2025-13-01",
	}, "--log-level", "loud")
	require.Error(t, err)
	for _, want := range []string{
		"htttp: unknown key", `calendar: "julian"`, "partitions: -1", "api-keys: pair 2 repeats",
		`kafka: "0.0.0.0:9092" is not a loopback`, `date: "2025-13-01"`, `log-level: "loud"`,
	} {
		require.Contains(t, err.Error(), want)
	}
}

// TestWrongTypesHideNothing: a number that is none stands beside the other mistakes, and what YAML reads as a date or a
// list is still text.
func TestWrongTypesHideNothing(t *testing.T) {
	_, err := load(t, "partitions: many\nreplication: 1.5\nhttp: {a: b}\napi-keys: [1]\ncalendar: julian\n",
		[]string{"KASI_UPDATES_PER_MINUTE=ten"})
	require.Error(t, err)
	for _, want := range []string{
		`partitions: "many" is not a whole number`, `replication: "1.5" is not a whole number`,
		`http: "map[a:b]" is not text`, `api-keys: is not text`,
		`calendar: "julian" is neither`, `updates-per-minute: "ten" is not a whole number`,
	} {
		require.Contains(t, err.Error(), want)
	}
	c, err := load(t, "date: 2025-11-01\ncalendar: manual\nhttp:\nkafka-brokers: [a:1, b:2]\ninstance: 7\n", nil)
	require.NoError(t, err)
	require.Equal(t, "2025-11-01", c.Date)
	require.Equal(t, "127.0.0.1:8080", c.HTTP, "a key without a value is its default")
	require.Equal(t, []string{"a:1", "b:2"}, c.Brokers())
	require.Equal(t, "7", c.Instance)
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	c, err := load(t, "", []string{"KASI_API_KEYS=demo=very-secret", "KASI_ANALYST_PASSWORD=also-secret"})
	require.NoError(t, err)
	p := c.Printable()
	require.Equal(t, "set", p["api-keys"])
	require.Equal(t, "not set", p["clickhouse-password"])
	require.Len(t, p, reflect.TypeFor[config.Config]().NumField(), "each option is printed")
	for k, v := range p {
		if s, ok := v.(string); ok {
			require.False(t, strings.Contains(s, "secret"), k)
		}
	}
	_, err = load(t, "", []string{"KASI_API_KEYS=very-secret"})
	require.ErrorContains(t, err, "pair 1 is not tenant=key")
	require.NotContains(t, err.Error(), "very-secret")
	_, err = load(t, "", []string{"KASI_TENANT_ANALYST_PASSWORDS=a=very-secret,very-secret"})
	require.ErrorContains(t, err, "tenant-analyst-passwords: pair 2 is not tenant=password")
	require.NotContains(t, err.Error(), "very-secret")
}

func TestAClusterIsOfServersOfItsOwn(t *testing.T) {
	_, err := load(t, "", []string{"KASI_CLICKHOUSE_CLUSTER=kasi"})
	require.ErrorContains(t, err, `clickhouse-cluster: "kasi" needs --clickhouse-addr`)
	_, err = load(t, "", []string{"KASI_CLICKHOUSE_CLUSTER=a;b"})
	require.ErrorContains(t, err, "is not a plain identifier")
}

func TestTenantAnalysts(t *testing.T) {
	c, err := load(t, "", []string{"KASI_TENANT_ANALYST_PASSWORDS=acme=one, other-1=t=wo"})
	require.NoError(t, err)
	all, err := c.TenantAnalysts()
	require.NoError(t, err)
	require.Equal(t, []config.Key{{Tenant: "acme", Key: "one"}, {Tenant: "other-1", Key: "t=wo"}}, all)
	require.Equal(t, "set", c.Printable()["tenant-analyst-passwords"])
	for given, why := range map[string]string{
		"a b=x": `tenant "a b" of pair 1 cannot be part`, "a=x,a=y": "pair 2 repeats tenant a", "=x": "pair 1 is not",
		"a'=x": "cannot be part",
	} {
		_, err := load(t, "", []string{"KASI_TENANT_ANALYST_PASSWORDS=" + given})
		require.ErrorContains(t, err, why, given)
	}
}

// A secret may stand in a file of its own; what is set twice, empty or not there is a mistake, and none is ever shown.
func TestSecretsOfFiles(t *testing.T) {
	dir := t.TempDir()
	word, empty := filepath.Join(dir, "word"), filepath.Join(dir, "empty")
	require.NoError(t, os.WriteFile(word, []byte("very-secret\n"), 0o600))
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	c, err := load(t, "analyst-password-file: "+word+"\n", []string{"KASI_CLICKHOUSE_PASSWORD_FILE=" + word})
	require.NoError(t, err)
	require.Equal(t, "very-secret", c.Password)
	require.Equal(t, "very-secret", c.AnalystPassword)
	require.Equal(t, "set", c.Printable()["analyst-password"])
	_, err = load(t, "", []string{
		"KASI_API_KEYS=demo=very-secret", "KASI_API_KEYS_FILE=" + word, "KASI_CONSOLE_SECRET_FILE=" + empty,
		"KASI_WEBHOOKS_SECRET_FILE=" + filepath.Join(dir, "none"),
	}, "--kafka-password-file", word)
	require.ErrorContains(t, err, "api-keys: is set, and so is api-keys-file")
	require.ErrorContains(t, err, "console-secret-file: "+empty+" is empty")
	require.ErrorContains(t, err, "webhooks-secret-file: open ")
	require.NotContains(t, err.Error(), "very-secret")
}

func TestMistakesOfSecuredConnections(t *testing.T) {
	const login = "kafka-brokers: k1:9093\nkafka-tls: true\nkafka-user: kasi\nkafka-password: very-secret\nkafka-sasl: "
	for yaml, why := range map[string]string{
		"kafka-tls: true":                         "needs --kafka-brokers: the embedded Kafka is plain",
		"kafka-ca: a.pem\nkafka-brokers: k1:9092": `kafka-ca: "a.pem" needs --kafka-tls`,
		"kafka-cert: a.pem":                       `kafka-cert: "a.pem" needs its key: --kafka-key`,
		"clickhouse-ca: a.pem":                    `clickhouse-ca: "a.pem" needs --clickhouse-tls`,
		"clickhouse-key: a.key":                   "needs its certificate: --clickhouse-cert",
		"http-key: a.key":                         `http-key: "a.key" needs its certificate: --http-cert`,
		"kafka-user: kasi":                        "needs --kafka-sasl, such as SCRAM-SHA-512",
		login + "MD5":                             `kafka-sasl: "MD5" is none of PLAIN, SCRAM-SHA-256`,
		login + "OAUTHBEARER":                     "kafka-token-url",
		login + "OAUTHBEARER\nkafka-token-url: http://idp/token": "is no https address",
		login + "PLAIN\nkafka-token-url: https://idp/token":      "needs --kafka-sasl OAUTHBEARER",
		"kafka-sasl: PLAIN\nkafka-brokers: k1:9092":              "for everybody to read: add --kafka-tls",
		"kafka-sasl: SCRAM-SHA-256\nkafka-brokers: k1:9092":      "kafka-password: \"\" is empty",
	} {
		_, err := load(t, yaml+"\n", nil)
		require.ErrorContains(t, err, why, yaml)
		require.NotContains(t, err.Error(), "very-secret")
	}
	for _, mechanism := range []string{
		"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512",
		"OAUTHBEARER\nkafka-token-url: https://idp/token",
	} {
		_, err := load(t, login+mechanism+"\n", nil)
		require.NoError(t, err, mechanism)
	}
	_, err := load(t, "kafka-sasl: PLAIN\nkafka-brokers: 127.0.0.1:9092\nkafka-user: u\nkafka-password: p\n", nil)
	require.NoError(t, err, "a tunnel on this machine")
}
