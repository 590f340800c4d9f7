package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/sync/errgroup"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/cmd/internal/verify"
	"github.com/kasi-collections/kasi/streams/retry"
)

// lastWord is what the latest verification said, for Prometheus.
type lastWord struct {
	differences *prometheus.GaugeVec
	at, failed  prometheus.Gauge
}

func newLastWord(registry *prometheus.Registry) lastWord {
	auto := promauto.With(registry)
	return lastWord{
		differences: auto.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kasi_verify_differences", Help: "Differences that the latest verification of the books found, by check.",
		}, []string{"check"}),
		at: auto.NewGauge(prometheus.GaugeOpts{
			Name: "kasi_verify_timestamp_seconds", Help: "When the latest verification that could look at everything ended.",
		}),
		failed: auto.NewGauge(prometheus.GaugeOpts{
			Name: "kasi_verify_failed", Help: "1 where the latest verification could not look: Kafka or ClickHouse was away.",
		}),
	}
}

// followBooks verifies again and again until Ctrl-C. A verification that cannot look is told and tried again at the
// next turn: an engine may be restarting. The error says what the last word was where that was no good one.
func followBooks(c call, o verify.Options, every time.Duration, asJSON bool) error {
	if every <= 0 {
		return fmt.Errorf("--every: %s is no time; the default is 1m", every)
	}
	registry := prometheus.NewRegistry()
	word := newLastWord(registry)
	g, ctx := errgroup.WithContext(c.Context())
	if c.cfg.Metrics != "" {
		g.Go(func() error { return app.ServeMetrics(ctx, c.cfg.Metrics, registry) })
	}
	var last error
	g.Go(func() error {
		for {
			began := time.Now()
			last = word.look(ctx, c, o, asJSON)
			if ctx.Err() != nil || retry.Pause(ctx, max(0, every-time.Since(began))) != nil {
				return nil
			}
		}
	})
	if err := g.Wait(); err != nil {
		return err
	}
	if errors.Is(last, context.Canceled) {
		return nil
	}
	return last
}

// look verifies once and says the result in a line.
func (w lastWord) look(ctx context.Context, c call, o verify.Options, asJSON bool) error {
	r, err := verify.Run(ctx, o)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	now := time.Now()
	if err != nil {
		w.failed.Set(1)
		c.log.Warn("the books could not be verified", "err", err)
		return err
	}
	w.failed.Set(0)
	for _, check := range r.Checks {
		w.differences.WithLabelValues(check.Name).Set(float64(check.Differences))
	}
	w.at.Set(float64(now.UnixMilli()) / 1000) // last: whoever sees it sees the rest
	out := c.OutOrStdout()
	if asJSON {
		err = json.NewEncoder(out).Encode(struct {
			At          time.Time `json:"at"`
			OK          bool      `json:"ok"`
			Differences int64     `json:"differences"`
			Records     int64     `json:"records"`
		}{now.UTC(), r.OK(), r.Differences(), r.Records})
	} else {
		_, err = fmt.Fprintf(out, "%s  %d records, %d checks in %s: %d differences\n", now.UTC().Format(time.RFC3339),
			r.Records, len(r.Checks), r.Took.Round(time.Millisecond), r.Differences())
	}
	if err != nil || r.OK() {
		return err
	}
	for _, check := range r.Checks {
		for _, example := range check.Examples {
			c.log.Error("the books do not agree", "check", check.Name, "example", example)
		}
	}
	return fmt.Errorf("the books do not agree: %d differences", r.Differences())
}
