// Package connect secures connections: those to Kafka, to ClickHouse and to the API, and the API's own. It is the one
// place that makes TLS and logins of the configuration, and that says what is wrong where they are refused. What is
// embedded stays plain on loopback.
package connect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/kasi-collections/kasi/cmd/internal/config"
)

// Kafka is what every client of the configured Kafka is given beside its brokers; nothing for the embedded one. It
// connects to nobody.
func Kafka(cfg config.Config) (opts []kgo.Opt, err error) {
	if len(cfg.Brokers()) == 0 {
		return nil, nil
	}
	if cfg.KafkaTLS {
		c, err := clientTLS("kafka", cfg.KafkaCA, cfg.KafkaCert, cfg.KafkaKey)
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(c))
	}
	user, password := cfg.KafkaUser, cfg.KafkaPassword
	switch cfg.KafkaSASL {
	case config.Plain:
		opts = append(opts, kgo.SASL(plain.Auth{User: user, Pass: password}.AsMechanism()))
	case config.Scram256:
		opts = append(opts, kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha256Mechanism()))
	case config.Scram512:
		opts = append(opts, kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha512Mechanism()))
	case config.OAuth:
		tokens, err := tokenSource(cfg)
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.SASL(oauth.Oauth(func(context.Context) (oauth.Auth, error) {
			t, err := tokens.Token()
			if err != nil {
				return oauth.Auth{}, &tokenError{fmt.Errorf("kafka-token-url: %s gives the client %s no token for Kafka: %w",
					cfg.KafkaTokenURL, user, err)}
			}
			return oauth.Auth{Token: t.AccessToken}, nil
		})))
	}
	return opts, nil
}

// tokenError is what the identity provider, not Kafka, has to say.
type tokenError struct{ error }

// tokenSource asks the identity provider for tokens with the client's own credentials (RFC 6749, 4.4) and keeps each
// until it is about to expire. The provider's certificate may be signed by the CA of Kafka, or by a public one.
func tokenSource(cfg config.Config) (oauth2.TokenSource, error) {
	c, err := clientTLS("kafka", cfg.KafkaCA, "", "")
	if err != nil {
		return nil, err
	}
	if c.RootCAs != nil {
		if c.RootCAs, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("the certificates that this machine trusts: %w", err)
		}
		pem, _ := os.ReadFile(cfg.KafkaCA) // was read just now
		c.RootCAs.AppendCertsFromPEM(pem)
	}
	from := clientcredentials.Config{
		ClientID: cfg.KafkaUser, ClientSecret: cfg.KafkaPassword, TokenURL: cfg.KafkaTokenURL,
		Scopes: strings.Fields(cfg.KafkaTokenScope),
	}
	t := &http.Transport{TLSClientConfig: c, Proxy: http.ProxyFromEnvironment}
	asks := context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Timeout: patience, Transport: t})
	return from.TokenSource(asks), nil
}

// ClickHouse are the clickhouse-go options of the user kasi. Every setting that changes what an insert does is stated
// by the sink itself. It connects to nobody.
func ClickHouse(cfg config.Config) (*clickhouse.Options, error) {
	c, err := clickHouseTLS(cfg)
	return &clickhouse.Options{
		TLS: c, Addr: cfg.ClickHouseAddrs(), DialTimeout: 5 * time.Second,
		Auth: clickhouse.Auth{Database: cfg.Database, Username: "kasi", Password: cfg.Password},
	}, err
}

// ClickHouseHTTP is the address of ClickHouse's HTTP interface as an URL, and a client for it.
func ClickHouseHTTP(cfg config.Config) (base string, _ *http.Client, err error) {
	c, err := clickHouseTLS(cfg)
	scheme := "http://"
	if c != nil {
		scheme = "https://"
	}
	return scheme + cfg.ClickHouseHTTP, client(c, theClickHouse(cfg)), err
}

func clickHouseTLS(cfg config.Config) (*tls.Config, error) {
	if !cfg.ClickHouseTLS {
		return nil, nil
	}
	return clientTLS("clickhouse", cfg.ClickHouseCA, cfg.ClickHouseCert, cfg.ClickHouseKey)
}

// API is a client for the API, whose certificate is signed by the CA in a file; empty means one that this machine
// trusts.
func API(ca string) (*http.Client, error) {
	c, err := clientTLS("api", ca, "", "")
	return client(c, party{name: "the API", option: "api", ports: "or write http://"}), err
}

// Own is a client for the process on this machine that is asked for its health. Its certificate is made out to the name
// that callers use, not to loopback, and nothing but the question is sent: it is not checked.
func Own() *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
	}}
}

func client(c *tls.Config, to party) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = c
	return &http.Client{Transport: explaining{t, to}}
}

// clientTLS is the TLS of a client. option is the beginning of the options' names.
func clientTLS(option, ca, cert, key string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("%s-ca: %w", option, err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s-ca: %s holds no certificate in PEM", option, ca)
		}
	}
	if cert != "" {
		p, err := openPair(option, cert, key, slog.Default())
		if err != nil {
			return nil, err
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return p.current(), nil }
	}
	return c, nil
}

// Server is the TLS that the API serves; nil where it has no certificate.
func Server(cfg config.Config, log *slog.Logger) (*tls.Config, error) {
	if cfg.HTTPCert == "" {
		return nil, nil
	}
	p, err := openPair("http", cfg.HTTPCert, cfg.HTTPKey, log)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.current(), nil },
	}, nil
}
