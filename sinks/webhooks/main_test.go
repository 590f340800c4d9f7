package webhooks

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/kafkatest"
)

// world is a Kafka with the topics, and a writer that plays the stages.
type world struct {
	t        testing.TB
	kafka    *kafkatest.Kafka
	registry *Registry
	writer   *kgo.Client
	versions map[string]int64 // of collections
}

const partitions = 3

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, kafka: kafkatest.Start(t), versions: map[string]int64{}}
	w.kafka.Topics(t, partitions, append([]string{schemas.TopicWebhookDeliveries}, schemas.WebhookSources()...)...)
	w.kafka.Topics(t, 1, schemas.TopicWebhooks)
	var err error
	w.writer, err = kgo.NewClient(kgo.SeedBrokers(w.kafka.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0))
	require.NoError(t, err)
	t.Cleanup(w.writer.Close)
	w.registry, err = OpenRegistry(context.Background(), w.config())
	require.NoError(t, err)
	t.Cleanup(w.registry.Close)
	return w
}

// testLog says something where WEBHOOKS_LOG is set.
func testLog() *slog.Logger {
	if os.Getenv("WEBHOOKS_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}

func (w *world) config() Config {
	return Config{
		Brokers: w.kafka.Brokers, Instance: "1", FreshTxnID: true, Secret: "seal", AllowPrivate: true, Log: testLog(),
		Pauses: []time.Duration{20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond}, Patience: time.Minute,
	}
}

// start runs the sink until stop is called, or the test ends.
func (w *world) start(cfg Config) (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- Run(ctx, cfg, sync.OnceFunc(func() { close(ready) })) }()
	select {
	case <-ready:
	case err := <-done:
		require.NoError(w.t, err)
		require.FailNow(w.t, "the sink ended")
	case <-time.After(30 * time.Second):
		require.FailNow(w.t, "the sink does not get ready")
	}
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(w.t, <-done)
	})
	w.t.Cleanup(stop)
	return stop
}

// webhook makes one of tenant acme.
func (w *world) webhook(url string, events ...schemas.WebhookType) (schemas.Webhook, string) {
	w.t.Helper()
	made, secret, err := w.registry.Make(context.Background(), schemas.Webhook{TenantID: "acme", URL: url, Events: events})
	require.NoError(w.t, err)
	return made, secret
}

// write writes an event as a stage does.
func (w *world) write(topic string, partition int32, ev any) {
	w.t.Helper()
	value, err := json.Marshal(ev)
	require.NoError(w.t, err)
	rec := &kgo.Record{Topic: topic, Partition: partition, Value: value}
	require.NoError(w.t, w.writer.ProduceSync(context.Background(), rec).FirstErr())
}

func meta(facts ...string) schemas.Meta {
	return schemas.Meta{
		EventID: schemas.FactID(facts...), Seq: 1, BusinessDate: "2025-11-05",
		At: time.Date(2025, 11, 5, 7, 0, 0, 0, time.UTC),
	}
}

// change writes the next version of a collection of acme, whose number says its partition.
func (w *world) change(collection int, kind schemas.ChangeKind) {
	w.t.Helper()
	id := strconv.Itoa(collection)
	w.versions[id]++
	n := w.versions[id]
	w.write(schemas.TopicCollections, int32(collection%partitions), &schemas.CollectionEvent{
		Meta: meta("collection", id, strconv.FormatInt(n, 10)), CollectionID: schemas.FactID(id), TenantID: "acme",
		CustomerID: "C" + id, PolicyNumber: "POL" + id, PeriodMonth: "2025-11", Version: n, DueCents: 15_000,
		CollectedCents: 15_000, Status: schemas.PaidFull, Attempts: 1,
		Change: schemas.Change{Kind: kind, DebitID: "D" + id, AmountCents: 15_000},
	})
}

// got is a request that a receiver has taken.
type got struct {
	id, body string
	header   http.Header
	at       time.Time
	Type     schemas.WebhookType
	Data     struct {
		ID      string `json:"id"`
		Version int64  `json:"version"`
		Reason  string `json:"reason"`
	}
}

