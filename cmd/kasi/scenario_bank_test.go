package main

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// kasi bank answers debits on their action dates, as it is told to, and run again it changes nothing. kasi verify
// --follow says the last word on the books meanwhile.
func TestScenarioSandboxBank(t *testing.T) {
	t.Parallel()
	p := start(t, "2025-11-01")
	p.policies("", "C1,E,POL1,F,150.00", "C2,E,POL2,F,150.00", "C3,E,POL3,F,150.00")
	p.execute("2025-11", 3)
	for _, customer := range []string{"C1", "C2", "C3"} {
		p.credit(customer, "2025-11-03", 850000, "SALARY")
	}
	p.advance("2025-11-05")
	bank := func(more ...string) string {
		out, err := p.command(t.Context(), append([]string{"bank", "--once", "--kafka-brokers", p.kafka}, more...)...).
			CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	out := bank("--unpaid", "POL2=12")
	require.Contains(t, out, "POL1")
	require.Contains(t, out, "UNPAID 12")
	require.Contains(t, out, "3 debits answered, 0 wait for their day")
	require.Contains(t, bank("--unpaid", "POL2=12"), "0 debits answered", "an answer is given once")
	p.advance("2025-11-06")
	require.True(t, strings.HasPrefix(p.ends("2025-11", "POL1"), "150.00,150.00,0.00,PAID_FULL"))
	require.Contains(t, p.ends("2025-11", "POL2"), "UNPAID")
	require.Contains(t, p.ends("2025-11", "POL2"), "ACCOUNT_CLOSED")

	ctx, stop := context.WithCancel(t.Context())
	addr := freePort(t)
	follow := p.command(ctx, "verify", "--follow", "--every", "100ms", "--metrics", addr, "--kafka-brokers", p.kafka,
		"--clickhouse-http", p.clickhouse, "--clickhouse-database", cmp.Or(p.database, "kasi"))
	var said bytes.Buffer
	follow.Stdout, follow.Stderr = &said, &said
	follow.Cancel = func() error { return follow.Process.Signal(os.Interrupt) }
	require.NoError(t, follow.Start())
	var metrics string
	require.Eventually(t, func() bool {
		resp, err := http.Get("http://" + addr + "/metrics")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		metrics = string(b)
		return strings.Contains(metrics, "kasi_verify_timestamp_seconds 1.")
	}, 30*time.Second, 50*time.Millisecond, said.String())
	require.Contains(t, metrics, "kasi_verify_failed 0")
	require.Contains(t, metrics, "kasi_verify_differences{check=\"clickhouse debits\"} 0")
	stop()
	_ = follow.Wait()
	require.Zero(t, follow.ProcessState.ExitCode(), said.String())
	require.Contains(t, said.String(), ": 0 differences")
}
