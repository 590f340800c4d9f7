package connect_test

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/cmd/internal/connect"
	"github.com/kasi-collections/kasi/cmd/internal/connect/certtest"
)

// listen answers "ok" over the TLS of a server's configuration.
func listen(t *testing.T, secure *tls.Config) (url string) {
	t.Helper()
	s := &http.Server{
		TLSConfig: secure, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }),
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	if secure == nil {
		go func() { _ = s.Serve(l) }()
		return "http://" + l.Addr().String()
	}
	go func() { _ = s.ServeTLS(l, "", "") }()
	return "https://" + l.Addr().String()
}

func TestTheAPIIsReachedOverTLS(t *testing.T) {
	ca := certtest.New(t)
	pair := ca.Sign(t, "api")
	secure, err := connect.Server(config.Config{HTTPCert: pair.Cert, HTTPKey: pair.Key}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	url, open := listen(t, secure), listen(t, nil)
	call := func(ca, url string) error {
		client, err := connect.API(ca)
		if err != nil {
			return err
		}
		return get(t.Context(), client, url, http.StatusNoContent)
	}
	require.NoError(t, call(ca.File, url))
	require.NoError(t, call("", open))
	require.ErrorContains(t, call(stranger(t), url), "--api-ca")
	require.ErrorContains(t, call("", url), "--api-ca")
	require.ErrorContains(t, call("", strings.Replace(url, "https", "http", 1)), "write https:// in --api")
	require.ErrorContains(t, call(ca.File, strings.Replace(open, "http", "https", 1)), "does not speak TLS")
	require.ErrorContains(t, call("none.pem", url), "api-ca: open none.pem")

	_, err = tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{
		RootCAs: pool(t, ca.File), MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10, //nolint:gosec // it is refused
	})
	require.ErrorContains(t, err, "protocol version", "TLS 1.1")
}

// A certificate that is renewed is served from the next connection on. Files that do not fit leave the old one in
// force.
func TestACertificateIsReadAgainWhenItChanges(t *testing.T) {
	ca := certtest.New(t)
	pair := ca.Sign(t, "api")
	secure, err := connect.Server(config.Config{HTTPCert: pair.Cert, HTTPKey: pair.Key}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	addr := strings.TrimPrefix(listen(t, secure), "https://")
	served := func() string {
		conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool(t, ca.File)})
		require.NoError(t, err)
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	require.Equal(t, "api", served())
	ca.SignTo(t, pair, "renewed", time.Now().Add(time.Hour))
	require.Equal(t, "renewed", served())
	require.NoError(t, os.WriteFile(pair.Cert, []byte("half"), 0o600))
	require.Equal(t, "renewed", served(), "half written")
	require.NoError(t, os.Remove(pair.Cert))
	require.Equal(t, "renewed", served(), "gone")
	ca.SignTo(t, pair, "whole", time.Now().Add(time.Hour))
	require.Equal(t, "whole", served())

	_, err = connect.Server(config.Config{HTTPCert: pair.Cert, HTTPKey: ca.Sign(t, "other").Key}, slog.Default())
	require.ErrorContains(t, err, "http-cert, http-key")
}

// What is wrong with a certificate, on either side, is said in words: here by Kafka's clients, of which every client of
// ours has the same TLS.
func TestCertificatesThatAreNotGood(t *testing.T) {
	ca := certtest.New(t)
	server := func(pair certtest.Pair, change func(*tls.Config)) string {
		cert, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
		require.NoError(t, err)
		c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
		if change != nil {
			change(c)
		}
		return strings.TrimPrefix(listen(t, c), "https://")
	}
	old, past := ca.Sign(t, "old"), time.Now().Add(-time.Minute)
	ca.SignTo(t, old, "old", past)
	elsewhere := server(ca.Sign(t, "elsewhere", "kafka.example"), nil)
	mutual := server(ca.Sign(t, "mutual"), func(c *tls.Config) {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, pool(t, ca.File)
	})
	ours := ca.Sign(t, "kasi")
	good := config.Config{
		KafkaTLS: true, KafkaCA: ca.File, KafkaBrokers: mutual, KafkaCert: ours.Cert, KafkaKey: ours.Key,
	}
	refusals{
		{"another name", "not made out to this name", func(c *config.Config) { c.KafkaBrokers = elsewhere }},
		{"expired", "is not valid", func(c *config.Config) { c.KafkaBrokers = server(old, nil) }},
		{"none of ours", "--kafka-cert and --kafka-key", func(c *config.Config) { c.KafkaCert, c.KafkaKey = "", "" }},
	}.each(t, good, func(cfg config.Config) error {
		opts, err := connect.Kafka(cfg)
		require.NoError(t, err)
		err = connect.CheckKafka(t.Context(), cfg, opts)
		if cfg == good { // the server is no Kafka, but the certificates are good: that is all that is looked at here
			return nil
		}
		return err
	})
	opts, err := connect.ClickHouse(config.Config{
		ClickHouseAddr: mutual, ClickHouseTLS: true, ClickHouseCA: ca.File, ClickHouseCert: ours.Cert,
		ClickHouseKey: ours.Key,
	})
	require.NoError(t, err)
	conn, err := tls.Dial("tcp", mutual, opts.TLS)
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(300*time.Millisecond)))
	_, err = conn.Read(make([]byte, 1))
	var timeout net.Error
	require.ErrorAs(t, err, &timeout, "our certificate was taken: the server waits for a request")
	require.True(t, timeout.Timeout())
	require.NoError(t, conn.Close())
}

func pool(t *testing.T, path string) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(path)
	require.NoError(t, err)
	p := x509.NewCertPool()
	require.True(t, p.AppendCertsFromPEM(pem))
	return p
}
