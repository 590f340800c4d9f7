// Package api is the HTTP API of CONTRACT 3. openapi.yaml is the source of its routes and types; its queries are in
// api/read.
//
// Writes go through Kafka (Commands), reads come from ClickHouse. A write is answered only when it can be read back:
// the API waits, bounded, for the outcome of its request and for the rows it caused. The API itself decides nothing
// about policies, collections or statements, so two calls at once cannot lose an update.
//
// Decisions where the contract leaves a choice:
//   - The request id is always made here, never taken from the caller. Outcomes are found by it, so it must be unique.
//   - An id that is no UUID names no object: 404, as for another tenant's.
//   - The answer is 409 where the object's state is in the way: the number exists, the policy is cancelled, nothing was
//     executed to settle. It is 422 where the request can never be carried out, such as for a period that has passed.
//   - A null for an optional field is the field left out.
//   - Unknown query parameters and unknown CSV columns are refused. Dropping a misspelt filter would answer another
//     question.
//   - CSV answers are data for machines. Values are written as they came, also those a spreadsheet would take for a
//     formula.
package api

//go:generate go tool oapi-codegen --config oapi-codegen.yaml openapi.yaml
//go:generate go tool oapi-codegen --config client/oapi-codegen.yaml openapi.yaml

import (
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"cloud.google.com/go/civil"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

//go:embed openapi.yaml
var openapiYAML []byte

// OpenAPI is the document of the API, as YAML.
func OpenAPI() []byte { return openapiYAML }

// Commands is the way into the pipeline. Each call returns after the brokers' acknowledgement; what became of a command
// is an outcome.
type Commands interface {
	Policies(ctx context.Context, cmds []schemas.PolicyCommand) error
	Import(ctx context.Context, entries []schemas.ImportEntry) error
	Execute(ctx context.Context, cmds []schemas.ExecuteCommand) error
	// Execution asks for all policies of a tenant, or names an execution of named ones.
	Execution(ctx context.Context, cmd schemas.ExecutionCommand) error
	Settle(ctx context.Context, cmd schemas.SettleCommand) error
	// Statement changes a statement: a dispute, or how it was resolved.
	Statement(ctx context.Context, cmd schemas.StatementCommand) error
	CloseItem(ctx context.Context, cmd schemas.CloseItemCommand) error
	// Audit says what became of a call that changes something. It does not wait; failed hears where it could not be said.
	Audit(ctx context.Context, ev schemas.AuditEvent, failed func(error))
	// Owed is, for each partition of kasi.collections.v1, the offset after everything the pipeline owes for what it has
	// been told so far.
	Owed(ctx context.Context) ([]int64, error)
}

// Calendar is business time as users see it: under a manual calendar every instant lies on the business date
// (CONTRACT 3).
type Calendar interface {
	// Shown is an instant of the clock as users see it; Happened is the first instant that is shown so, or later.
	Shown(at time.Time) time.Time
	Happened(shown time.Time) time.Time
}

// Config is what the API needs.
type Config struct {
	// Keys are those of the configuration. Made finds a key that was made while the API runs; nil means that there are
	// none.
	Keys     []Key
	Made     func(key string) (Grant, bool)
	DB       driver.Conn
	Commands Commands
	// Webhooks may be nil: then the calls about them say what an operator has to set.
	Webhooks Webhooks
	// Calendar says when things happened as users see it. Nil: when the clock says.
	Calendar Calendar
	// Whole tells whether ClickHouse holds every event of kasi.collections.v1 whose seq is below the partition's bound.
	// The error is a *schemas.Hole where some are missing, and *schemas.Twins where two have one number.
	Whole func(ctx context.Context, until []int64) error
	// QueriesPerMinute bounds the GETs of one key, UpdatesPerMinute all other calls; 0 means no limit.
	QueriesPerMinute, UpdatesPerMinute int
	// LimitsOf are a tenant's own in their place; nil means that no tenant has any.
	LimitsOf func(tenant string, queries, updates int) (int, int)
	// Begin takes the Idempotency-Key of a tenant's call that asks for body, or finds its answer. The error is a
	// *schemas.StillRunning, schemas.ErrOtherBody, or says why nobody knows. Nil means that keys are not looked at.
	Begin func(ctx context.Context, tenant, key string, body [sha256.Size]byte) (KeyedCall, error)
	// RefusedPerMinute bounds the calls of one address without a good key; 0 means no limit.
	RefusedPerMinute int
	Log              *slog.Logger
	// Ready tells /readyz whether calls can be served. Nil means always.
	Ready func(ctx context.Context) error
	// Words says a decision in plain words.
	Words func(*schemas.DecisionEvent) []Words
	// Degraded says in words what somebody must look at while the rest goes on, for /readyz. Nil means that nobody knows.
	Degraded func() []string
	// Wait bounds how long a write waits until it can be read back; for imports and executions it counts from the last
	// progress. Default: 30 s for imports, 10 s for all else.
	Wait time.Duration
	// MaxImportBytes and MaxImportRows bound a CSV file. Default: 200 MB and 1,000,000.
	MaxImportBytes int64
	MaxImportRows  int
	// ImportDir keeps imports under way, so that the next process goes on with those that this one leaves behind. Empty:
	// they are kept among the temporary files, and a process that ends leaves them undone.
	ImportDir string
	// Background runs what goes on after its call was answered, until its ctx ends. Nil: it ends with the process.
	Background func(run func(ctx context.Context))
	// LastDebits is the last day of a period on which banks take debits. Nil means that nobody knows.
	LastDebits func(schemas.Period) civil.Date
}

const (
	maxJSONBytes = 1 << 20
	readyTimeout = 3 * time.Second // a probe must hear of a ClickHouse that hangs, not hang with it
)

type server struct {
	Config
	grants     map[keyHash]Grant
	importWait time.Duration
	calls      window   // of each key, queries and updates apart
	refused    window   // of each address
	running    sync.Map // imports that this process works on, by id
}

// New makes the handler. It refuses a configuration that cannot work, naming all that is wrong with it.
func New(cfg Config) (http.Handler, error) {
	grants, err := hashKeys(cfg.Keys)
	if len(grants) == 0 && cfg.Made == nil {
		err = errors.Join(err, errors.New("api: no keys, so nobody could call it"))
	}
	if cfg.DB == nil || cfg.Commands == nil || cfg.Whole == nil || cfg.Log == nil || cfg.Words == nil {
		err = errors.Join(err, errors.New("api: DB, Commands, Whole, Words and Log must be set"))
	}
	if min(cfg.QueriesPerMinute, cfg.UpdatesPerMinute, cfg.RefusedPerMinute, cfg.MaxImportRows) < 0 ||
		cfg.MaxImportBytes < 0 || cfg.Wait < 0 {
		err = errors.Join(err, errors.New("api: limits and Wait must not be negative"))
	}
	asJSON, jsonErr := specJSON()
	if err = errors.Join(err, jsonErr); err != nil {
		return nil, err
	}
	s := &server{Config: cfg, grants: grants, importWait: cmp.Or(cfg.Wait, 30*time.Second)}
	s.Wait = cmp.Or(cfg.Wait, 10*time.Second)
	s.MaxImportBytes = cmp.Or(cfg.MaxImportBytes, 200<<20)
	s.MaxImportRows = cmp.Or(cfg.MaxImportRows, 1_000_000)
	if s.ImportDir != "" {
		if err := os.MkdirAll(s.ImportDir, 0o700); err != nil {
			return nil, fmt.Errorf("api: the directory of imports: %w", err)
		}
		s.background(s.resumeImports)
	}
	return s.routes(asJSON), nil
}

func (s *server) routes(asJSON []byte) http.Handler {
	root := chi.NewRouter()
	root.Use(TimeBodies, compressed, s.observe, boundHeaders(s), middleware.GetHead)
	root.NotFound(func(w http.ResponseWriter, r *http.Request) {
		path := clip(r.URL.Path)
		s.fail(w, r, newError(http.StatusNotFound, "There is no route %s; the routes are in /v1/openapi.yaml", path))
	})
	root.MethodNotAllowed(s.methodNotAllowed)
	root.Get("/livez", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, Probe{Status: "ok"}) })
	root.Get("/readyz", s.readyz)
	root.Get("/v1/openapi.yaml", document("application/yaml", openapiYAML))
	root.Get("/v1/openapi.json", document("application/json", asJSON))
	root.Route("/v1", func(v1 chi.Router) {
		v1.Use(s.audit, s.authenticate, s.limit, s.postOnly("/v1/policies/import", "/v1/collections/execute"))
		HandlerWithOptions(s, ChiServerOptions{
			BaseRouter: v1, ErrorHandlerFunc: s.badParameter, Middlewares: []MiddlewareFunc{s.once, s.checkScope},
		})
	})
	return root
}