// receiver is a tenant's server. answer says what it answers; nil means 200.
type receiver struct {
	*httptest.Server
	t      testing.TB
	answer func(http.ResponseWriter, *http.Request, got)

	mu   sync.Mutex
	all  []got // whatever came
	good []got // what was answered with 2xx
}

func newReceiver(t testing.TB, answer func(http.ResponseWriter, *http.Request, got)) *receiver {
	r := &receiver{t: t, answer: answer}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.CloseClientConnections)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	g := got{id: req.Header.Get("webhook-id"), body: string(body), header: req.Header, at: time.Now()}
	_ = json.Unmarshal(body, &g)
	r.mu.Lock()
	r.all = append(r.all, g)
	r.mu.Unlock()
	out := &status{ResponseWriter: w, code: http.StatusOK}
	if r.answer != nil {
		r.answer(out, req, g)
	}
	if out.code/100 == 2 {
		r.mu.Lock()
		r.good = append(r.good, g)
		r.mu.Unlock()
	}
}

type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

func (r *receiver) taken() []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]got(nil), r.good...)
}

func (r *receiver) tried() []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]got(nil), r.all...)
}

// gets waits until n different deliveries were taken.
func (r *receiver) gets(n int) []got {
	r.t.Helper()
	different := func() int {
		ids := map[string]bool{}
		for _, g := range r.taken() {
			ids[g.id] = true
		}
		return len(ids)
	}
	require.Eventually(r.t, func() bool { return different() >= n }, 30*time.Second, 2*time.Millisecond,
		"%d deliveries do not come", n)
	require.Equal(r.t, n, different())
	return r.taken()
}

// inOrder checks that the versions of each object never go back.
func inOrder(t testing.TB, all []got) {
	t.Helper()
	last := map[string]int64{}
	for _, g := range all {
		require.LessOrEqual(t, last[g.Data.ID], g.Data.Version, "of %s", g.Data.ID)
		last[g.Data.ID] = g.Data.Version
	}
}

func verified(t testing.TB, secret string, g got) {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	require.NoError(t, verifier.Verify([]byte(g.body), g.header))
}

// changes are the changes of a webhook's deliveries on their topic.
func (w *world) changes(webhook string) (out []schemas.WebhookDelivery) {
	w.t.Helper()
	ctx := context.Background()
	ends, err := kadm.NewClient(w.writer).ListCommittedOffsets(ctx, schemas.TopicWebhookDeliveries)
	require.NoError(w.t, err)
	p := w.registry.partition(webhook)
	end, _ := ends.Lookup(schemas.TopicWebhookDeliveries, p)
	if end.Offset == 0 {
		return nil
	}
	cl, err := kgo.NewClient(w.config().client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		schemas.TopicWebhookDeliveries: {p: kgo.NewOffset().At(0)},
	}))...)
	require.NoError(w.t, err)
	defer cl.Close()
	for next := int64(0); next < end.Offset; {
		for _, r := range cl.PollFetches(ctx).Records() {
			next = r.Offset + 1
			var d schemas.WebhookDelivery
			if string(r.Key) == webhook && json.Unmarshal(r.Value, &d) == nil {
				out = append(out, d)
			}
		}
	}
	return out
}

// standing is the last change of each delivery of a webhook.
func (w *world) standing(webhook string) map[string]schemas.WebhookDelivery {
	out := map[string]schemas.WebhookDelivery{}
	for _, d := range w.changes(webhook) {
		d.Payload = out[d.DeliveryID].Payload + d.Payload
		out[d.DeliveryID] = d
	}
	return out
}

func (w *world) allDelivered(webhook string, n int) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		standing := w.standing(webhook)
		for _, d := range standing {
			if d.Status != schemas.DeliveryDelivered {
				return false
			}
		}
		return len(standing) == n
	}, 20*time.Second, 20*time.Millisecond)
}

func text(v any) string { return fmt.Sprint(v) }
