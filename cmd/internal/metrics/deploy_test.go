package metrics

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	chsink "github.com/kasi-collections/kasi/sinks/clickhouse"
	"github.com/kasi-collections/kasi/streams/progress"
)

// TestAlertsAndDashboardsAskForWhatIsServed: each metric that a rule or a panel names is one that a process of ours
// serves, and each alert has its line in ALERTS.md. A misspelt name would be an alarm that never comes.
func TestAlertsAndDashboardsAskForWhatIsServed(t *testing.T) {
	served := servedNames(t)
	for _, name := range []string{"kasi_verify_differences", "kasi_verify_timestamp_seconds", "kasi_verify_failed"} {
		served[name] = true // of kasi verify --follow
	}
	for _, file := range []string{"prometheus/alerts.yaml", "grafana/kasi.json"} {
		text, err := os.ReadFile("../../../deploy/" + file)
		require.NoError(t, err)
		names := regexp.MustCompile(`\bkasi_[a-z_]+`).FindAllString(string(text), -1)
		require.Greater(t, len(names), 10, file)
		for _, name := range names {
			require.True(t, served[strings.TrimSuffix(name, "_bucket")], "%s: nothing serves %s; these are served: %v", file,
				name, slices.Sorted(maps.Keys(served)))
		}
	}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	text, err := os.ReadFile("../../../deploy/prometheus/alerts.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &rules))
	page, err := os.ReadFile("../../../deploy/ALERTS.md")
	require.NoError(t, err)
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			require.Contains(t, string(page), "| `"+r.Alert+"` |")
			require.Contains(t, []string{"page", "warn"}, r.Labels["severity"], r.Alert)
			require.NotEmpty(t, r.Annotations["summary"], r.Alert)
		}
	}
}

type noQueue struct{}

func (noQueue) Waiting(context.Context, progress.Group) ([]progress.Waiting, error) {
	return []progress.Waiting{{Group: "g", Topic: "t"}}, nil
}

// servedNames are the metrics of a process of which everything has happened once.
func servedNames(t *testing.T) map[string]bool {
	m := New(map[string][]string{"collect": {"collect"}})
	m.Committed("s", 1, 1)
	m.Took("s", time.Now())
	m.Refused("s", "c")
	m.Restored("s", time.Second)
	m.Troubled("s", "k", "w", "text")
	m.Inserted("t", 1, time.Now())
	m.Missing("s", 0, 1)
	m.Refilled("t", 1)
	m.WebhookWaits("acme", "w", 1, time.Now())
	m.WatchLag(noQueue{}, progress.Group{})
	m.WatchClearing(func(context.Context) ([]chsink.Clearing, error) { return []chsink.Clearing{{Tenant: "acme"}}, nil })
	m.WatchDebits(func(context.Context) ([]chsink.DebitCount, error) { return []chsink.DebitCount{{Tenant: "acme"}}, nil })
	m.WatchDisks(func(context.Context) ([]chsink.Disk, error) { return []chsink.Disk{{Name: "default"}}, nil })
	m.WatchLogs(func(context.Context) ([]progress.LogDir, error) { return []progress.LogDir{{Broker: 1}}, nil })
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	names := map[string]bool{}
	for _, name := range regexp.MustCompile(`# TYPE (\S+)`).FindAllStringSubmatch(rec.Body.String(), -1) {
		names[name[1]] = true
	}
	return names
}
