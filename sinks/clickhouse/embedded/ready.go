package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// probeEvery is how often a starting server is asked.
const probeEvery = 20 * time.Millisecond

// waitReady returns when a query has been answered on both ports, or says why that did not happen.
func waitReady(ctx context.Context, p *process, s *Server) error {
	var last error
	for {
		if last = s.probe(ctx); last == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("the embedded ClickHouse ended while starting (%w); its last words:\n%s",
				cmp.Or(p.err, errEnded), p.console.last())
		case <-p.console.startFailed:
			// The rest of the message follows on the next lines. The clean end brings all of them.
			p.stop(stopGrace)
			return fmt.Errorf("the embedded ClickHouse could not start on %s and %s; its last words:\n%s", s.HTTPAddr(),
				s.NativeAddr(), p.console.last())
		case <-ctx.Done():
			return fmt.Errorf("the embedded ClickHouse did not answer in time (%w); last error: %w; its log is in %s", ctx.Err(),
				last, s.opts.LogDir())
		case <-time.After(probeEvery):
		}
	}
}

var errEnded = errors.New("without an error")

// probe asks one query on each port as user kasi.
func (s *Server) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.probeHTTP(ctx); err != nil {
		return err
	}
	opts := s.ClickHouse()
	opts.MaxOpenConns, opts.MaxIdleConns = 1, 1
	conn, err := clickhouse.Open(opts)
	if err != nil {
		return fmt.Errorf("native: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.Exec(ctx, "SELECT 1"); err != nil {
		return fmt.Errorf("native: %w", err)
	}
	return nil
}

func (s *Server) probeHTTP(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.HTTPAddr()+"/",
		strings.NewReader("SELECT 1"))
	if err != nil {
		return fmt.Errorf("http: %w", err)
	}
	request.Header.Set("X-ClickHouse-User", userKasi)
	request.Header.Set("X-ClickHouse-Key", s.opts.KasiPassword)
	request.Close = true
	response, err := s.http.Do(request)
	if err != nil {
		return fmt.Errorf("http: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1000))
	if err != nil {
		return fmt.Errorf("http: %w", err)
	}
	if strings.TrimSpace(string(body)) != "1" {
		return fmt.Errorf("http: status %d: %s", response.StatusCode, body)
	}
	return nil
}
