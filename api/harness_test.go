package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/api"
	"github.com/kasi-collections/kasi/schemas"
	chsink "github.com/kasi-collections/kasi/sinks/clickhouse"
	"github.com/kasi-collections/kasi/sinks/clickhouse/chtest"
)

func TestMain(m *testing.M) { os.Exit(chtest.Main(m)) }

const (
	acmeKey  = "key-of-acme"
	otherKey = "key-of-other"
)

// env is the API on a real ClickHouse, with a stand-in for the pipeline behind it. Every answer it gets is checked
// against openapi.yaml.
type env struct {
	t    *testing.T
	db   driver.Conn
	pipe *pipeline
	url  string
	spec *openapi3.T
	// tried are the operations whose examples were tried.
	tried map[string]bool
	log   *logBuffer
}

// newEnv starts the API with the calendar at 2025-11-05. change may alter the configuration.
func newEnv(t *testing.T, change ...func(*api.Config)) *env {
	t.Helper()
	opts := chtest.New(t)
	db, err := clickhouse.Open(opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	e := &env{t: t, db: db, pipe: newPipeline(t, db), log: &logBuffer{}, spec: spec(t)}
	e = e.again(change...)
	e.pipe.day("2025-11-05")
	return e
}

// again is another API on the same ClickHouse and pipeline.
func (e *env) again(change ...func(*api.Config)) *env {
	t, db := e.t, e.db
	t.Helper()
	e = new(*e)
	cfg := api.Config{
		Keys: []api.Key{{Tenant: "acme", Key: acmeKey}, {Tenant: "other", Key: otherKey}},
		DB:   db, Commands: e.pipe, Log: slog.New(slog.NewJSONHandler(e.log, nil)), Wait: 5 * time.Second,
		Words: func(ev *schemas.DecisionEvent) []api.Words { return []api.Words{{About: "why", Text: ev.Explanation}} },
		Whole: func(ctx context.Context, until []int64) error {
			return chsink.Whole(ctx, db, schemas.TopicCollections, until)
		},
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the API's log:\n%s", e.log)
		}
	})
	var jobs sync.WaitGroup // what goes on behind a call must not outlive the database
	jobCtx, stop := context.WithCancel(context.Background())
	t.Cleanup(func() { stop(); jobs.Wait() })
	cfg.Background = func(run func(context.Context)) { jobs.Go(func() { run(jobCtx) }) }
	for _, f := range change {
		f(&cfg)
	}
	handler, err := api.New(cfg)
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	e.url = server.URL
	return e
}

func spec(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))
	return doc
}

// route finds the operation of a request in openapi.yaml; nil if there is none. A literal path goes before one with an
// id.
func (e *env) route(req *http.Request) *routers.Route {
	var found *routers.Route
	for path, item := range e.spec.Paths.Map() {
		prefix := e.spec.Servers[0].URL
		if len(item.Servers) > 0 {
			prefix = ""
		}
		pattern := "^" + anID.ReplaceAllString(regexp.QuoteMeta(prefix+path), "[^/]+") + "$"
		op := item.GetOperation(req.Method)
		if op == nil || !regexp.MustCompile(pattern).MatchString(req.URL.Path) || found != nil &&
			strings.Contains(path, "{") {
			continue
		}
		found = &routers.Route{Spec: e.spec, Path: path, PathItem: item, Method: req.Method, Operation: op}
	}
	return found
}

var anID = regexp.MustCompile(`\\\{[a-z_]+\\\}`)

// answer is a response, read to its end.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

func (e *env) request(method, path, key, contentType string, body io.Reader) *answer {
	e.t.Helper()
	return e.with(http.Header{}, method, path, key, contentType, body)
}

