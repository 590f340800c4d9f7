package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestBackupDrill is deploy/BACKUP.md, done: a month that runs is copied, goes on, and is destroyed. The copy is
// brought back, what came after it is fed again, and the month ends as one that nothing happened to, with no difference
// in the books. ClickHouse's copy is older than Kafka's: the sink brings the rest.
func TestBackupDrill(t *testing.T) {
	t.Parallel()
	control := startEmbedded(t, "2025-11-01")
	control.drillBegins()
	control.drillDays("2025-11-05", "2025-11-12", "2025-11-20", "2025-11-26", "2025-11-28", "2025-12-02")

	p := start(t, "2025-11-01")
	dir := p.process.Args[slices.Index(p.process.Args, "--data-dir")+1]
	safe := t.TempDir()
	p.drillBegins()
	p.drillDays("2025-11-05", "2025-11-12")
	p.asOwner("BACKUP DATABASE kasi TO File('drill')")
	p.drillDays("2025-11-20")
	p.copyKafka(dir, safe)
	require.NoError(t, os.CopyFS(filepath.Join(safe, "backups"), os.DirFS(filepath.Join(dir, "clickhouse", "backups"))))
	p.drillDays("2025-11-26")
	lost := len(p.debits())

	dir = p.destroyAndRestore(dir, safe)
	p.up(dir, "2025-11-01")
	require.Less(t, len(p.debits()), lost, "the copy is of the 20th: what came later is gone")
	p.drillDays("2025-11-26", "2025-11-28", "2025-12-02")

	for _, of := range []func(*product) string{
		func(p *product) string { return strings.Join(p.report("2025-11"), "\n") },
		func(p *product) string { return p.settle(testKey, "2025-11").export },
		func(p *product) string { return fmt.Sprint(p.debits()) },
		func(p *product) string {
			return p.sql("SELECT policy_number, action, reason, business_date, amount_cents FROM decisions ORDER BY ALL")
		},
	} {
		require.Equal(t, of(control), of(p))
	}
	require.Equal(t, "ok", p.sound())
	out, err := p.command(t.Context(), "verify", "--kafka-brokers", p.kafka, "--clickhouse-http", p.clickhouse,
		"--grace", "0s").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "the books agree, 0 differences")
}

func (p *product) drillBegins() {
	var rows []string
	for i := range 24 {
		rows = append(rows, fmt.Sprintf("C%02d,E%d,POL%02d,F,%d.%02d,%d", i, i, i, 100+i, i, []int{5, 12, 26, 28}[i%4]))
	}
	p.policies(",collection_day", rows...)
	p.execute("2025-11", len(rows))
	for i := 0; i < 24; i += 3 {
		p.credit(fmt.Sprintf("C%02d", i), "2025-11-25", 850_000, "SALARY")
	}
}

// drillDays moves the calendar, and lets the bank answer each day's debits. It may answer a debit twice: an answer's id
// is made of the debit's.
func (p *product) drillDays(days ...string) {
	p.t.Helper()
	for _, day := range days {
		p.advance(day)
		for _, d := range p.debits() {
			result := map[string]any{
				"result_id": "R-" + d.DebitID, "debit_id": d.DebitID, "status": "PAID", "effective_date": d.ActionDate,
			}
			if d.Attempt == 1 && d.AmountCents%5 == 0 {
				result["status"], result["reason_code"], result["reason_scheme"] = "UNPAID", "02", "ZA"
			}
			p.send("kasi.rail.results.v1", "", result)
		}
	}
}

// copyKafka copies what Kafka holds at one instant. The embedded one is a part of the product's process.
func (p *product) copyKafka(dir, safe string) {
	p.t.Helper()
	if p.cluster != nil {
		require.NoError(p.t, p.cluster.Snapshot(filepath.Join(safe, "kafka")))
		return
	}
	require.NoError(p.t, p.process.Process.Signal(syscall.SIGSTOP))
	err := os.CopyFS(filepath.Join(safe, "kafka"), os.DirFS(filepath.Join(dir, "kafka")))
	require.NoError(p.t, p.process.Process.Signal(syscall.SIGCONT))
	require.NoError(p.t, err)
}

// destroyAndRestore kills the product and its Kafka, removes all that they had, and puts the copies in its place:
// Kafka's directories, and ClickHouse's tables in a new server. It returns the new data directory.
func (p *product) destroyAndRestore(dir, safe string) string {
	t := p.t
	t.Helper()
	require.NoError(t, p.process.Process.Kill())
	_ = p.process.Wait()
	p.client.Close()
	p.process, p.client = nil, nil
	require.NoError(t, os.RemoveAll(dir))
	dir = t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if p.cluster != nil {
		require.NoError(t, p.cluster.Restore(ctx, filepath.Join(safe, "kafka")))
	} else {
		require.NoError(t, os.CopyFS(filepath.Join(dir, "kafka"), os.DirFS(filepath.Join(safe, "kafka"))))
	}
	backups := filepath.Join(dir, "clickhouse", "backups")
	require.NoError(t, os.CopyFS(backups, os.DirFS(filepath.Join(safe, "backups"))))
	server := p.command(ctx, "clickhouse", "serve", "--data-dir", dir, "--clickhouse-http", p.clickhouse,
		"--clickhouse-native", p.native)
	p.untilReady(server, "clickhouse is ready")
	p.asOwner("RESTORE DATABASE kasi FROM File('drill')")
	require.NoError(t, server.Process.Signal(syscall.SIGINT))
	require.NoError(t, server.Wait())
	return dir
}

// untilReady starts a process and waits for the line that says it is ready.
func (p *product) untilReady(cmd *exec.Cmd, line string) {
	p.t.Helper()
	out, err := cmd.StdoutPipe()
	require.NoError(p.t, err)
	require.NoError(p.t, cmd.Start())
	b := make([]byte, len(line))
	_, err = io.ReadFull(out, b)
	require.NoError(p.t, err)
	require.Equal(p.t, line, string(b))
	go func() { _, _ = io.Copy(io.Discard, out) }()
}

// asOwner runs a statement as the user kasi.
func (p *product) asOwner(statement string) {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+p.clickhouse+"/", strings.NewReader(statement))
	require.NoError(p.t, err)
	req.SetBasicAuth("kasi", "test-kasi")
	req.Close = true // a connection that is kept may be one to the server that was destroyed
	res, err := http.DefaultClient.Do(req)
	require.NoError(p.t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(p.t, err)
	require.Equal(p.t, http.StatusOK, res.StatusCode, string(b))
}
