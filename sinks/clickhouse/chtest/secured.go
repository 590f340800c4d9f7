package chtest

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
)

// SecuredServer is an engine that is met over TLS at two further addresses.
type SecuredServer struct {
	*embedded.Server
	SecureNative, SecureHTTP string
}

// Secured starts an engine of the test's own, whatever the environment says, with a certificate and its key (PEM
// files), and stops it with the test. TLS ends in this process: the engine's own listeners cannot ("SYSTEM START/STOP
// LISTEN in clickhouse-local supports only TCP and HTTP listeners").
func Secured(t testing.TB, cert, key, kasiPassword, analystPassword string) *SecuredServer {
	t.Helper()
	engine, err := embedded.Start(t.Context(), embedded.Options{
		Dir: t.TempDir(), HTTPAddr: "127.0.0.1:0", NativeAddr: "127.0.0.1:0", KasiPassword: kasiPassword,
		AnalystPassword: analystPassword,
	})
	if err != nil {
		t.Fatalf("ClickHouse: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := engine.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	return &SecuredServer{engine, endTLS(t, c, engine.NativeAddr()), endTLS(t, c, engine.HTTPAddr())}
}

// endTLS takes TLS connections and passes what is in them on to an address.
func endTLS(t testing.TB, c *tls.Config, to string) (addr string) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			outside, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer outside.Close()
				inside, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				go func() {
					defer inside.Close()
					_, _ = io.Copy(inside, outside)
				}()
				_, _ = io.Copy(outside, inside)
			}()
		}
	}()
	return l.Addr().String()
}
