package connect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/streams/retry"
)

// patience bounds how long a look at a server takes.
const patience = 5 * time.Second

// CheckKafka knocks at the configured Kafka and says what is wrong where it refuses us: clients try for ever what
// cannot succeed. One that is away or slow is no error here.
func CheckKafka(ctx context.Context, cfg config.Config, opts []kgo.Opt) error {
	if len(cfg.Brokers()) == 0 {
		return nil
	}
	return surely(ctx, func() error { return checkKafka(ctx, cfg, opts) })
}

// surely looks a second time before it says that something is wrong: a server that is being started cuts connections.
func surely(ctx context.Context, look func() error) error {
	err := look()
	if err == nil || retry.Pause(ctx, 300*time.Millisecond) != nil {
		return err
	}
	return look()
}

func checkKafka(ctx context.Context, cfg config.Config, opts []kgo.Opt) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(cfg.Brokers()...), kgo.ClientID("kasi-check")}, opts...)...)
	if err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	defer cl.Close()
	to := party{name: "Kafka", option: "kafka", addrs: cfg.Brokers(), secure: cfg.KafkaTLS, ports: "often 9093"}
	err = cl.Ping(ctx)
	var refused *kerr.Error
	var token *tokenError
	switch {
	case errors.As(err, &token):
		return token
	// A broker may also just close the connection of whom it refuses.
	case errors.Is(err, kerr.SaslAuthenticationFailed), cfg.KafkaSASL != "" && errors.Is(err, io.EOF) && to.asAgreed(ctx):
		return to.says(err, "refuses the user %q by %s: look at --kafka-user, --kafka-sasl and KASI_KAFKA_PASSWORD, and at "+
			"the users that Kafka has", cfg.KafkaUser, cfg.KafkaSASL)
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return to.says(err, "takes no login by %s at this port: name another with --kafka-sasl", cfg.KafkaSASL)
	case errors.Is(err, kerr.IllegalSaslState):
		return to.says(err, "asks for no login at this port: leave --kafka-sasl out, or name the port that does")
	case errors.As(err, &refused):
		return nil
	}
	if why := to.explain(ctx, err); why != nil {
		return why
	}
	if cfg.KafkaSASL == "" && errors.Is(err, io.EOF) && to.asAgreed(ctx) {
		return to.says(err, "closes the connection at our first word: it asks for a login, so name it with --kafka-sasl, "+
			"--kafka-user and KASI_KAFKA_PASSWORD")
	}
	return nil
}

// CheckClickHouse is CheckKafka for the native interface of ClickHouse.
func CheckClickHouse(ctx context.Context, cfg config.Config, opts *clickhouse.Options) error {
	return surely(ctx, func() error { return checkClickHouse(ctx, cfg, opts) })
}

func checkClickHouse(ctx context.Context, cfg config.Config, opts *clickhouse.Options) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	o := *opts
	o.Auth.Database = "system" // ours may not exist yet
	conn, err := clickhouse.Open(&o)
	if err != nil {
		return fmt.Errorf("clickhouse client: %w", err)
	}
	defer conn.Close()
	err = conn.Ping(ctx)
	to := theClickHouse(cfg, opts.Addr...)
	var refused *clickhouse.Exception
	if errors.As(err, &refused) {
		if refused.Code != authenticationFailed {
			return nil
		}
		return to.says(err, "refuses the user kasi: look at KASI_CLICKHOUSE_PASSWORD; `kasi clickhouse users` prints the "+
			"users for the server")
	}
	return to.explain(ctx, err)
}

// CheckClickHouseHTTP is CheckKafka for what ClickHouseHTTP returns.
func CheckClickHouseHTTP(ctx context.Context, base string, client *http.Client) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/ping", nil)
	if err != nil {
		return fmt.Errorf("clickhouse: %w", err)
	}
	resp, err := client.Do(req)
	if err == nil {
		return resp.Body.Close()
	}
	var wrong *refusal
	if errors.As(err, &wrong) {
		return wrong
	}
	return nil
}

// authenticationFailed is ClickHouse's code for a wrong user or password.
const authenticationFailed = 516