func (s *server) readyz(w http.ResponseWriter, r *http.Request) {
	if s.Ready != nil {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := s.Ready(ctx); err != nil {
			s.fail(w, r, unavailable(err, "Not ready"))
			return
		}
	}
	probe := Probe{Status: "ready"}
	if s.Degraded != nil {
		if texts := s.Degraded(); len(texts) > 0 {
			probe.Degraded = &texts
		}
	}
	writeJSON(w, http.StatusOK, probe)
}

func document(contentType string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(body)
	}
}

func specJSON() ([]byte, error) {
	var doc map[string]any
	if err := yaml.Unmarshal(openapiYAML, &doc); err != nil {
		return nil, fmt.Errorf("api: openapi.yaml: %w", err)
	}
	return json.Marshal(doc)
}

// requestInfo is what is known of a request; authenticate fills in the others.
type requestInfo struct {
	requestID string
	// command is the id under which the pipeline hears of the call: the request's own, but for a call that is tried again
	// under its Idempotency-Key.
	command string
	again   bool   // an earlier try may have been carried out
	code    string // of the error that was answered
	since   time.Time
	tenant  string
	grant   Grant
	body    *timedBody // nil where the request has none
	db      *read.DB
}

type infoKey struct{}

// infoOf is what observe has put into the context of every request.
func infoOf(ctx context.Context) *requestInfo { return ctx.Value(infoKey{}).(*requestInfo) }

