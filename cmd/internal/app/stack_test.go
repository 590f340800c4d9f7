package app_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/schemas"
	chembed "github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
	"github.com/kasi-collections/kasi/streams/calendar"
	kembed "github.com/kasi-collections/kasi/streams/embedded"
)

func TestMain(m *testing.M) {
	chembed.RunIfChild()
	os.Exit(m.Run())
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func settings(t *testing.T, change func(*config.Config)) config.Config {
	t.Helper()
	c, err := config.Load("", new(pflag.FlagSet), func(string) (string, bool) { return "", false })
	require.NoError(t, err)
	c.DataDir, c.Calendar, c.Date = t.TempDir(), "manual", "2025-11-01"
	c.HTTP, c.Kafka, c.ClickHouseHTTP, c.ClickHouseNative = freeAddr(t), freeAddr(t), freeAddr(t), freeAddr(t)
	if change != nil {
		change(&c)
	}
	return c
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func TestRoleThatCannotStartFailsTheStack(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	_, err = app.Up(t.Context(), settings(t, func(c *config.Config) { c.HTTP = taken.Addr().String() }), quiet())
	require.ErrorContains(t, err, "api: ")
	require.ErrorContains(t, err, "choose another address with --http")
}

// A role that cannot go on stands aside with its reason. The others serve. Each says when it has stopped.
func TestRoleStandsAside(t *testing.T) {
	cfg := settings(t, func(c *config.Config) { c.Metrics = freeAddr(t) })
	var said bytes.Buffer
	s, err := app.Up(t.Context(), cfg, app.Logger(&said, "info", "text"))
	require.NoError(t, err)
	cal, err := s.Calendar()
	require.NoError(t, err)
	_, err = cal.Advance(t.Context(), civil.Date{Year: 2025, Month: 11, Day: 2}, calendar.AdvanceOpts{})
	require.NoError(t, err)
	cal.Close()
	require.NoError(t, s.Stop())
	for _, role := range app.RoleNames() {
		require.Contains(t, said.String(), `msg="the role has stopped" role=`+role)
	}

	kafka, err := kembed.StartKafka(t.Context(), filepath.Join(cfg.DataDir, "kafka"), cfg.Kafka, "", quiet())
	require.NoError(t, err)
	cl, err := kgo.NewClient(kgo.SeedBrokers(kafka.Addr()))
	require.NoError(t, err)
	adm := kadm.NewClient(cl)
	ends, err := adm.ListEndOffsets(t.Context(), schemas.TopicStateSettle)
	require.NoError(t, err)
	_, err = adm.DeleteRecords(t.Context(), ends.Offsets())
	require.NoError(t, err)
	cl.Close()
	require.NoError(t, kafka.Close())

	s, err = app.Up(t.Context(), cfg, quiet())
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Stop()) }()
	code, body := get(t, "http://"+cfg.Metrics+"/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.True(t, strings.HasPrefix(body, "not ready: settle\ndegraded: settle stands aside and is tried again: "), body)
	require.Contains(t, body, "kasi.state.settle.v1")
	code, body = get(t, "http://"+cfg.HTTP+"/readyz")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, `"degraded":["settle stands aside`)
	_, body = get(t, "http://"+cfg.Metrics+"/metrics")
	require.Contains(t, body, `kasi_troubles{kind="role_aside",stage="settle",where="settle"} 1`)
}

// Whatever another writes on any topic of Kasi, the product serves, its calendar goes on, and a new start serves too.
func TestStrayRecordsStopNobody(t *testing.T) {
	cfg := settings(t, func(c *config.Config) { c.Metrics = freeAddr(t) })
	s, err := app.Up(t.Context(), cfg, quiet())
	require.NoError(t, err)
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Streams().Brokers...))
	require.NoError(t, err)
	for _, topic := range schemas.Topics {
		for _, value := range []string{"no JSON", "", "{}", `{"seq":1000000}`, `["seq"]`} {
			stray := &kgo.Record{Topic: topic.Name, Key: []byte("stray"), Value: []byte(value)}
			require.NoError(t, cl.ProduceSync(t.Context(), stray).FirstErr(), topic.Name)
		}
	}
	cl.Close()
	advance := func(day int) {
		cal, err := s.Calendar()
		require.NoError(t, err)
		defer cal.Close()
		to := civil.Date{Year: 2025, Month: 11, Day: day}
		_, err = cal.Advance(t.Context(), to, calendar.AdvanceOpts{WaitSink: true, Stall: 30 * time.Second})
		require.NoError(t, err)
		code, body := get(t, "http://"+cfg.Metrics+"/readyz")
		require.Equal(t, http.StatusOK, code, body)
	}
	advance(2)
	_, body := get(t, "http://"+cfg.Metrics+"/metrics")
	require.Contains(t, body, `kasi_dead_letters_total{class="STRAY",stage="sink"}`)
	require.NoError(t, s.Stop())
	s, err = app.Up(t.Context(), cfg, quiet())
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Stop()) }()
	advance(3)
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

func TestStackStopsWhenItsStartIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := app.Up(ctx, settings(t, nil), quiet())
	require.ErrorIs(t, err, context.Canceled)
}

func TestSecretsAreMadeOnceAndKept(t *testing.T) {
	c := settings(t, func(c *config.Config) { c.Password = "mine" })
	first, err := app.FillSecrets(c)
	require.NoError(t, err)
	require.Equal(t, "mine", first.Password, "what was set stays")
	keys, err := first.Keys()
	require.NoError(t, err)
	require.Len(t, keys, 1)
	require.NotEmpty(t, first.AnalystPassword)
	again, err := app.FillSecrets(c)
	require.NoError(t, err)
	require.Equal(t, first, again)
	info, err := os.Stat(app.SecretsFile(c.DataDir))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NoError(t, os.WriteFile(app.SecretsFile(c.DataDir), []byte("\tnot yaml"), 0o600))
	_, err = app.FillSecrets(c)
	require.ErrorContains(t, err, filepath.Base(app.SecretsFile(c.DataDir))+" is damaged")
}
