package connect_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/cmd/internal/connect/certtest"
	"github.com/kasi-collections/kasi/sinks/clickhouse/chtest"
)

func TestMain(m *testing.M) { os.Exit(chtest.Main(m)) }

// quickly bounds how long a refusal may take: it must not look like a server that is slow.
const quickly = 5 * time.Second

// refusals are mistakes of a configuration, and what must be said of each.
type refusals []struct {
	about, says string
	wrong       func(*config.Config)
}

// each makes every mistake in turn.
func (all refusals) each(t *testing.T, good config.Config, look func(config.Config) error) {
	t.Helper()
	require.NoError(t, look(good), "without a mistake")
	for _, r := range all {
		cfg, began := good, time.Now()
		r.wrong(&cfg)
		err := look(cfg)
		require.ErrorContains(t, err, r.says, r.about)
		require.Less(t, time.Since(began), quickly, r.about)
		for _, secret := range []string{"kafka-word", "wrong-word", "kasi-word", "analyst-word"} {
			require.NotContains(t, err.Error(), secret, r.about)
		}
		t.Logf("%s: %v", r.about, err)
	}
}

// stranger is the certificate of a CA that signed nothing here.
func stranger(t *testing.T) string { return certtest.New(t).File }

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}