// observe gives each request its id, turns a panic into a 500, and writes the access log: ids, route pattern, status
// and duration, never keys, paths or bodies, which hold personal data.
func (s *server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		info := &requestInfo{requestID: uuid.NewString()}
		info.command = info.requestID
		info.body, _ = r.Body.(*timedBody)
		r = r.WithContext(context.WithValue(r.Context(), infoKey{}, info))
		out := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		out.Header().Set("X-Request-Id", info.requestID)
		defer func() {
			p := recover()
			aborted := p != nil && !s.answerPanic(out, r, p)
			s.Log.LogAttrs(r.Context(), slog.LevelInfo, "request", slog.String("request_id", info.requestID),
				slog.String("tenant", info.tenant), slog.String("method", clip(r.Method)),
				slog.String("route", chi.RouteContext(r.Context()).RoutePattern()), slog.Int("status", out.Status()),
				slog.Bool("aborted", aborted), slog.Duration("duration", time.Since(start)))
			if aborted {
				panic(http.ErrAbortHandler)
			}
		}()
		next.ServeHTTP(out, r)
	})
}

// answerPanic answers a panic with a 500. Once part of an answer is out, only breaking the connection off tells the
// caller that it is not whole; http.ErrAbortHandler asks for just that.
func (s *server) answerPanic(w middleware.WrapResponseWriter, r *http.Request, p any) (answered bool) {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return false
	}
	s.Log.LogAttrs(r.Context(), slog.LevelError, "panic", slog.String("request_id", infoOf(r.Context()).requestID),
		slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
	if w.Status() != 0 {
		return false
	}
	s.fail(w, r, fmt.Errorf("panic: %v", p))
	return true
}
