package webhooks

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// asSink makes the test binary a process that runs the sink: its configuration as JSON.
const asSink = "KASI_TEST_AS_WEBHOOKS"

func TestMain(m *testing.M) {
	if text := os.Getenv(asSink); text != "" {
		var cfg Config
		if err := json.Unmarshal([]byte(text), &cfg); err != nil {
			panic(err)
		}
		cfg.Log = testLog()
		// A dead member is missed soon, also one that died while the group came together.
		cfg.KgoOpts = []kgo.Opt{
			kgo.SessionTimeout(500 * time.Millisecond), kgo.HeartbeatInterval(100 * time.Millisecond),
			kgo.RebalanceTimeout(time.Second),
		}
		fmt.Println(Run(context.Background(), cfg, func() {}))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// kill -9, again and again, while events come and a receiver fails now and then: each event is delivered, those of an
// object in their order, and what waited is not forgotten.
func TestKilled(t *testing.T) {
	const objects, versions = 12, 25
	w := newWorld(t)
	r := newReceiver(t, func(out http.ResponseWriter, _ *http.Request, _ got) {
		if rand.IntN(10) == 0 {
			out.WriteHeader([]int{http.StatusBadRequest, http.StatusServiceUnavailable}[rand.IntN(2)])
		}
	})
	cfg := w.config()
	cfg.Log, cfg.FreshTxnID = nil, false // as on a real Kafka: who comes back ends what it left open
	text, err := json.Marshal(cfg)
	require.NoError(t, err)
	hook, _ := w.webhook(r.URL, schemas.WebhookPaid)
	started := func() *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), asSink+"="+string(text))
		cmd.Stderr = os.Stderr
		require.NoError(t, cmd.Start())
		return cmd
	}
	sink := started()
	kills := 0
	for range versions {
		for object := range objects {
			w.change(object, schemas.ChangePaid)
		}
		before := len(r.tried())
		if rand.IntN(3) == 0 {
			require.Eventually(t, func() bool { return len(r.tried()) > before }, 30*time.Second, time.Millisecond)
			require.NoError(t, sink.Process.Kill())
			_ = sink.Wait()
			kills++
			sink = started()
		}
	}
	all := r.gets(objects * versions)
	inOrder(t, all)
	w.allDelivered(hook.ID, objects*versions)
	require.NoError(t, sink.Process.Kill())
	_ = sink.Wait()
	t.Logf("%d kills, %d requests taken for %d events", kills, len(all), objects*versions)
	require.Less(t, len(all), 2*objects*versions)
}