// with is request with further headers.
func (e *env) with(header http.Header, method, path, key, contentType string, body io.Reader) *answer {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), method, e.url+path, body)
	require.NoError(e.t, err)
	req.Header = header
	if key != "" {
		req.Header.Set("X-API-Key", key)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(e.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(e.t, err)
	require.NotEmpty(e.t, resp.Header.Get("X-Request-Id"))
	a := &answer{t: e.t, status: resp.StatusCode, header: resp.Header, body: b}
	e.conforms(req, a)
	return a
}

// conforms checks an answer against openapi.yaml. Answers to unknown routes and methods must be errors of the
// documented shape.
func (e *env) conforms(req *http.Request, a *answer) {
	e.t.Helper()
	route := e.route(req)
	if route == nil {
		require.Contains(e.t, []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnauthorized}, a.status)
		a.err()
		return
	}
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, Route: route},
		Status:                 a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	require.NoError(e.t, openapi3filter.ValidateResponse(context.Background(), in), "%s %s: %.300s", req.Method,
		req.URL.Path, a.body)
}

func (e *env) get(path string) *answer {
	return e.request(http.MethodGet, path, acmeKey, "", nil)
}

func (e *env) send(method, path, body string) *answer {
	e.t.Helper()
	return e.request(method, path, acmeKey, "application/json", strings.NewReader(body))
}

func (e *env) post(path, body string) *answer {
	e.t.Helper()
	return e.send(http.MethodPost, path, body)
}

// upload sends a CSV as the part file.
func (e *env) upload(csv string) *answer {
	e.t.Helper()
	body, contentType := form(e.t, "file", csv)
	return e.request(http.MethodPost, "/v1/policies/import", acmeKey, contentType, body)
}

func form(t *testing.T, part, content string) (io.Reader, string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	f, err := w.CreateFormFile(part, "policies.csv")
	require.NoError(t, err)
	_, err = io.WriteString(f, content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return &b, w.FormDataContentType()
}

func (a *answer) is(status int) *answer {
	a.t.Helper()
	require.Equal(a.t, status, a.status, "%s", a.body)
	return a
}

// json reads the body strictly.
func (a *answer) json(into any) {
	a.t.Helper()
	dec := json.NewDecoder(bytes.NewReader(a.body))
	dec.DisallowUnknownFields()
	require.NoError(a.t, dec.Decode(into), "%s", a.body)
}

// err reads an error and checks that it is whole.
func (a *answer) err() api.ErrorInfo {
	a.t.Helper()
	var e api.ErrorBody
	a.json(&e)
	require.NotEmpty(a.t, e.Error.Code)
	require.NotEmpty(a.t, e.Error.Message)
	require.Equal(a.t, a.header.Get("X-Request-Id"), e.Error.RequestID)
	return e.Error
}

// decoded reads the body into a new T.
func decoded[T any](a *answer) (out T) {
	a.t.Helper()
	a.json(&out)
	return out
}

// policy makes a policy of acme and returns its id.
func (e *env) policy(number string) string {
	e.t.Helper()
	a := e.post("/v1/policies", policyJSON(number)).is(http.StatusCreated)
	return decoded[api.PolicyCreated](a).ID
}

func policyJSON(number string) string {
	return fmt.Sprintf(`{"customer_id":"C-%s","external_customer_ref":"EXT","policy_number":%q,`+
		`"product_code":"FUNERAL_01","collection_amount":150.00}`, number, number)
}

// logBuffer is written by the server's goroutines while a test reads it.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// failingConn is a real connection whose answers break off after some rows.
type failingConn struct {
	driver.Conn
	after int
}

func (c failingConn) Query(ctx context.Context, query string, args ...any) (driver.Rows, error) {
	rows, err := c.Conn.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return &failingRows{Rows: rows, left: c.after}, nil
}

// awayConn is a real connection that can be cut off.
type awayConn struct {
	driver.Conn
	away *atomic.Bool
}

func (c awayConn) QueryRow(ctx context.Context, query string, args ...any) driver.Row {
	if c.away.Load() {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		ctx = ended
	}
	return c.Conn.QueryRow(ctx, query, args...)
}

type failingRows struct {
	driver.Rows
	left int
}

func (r *failingRows) Next() bool {
	r.left--
	return r.left >= 0 && r.Rows.Next()
}

func (r *failingRows) Err() error {
	if r.left < 0 {
		return errCut
	}
	return r.Rows.Err()
}
