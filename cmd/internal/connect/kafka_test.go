package connect_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/cmd/internal/connect"
	"github.com/kasi-collections/kasi/cmd/internal/connect/certtest"
	"github.com/kasi-collections/kasi/streams/kafkatest"
)

// securedKafka is a Kafka with the user kasi, and a configuration that meets it.
func securedKafka(t *testing.T) (*kafkatest.Kafka, config.Config) {
	t.Helper()
	return kafkaOf(t, certtest.New(t), false)
}

func kafkaOf(t *testing.T, ca *certtest.CA, mutual bool) (*kafkatest.Kafka, config.Config) {
	t.Helper()
	broker := ca.Sign(t, "broker")
	k := kafkatest.Secured(t, kafkatest.Security{
		CA: ca.File, Cert: broker.Cert, Key: broker.Key, Users: map[string]string{"kasi": "kafka-word"}, Super: "kasi",
		Mutual: mutual,
	})
	return k, config.Config{
		KafkaBrokers: k.Brokers[0], KafkaTLS: true, KafkaCA: ca.File, KafkaSASL: config.Scram512, KafkaUser: "kasi",
		KafkaPassword: "kafka-word",
	}
}

func TestKafkaAsksForOurCertificate(t *testing.T) {
	ca, other := certtest.New(t), certtest.New(t)
	_, cfg := kafkaOf(t, ca, true)
	ours, theirs := ca.Sign(t, "kasi"), other.Sign(t, "kasi")
	cfg.KafkaCert, cfg.KafkaKey = ours.Cert, ours.Key
	refusals{
		{"none", "--kafka-cert and --kafka-key", func(c *config.Config) { c.KafkaCert, c.KafkaKey = "", "" }},
		{"another's", "--kafka-cert and --kafka-key", func(c *config.Config) {
			c.KafkaCert, c.KafkaKey = theirs.Cert, theirs.Key
		}},
	}.each(t, cfg, checkKafka(t))
}

func checkKafka(t *testing.T) func(config.Config) error {
	return func(cfg config.Config) error {
		opts, err := connect.Kafka(cfg)
		if err != nil {
			return err
		}
		return connect.CheckKafka(t.Context(), cfg, opts)
	}
}

func TestKafkaTakesEachLogin(t *testing.T) {
	k, cfg := securedKafka(t)
	for _, mechanism := range []string{config.Plain, config.Scram256, config.Scram512} {
		cfg.KafkaSASL = mechanism
		opts, err := connect.Kafka(cfg)
		require.NoError(t, err)
		cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(cfg.Brokers()...))...)
		require.NoError(t, err)
		t.Cleanup(cl.Close)
		topic := "kasi." + mechanism
		_, err = kadm.NewClient(cl).CreateTopic(t.Context(), 1, k.Replication, nil, topic)
		require.NoError(t, err, mechanism)
		require.NoError(t, cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("x")}).FirstErr(), mechanism)
	}
}

func TestKafkaRefusesAndSaysWhy(t *testing.T) {
	k, cfg := securedKafka(t)
	open := strings.TrimPrefix(listen(t, nil), "http://")
	if k.Cluster != nil {
		open = k.Cluster.Brokers()[0]
	}
	refusals{
		{"another CA", "--kafka-ca", func(c *config.Config) { c.KafkaCA = stranger(t) }},
		{"the system's CAs", "--kafka-ca", func(c *config.Config) { c.KafkaCA = "" }},
		{"no TLS", "speaks TLS and we do not: set --kafka-tls", func(c *config.Config) { c.KafkaTLS = false }},
		{"a wrong password", `refuses the user "kasi" by SCRAM-SHA-512`, func(c *config.Config) {
			c.KafkaPassword = "wrong-word"
		}},
		{"a wrong password, plain", `refuses the user "kasi" by PLAIN`, func(c *config.Config) {
			c.KafkaSASL, c.KafkaPassword = config.Plain, "wrong-word"
		}},
		{"an unknown user", `refuses the user "nobody"`, func(c *config.Config) { c.KafkaUser = "nobody" }},
		{"no login", "--kafka-sasl", func(c *config.Config) { c.KafkaSASL = "" }},
		{"TLS to a plain Kafka", "does not speak TLS at this port", func(c *config.Config) { c.KafkaBrokers = open }},
		{"a CA that is none", "holds no certificate in PEM", func(c *config.Config) { c.KafkaCA = file(t, "none") }},
	}.each(t, cfg, checkKafka(t))
}

// A broker that is away is waited for by those who need it.
func TestAKafkaThatIsAwayIsNoMistake(t *testing.T) {
	ca := certtest.New(t)
	require.NoError(t, checkKafka(t)(config.Config{KafkaBrokers: "127.0.0.1:1", KafkaTLS: true, KafkaCA: ca.File}))
	require.NoError(t, checkKafka(t)(config.Config{KafkaBrokers: "127.0.0.1:1"}))
	require.NoError(t, checkKafka(t)(config.Config{}), "the embedded one")
}

// tokenServer is an identity provider that gives a client an unsigned token.
func tokenServer(t *testing.T, id, secret string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != id || password != secret ||
			r.FormValue("grant_type") != "client_credentials" || r.FormValue("scope") != "kafka" {
			http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":%q,"token_type":"bearer","expires_in":3600}`, unsigned(id))
	}))
	t.Cleanup(s.Close)
	return s
}

func unsigned(subject string) string {
	part := func(v any) string {
		b, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	now := time.Now()
	return part(map[string]string{"alg": "none"}) + "." +
		part(map[string]any{"sub": subject, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}) + "."
}

// The token is fetched with the client's own credentials. Apache Kafka takes it; the embedded one knows no tokens, and
// that is said.
func TestKafkaTakesATokenOfTheProvider(t *testing.T) {
	k, cfg := securedKafka(t)
	cfg.KafkaSASL, cfg.KafkaTokenURL, cfg.KafkaTokenScope = config.OAuth, tokenServer(t, "kasi", "kafka-word").URL, "kafka"
	err := checkKafka(t)(cfg)
	if k.Kind != kafkatest.Local {
		require.ErrorContains(t, err, "takes no login by OAUTHBEARER")
		return
	}
	refusals{
		{"another secret", "gives the client kasi no token", func(c *config.Config) { c.KafkaPassword = "wrong-word" }},
		{"a provider that is away", "kafka-token-url", func(c *config.Config) { c.KafkaTokenURL = "http://127.0.0.1:1" }},
	}.each(t, cfg, checkKafka(t))
}
