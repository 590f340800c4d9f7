package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/cmd/internal/connect"
)

// serve serves the API and its pages at the configured address.
func (j job) serve(ctx context.Context, h http.Handler) error {
	secure, err := connect.Server(j.cfg, j.log)
	if err != nil {
		return err
	}
	if secure == nil && !config.Loopback(j.cfg.HTTP) {
		j.log.Warn("the API speaks no TLS: set --http-cert, or let a proxy end TLS in front of it", "http", j.cfg.HTTP)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", j.cfg.HTTP)
	if err != nil {
		return fmt.Errorf("%w; choose another address with --http", err)
	}
	return serve(ctx, l, secure, h, j.ready)
}

// serve runs the HTTP server, over TLS where it is given some. When ctx ends it finishes the requests under way, for at
// most two seconds.
func serve(ctx context.Context, l net.Listener, secure *tls.Config, h http.Handler, ready func()) error {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, TLSConfig: secure}
	srv.Protocols = new(http.Protocols)
	srv.Protocols.SetHTTP1(true) // with TLS too: limits of bodies, headers and times are tested over nothing else
	failed := make(chan error, 1)
	go func() {
		if secure == nil {
			failed <- srv.Serve(l)
			return
		}
		failed <- srv.ServeTLS(l, "", "")
	}()
	ready()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		return srv.Close()
	}
	return nil
}
