package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kasi-collections/kasi/cmd/internal/connect"
)

func healthCmd() *cobra.Command {
	var live bool
	var wait time.Duration
	cmd := leaf(&cobra.Command{
		Use:   "health",
		Short: "Ask the kasi on this machine whether it is ready; exits with an error where it is not",
		Long: `health asks /readyz at the address of --metrics, or of --http where there is no --metrics, and prints the
answer. It needs the same configuration as the process that it asks, so it is the health check of a
container without any other tool. An address such as 0.0.0.0:9100 is asked on loopback.`,
		Example: `  kasi health --metrics 127.0.0.1:9100
  kasi health --live                   # only whether the process answers
  kasi health --wait 1m                # until it is ready, for a minute at most`,
	}, func(c call) error {
		path := "/readyz"
		if live {
			path = "/livez"
		}
		scheme := "http://"
		if c.cfg.Metrics == "" && c.cfg.HTTPCert != "" {
			scheme = "https://"
		}
		url := scheme + onLoopback(cmp.Or(c.cfg.Metrics, c.cfg.HTTP)) + path
		answer, err := waitForHealth(c.Context(), url, wait)
		fmt.Fprint(c.OutOrStdout(), answer)
		return err
	}, "metrics", "http", "http-cert", "http-key")
	cmd.Flags().BoolVar(&live, "live", false, "ask whether the process lives, not whether it is ready")
	cmd.Flags().DurationVar(&wait, "wait", 0, "how long to wait for it to become so")
	return cmd
}

// onLoopback is where a process of this machine that listens on addr is asked.
func onLoopback(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("localhost", port)
	}
	return addr
}

// waitForHealth asks until the answer is good, for the given time at most, and once at least.
func waitForHealth(ctx context.Context, url string, wait time.Duration) (answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, max(wait, 5*time.Second))
	defer cancel()
	for end := time.Now().Add(wait); ; {
		if answer, err = askHealth(ctx, url); err == nil || !time.Now().Before(end) {
			return answer, err
		}
		select {
		case <-ctx.Done():
			return answer, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func askHealth(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := connect.Own().Do(req)
	if err != nil {
		return "", fmt.Errorf("no answer: %w; does a kasi run here with this --metrics or --http?", err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(strings.TrimSpace(string(b)))
		return "", fmt.Errorf("%s: %w", res.Status, err)
	}
	return string(b), err
}