func theClickHouse(cfg config.Config, addrs ...string) party {
	return party{
		name: "ClickHouse", option: "clickhouse", addrs: addrs, secure: cfg.ClickHouseTLS,
		ports: "often 9440 native, 8443 HTTP",
	}
}

// party is whom we connect to.
type party struct {
	name, option string
	addrs        []string
	secure       bool   // we speak TLS
	ports        string // where it usually does
}

// refusal is what is wrong with a connection, in words.
type refusal struct{ error }

func (p party) says(err error, format string, args ...any) error {
	return &refusal{fmt.Errorf("%s at %s %s (%w)", p.name, strings.Join(p.addrs, ","), fmt.Sprintf(format, args...), err)}
}

// explain says in words what is wrong with TLS on either side, and what to do; nil where it is something else.
func (p party) explain(ctx context.Context, err error) error {
	var stranger x509.UnknownAuthorityError
	var elsewhere x509.HostnameError
	var invalid x509.CertificateInvalidError
	var header tls.RecordHeaderError
	var remote *net.OpError
	alert := errors.As(err, &remote) && remote.Op == "remote error"
	switch {
	case err == nil:
		return nil
	case errors.As(err, &stranger):
		return p.says(err, "shows a certificate that no CA which we trust has signed: name the certificate of the right CA "+
			"with --%s-ca", p.option)
	case errors.As(err, &elsewhere):
		return p.says(err, "shows a certificate that is not made out to this name: connect by a name that is in it, or have "+
			"one made with this name")
	case errors.As(err, &invalid):
		return p.says(err, "shows a certificate that is not valid: have it renewed, or look at this machine's clock")
	case p.secure && alert:
		return p.says(err, "refuses our certificate or asks for one: name it with --%s-cert and --%s-key", p.option, p.option)
	case p.secure && (errors.As(err, &header) || errors.Is(err, io.EOF) || closed(err)) && !p.asAgreed(ctx):
		return p.says(err, "does not speak TLS at this port: name the port that does (%s)", p.ports)
	case !p.secure && !dialed(err) && !p.asAgreed(ctx):
		return p.says(err, "speaks TLS and we do not: %s", p.wayToTLS())
	}
	return nil
}

func (p party) wayToTLS() string {
	if p.option == "api" {
		return "write https:// in --api, and name its CA with --api-ca where this machine does not trust it"
	}
	return fmt.Sprintf("set --%s-tls, and --%s-ca where this machine does not trust its CA", p.option, p.option)
}

// dialed tells that there was no connection at all.
func dialed(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// closed tells that the other side has cut the connection.
func closed(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "read" && !op.Timeout()
}

// asAgreed tells that they speak TLS where we do, and none where we do not.
func (p party) asAgreed(ctx context.Context) bool { return p.secure == p.speaksTLS(ctx) }

// speaksTLS tells whether any of the addresses answers a TLS handshake. Nothing is sent over that connection, so it
// trusts whoever answers.
func (p party) speaksTLS(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	dial := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // see above
	for _, addr := range p.addrs {
		conn, err := dial.DialContext(ctx, "tcp", addr)
		if err == nil {
			_ = conn.Close()
			return true
		}
		var remote *net.OpError
		if errors.As(err, &remote) && remote.Op == "remote error" {
			return true
		}
	}
	return false
}

// explaining explains why an HTTP call failed.
type explaining struct {
	http.RoundTripper
	to party
}

func (e explaining) RoundTrip(req *http.Request) (*http.Response, error) {
	to := e.to
	to.addrs, to.secure = []string{req.URL.Host}, req.URL.Scheme == "https"
	resp, err := e.RoundTripper.RoundTrip(req)
	// Go's HTTPS server answers a plain call so.
	if err == nil && !to.secure && resp.StatusCode == http.StatusBadRequest && len(resp.Header) == 0 &&
		to.speaksTLS(req.Context()) {
		_ = resp.Body.Close()
		return nil, to.says(errors.New(resp.Status), "speaks TLS and we do not: %s", to.wayToTLS())
	}
	if err != nil && req.Context().Err() == nil {
		if why := to.explain(req.Context(), err); why != nil {
			return nil, why
		}
	}
	return resp, err
}
