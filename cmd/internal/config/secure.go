package config

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// The ways to log in to Kafka (SASL mechanisms).
const (
	Plain    = "PLAIN"
	Scram256 = "SCRAM-SHA-256"
	Scram512 = "SCRAM-SHA-512"
	OAuth    = "OAUTHBEARER"
)

// secured are the options that a command has beside the one that says whom it connects to.
var secured = map[string][]string{
	"kafka-brokers": {
		"kafka-tls", "kafka-ca", "kafka-cert", "kafka-key", "kafka-sasl", "kafka-user", "kafka-password-file",
		"kafka-token-url", "kafka-token-scope",
	},
	"clickhouse-tls": {"clickhouse-ca", "clickhouse-cert", "clickhouse-key"},
}

// secureOptions are the options of secured connections, and for each secret the file that holds it.
func (c *Config) secureOptions(t *pflag.FlagSet) {
	t.BoolVar(&c.KafkaTLS, "kafka-tls", false, "speak TLS with the brokers")
	t.StringVar(&c.KafkaCA, "kafka-ca", "", "PEM file of the CA that signs the brokers' certificates; else the system's")
	t.StringVar(&c.KafkaCert, "kafka-cert", "", "PEM file of our certificate for the brokers, with --kafka-key")
	t.StringVar(&c.KafkaKey, "kafka-key", "", "PEM file of the key of --kafka-cert")
	t.StringVar(&c.KafkaSASL, "kafka-sasl", "", "login at the brokers: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER")
	t.StringVar(&c.KafkaUser, "kafka-user", "", "user of that login; the client's id with OAUTHBEARER")
	t.StringVar(&c.KafkaPassword, "kafka-password", "", "password of that login; the client's secret with OAUTHBEARER")
	t.StringVar(&c.KafkaTokenURL, "kafka-token-url", "", "where OAUTHBEARER gets its tokens, https://...")
	t.StringVar(&c.KafkaTokenScope, "kafka-token-scope", "", "scopes to ask for there, separated by blanks")
	t.BoolVar(&c.ClickHouseTLS, "clickhouse-tls", false, "speak TLS with a real ClickHouse, native and over HTTP")
	t.StringVar(&c.ClickHouseCA, "clickhouse-ca", "", "PEM file of the CA that signs its certificate; else the system's")
	t.StringVar(&c.ClickHouseCert, "clickhouse-cert", "", "PEM file of our certificate for it, with --clickhouse-key")
	t.StringVar(&c.ClickHouseKey, "clickhouse-key", "", "PEM file of the key of --clickhouse-cert")
	t.StringVar(&c.HTTPCert, "http-cert", "",
		"PEM file of the API's certificate and chain: --http then serves https; read again when it changes")
	t.StringVar(&c.HTTPKey, "http-key", "", "PEM file of the key of --http-cert")
	var secrets []string
	t.VisitAll(func(o *pflag.Flag) {
		if secret(o.Name) {
			secrets = append(secrets, o.Name)
		}
	})
	for _, name := range secrets {
		t.String(name+fileSuffix, "", "file that holds "+variable(name))
	}
}

// fileSuffix ends the name of an option that names the file of a secret.
const fileSuffix = "-file"

// secretIn is the secret whose file an option names.
func secretIn(option string) (name string, is bool) {
	name, is = strings.CutSuffix(option, fileSuffix)
	return name, is && secret(name)
}

// readSecrets takes the secrets that stand in files of their own, without the line break at their end.
func readSecrets(options *pflag.FlagSet) (errs []error) {
	options.VisitAll(func(o *pflag.Flag) {
		name, is := secretIn(o.Name)
		path := o.Value.String()
		if !is || path == "" {
			return
		}
		if options.Lookup(name).Value.String() != "" {
			errs = append(errs, fmt.Errorf("%s: is set, and so is %s; keep one of them", name, o.Name))
			return
		}
		b, err := os.ReadFile(path)
		text := strings.TrimRight(string(b), "\r\n")
		if err == nil && text == "" {
			err = fmt.Errorf("%s is empty", path)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", o.Name, err))
			return
		}
		errs = append(errs, set(options.Lookup(name), text))
	})
	return errs
}

// checkSecured looks at the options of secured connections. Their files are read where they are used: a command that
// needs none of them may be another user's.
func (c Config) checkSecured() (errs []error) {
	refuse := func(wrong bool, key, value, why string) {
		if wrong {
			errs = append(errs, fmt.Errorf("%s: %q %s", key, value, why))
		}
	}
	for _, o := range [][3]string{
		{"kafka", c.KafkaCert, c.KafkaKey},
		{"clickhouse", c.ClickHouseCert, c.ClickHouseKey},
		{"http", c.HTTPCert, c.HTTPKey},
	} {
		refuse(o[1] != "" && o[2] == "", o[0]+"-cert", o[1], "needs its key: --"+o[0]+"-key")
		refuse(o[2] != "" && o[1] == "", o[0]+"-key", o[2], "needs its certificate: --"+o[0]+"-cert")
	}
	for _, o := range [][2]string{{"kafka-ca", c.KafkaCA}, {"kafka-cert", c.KafkaCert}} {
		refuse(o[1] != "" && !c.KafkaTLS, o[0], o[1], "needs --kafka-tls")
	}
	for _, o := range [][2]string{{"clickhouse-ca", c.ClickHouseCA}, {"clickhouse-cert", c.ClickHouseCert}} {
		refuse(o[1] != "" && !c.ClickHouseTLS, o[0], o[1], "needs --clickhouse-tls")
	}
	server := c.KafkaBrokers != ""
	refuse(c.KafkaTLS && !server, "kafka-tls", "true",
		"needs --kafka-brokers: the embedded Kafka is plain, on loopback only")
	refuse(c.KafkaSASL != "" && !server, "kafka-sasl", c.KafkaSASL,
		"needs --kafka-brokers: the embedded Kafka has no users")
	refuse(c.KafkaSASL != "" && !slices.Contains([]string{Plain, Scram256, Scram512, OAuth}, c.KafkaSASL), "kafka-sasl",
		c.KafkaSASL, "is none of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER")
	refuse(c.KafkaSASL == "" && c.KafkaUser != "", "kafka-user", c.KafkaUser,
		"needs --kafka-sasl, such as SCRAM-SHA-512")
	refuse(c.KafkaSASL != "" && c.KafkaUser == "", "kafka-user", "", "is empty, but --kafka-sasl logs in")
	refuse(c.KafkaSASL != "" && c.KafkaPassword == "", "kafka-password", "",
		"is empty, but --kafka-sasl logs in: set KASI_KAFKA_PASSWORD, or --kafka-password-file")
	inTheClear := (c.KafkaSASL == Plain || c.KafkaSASL == OAuth) && !c.KafkaTLS &&
		slices.ContainsFunc(c.Brokers(), func(addr string) bool { return !Loopback(addr) })
	refuse(inTheClear, "kafka-sasl", c.KafkaSASL, "would send the password for everybody to read: add --kafka-tls")
	at, err := url.Parse(c.KafkaTokenURL)
	refuse(c.KafkaSASL == OAuth && (err != nil || at.Host == "" || at.Scheme != "https" && !Loopback(at.Host)),
		"kafka-token-url", c.KafkaTokenURL, "is no https address of an identity provider, which OAUTHBEARER needs")
	refuse(c.KafkaSASL != OAuth && c.KafkaTokenURL != "", "kafka-token-url", c.KafkaTokenURL,
		"needs --kafka-sasl OAUTHBEARER")
	return errs
}
