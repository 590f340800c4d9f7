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
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"go.yaml.in/yaml/v3"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

//go:embed openapi.yaml
var openapiYAML []byte

// Commands is the way into the pipeline. Each call returns after the brokers' acknowledgement; what became of a command
// is an outcome.
type Commands interface {
	Policies(ctx context.Context, cmds []schemas.PolicyCommand) error
	Execute(ctx context.Context, cmds []schemas.ExecuteCommand) error
	Settle(ctx context.Context, cmd schemas.SettleCommand) error
	// Owed is, for each partition of kasi.collections.v1, the offset after everything the pipeline owes for what it has
	// been told so far.
	Owed(ctx context.Context) ([]int64, error)
}

// Key lets its bearer act for a tenant. A tenant can have several.
type Key struct {
	Tenant string
	Key    string
}

// Config is what the API needs.
type Config struct {
	Keys     []Key
	DB       driver.Conn
	Commands Commands
	// QueriesPerMinute bounds the GETs of one key, UpdatesPerMinute all other calls; 0 means no limit.
	QueriesPerMinute, UpdatesPerMinute int
	Log                                *slog.Logger
	// Ready tells /readyz whether calls can be served. Nil means always.
	Ready func(ctx context.Context) error
	// Wait bounds how long a write waits until it can be read back; for imports and executions it counts from the last
	// progress. Default: 30 s for imports, 10 s for all else.
	Wait time.Duration
	// MaxImportBytes and MaxImportRows bound a CSV file. Default: 200 MB and 1,000,000.
	MaxImportBytes int64
	MaxImportRows  int
}

const (
	maxJSONBytes          = 1 << 20
	defaultMaxImportBytes = 200 << 20
	defaultMaxImportRows  = 1_000_000
	defaultWait           = 10 * time.Second
	defaultImportWait     = 30 * time.Second
	readyTimeout          = 3 * time.Second // a probe must hear of a ClickHouse that hangs, not hang with it
)

type server struct {
	cfg        Config
	db         *read.DB
	commands   Commands
	log        *slog.Logger
	keys       []hashedKey
	wait       time.Duration
	importWait time.Duration
}

// New makes the handler. It refuses a configuration that cannot work, naming all that is wrong with it.
func New(cfg Config) (http.Handler, error) {
	keys, err := hashKeys(cfg.Keys)
	if cfg.DB == nil || cfg.Commands == nil || cfg.Log == nil {
		err = errors.Join(err, errors.New("api: DB, Commands and Log must be set"))
	}
	if cfg.QueriesPerMinute < 0 || cfg.UpdatesPerMinute < 0 || cfg.Wait < 0 || cfg.MaxImportBytes < 0 ||
		cfg.MaxImportRows < 0 {
		err = errors.Join(err, errors.New("api: limits and Wait must not be negative"))
	}
	asJSON, jsonErr := specJSON()
	if err = errors.Join(err, jsonErr); err != nil {
		return nil, err
	}
	s := &server{
		cfg: cfg, db: read.New(cfg.DB), commands: cfg.Commands, log: cfg.Log, keys: keys,
		wait: cfg.Wait, importWait: cfg.Wait,
	}
	if cfg.Wait == 0 {
		s.wait, s.importWait = defaultWait, defaultImportWait
	}
	if s.cfg.MaxImportBytes == 0 {
		s.cfg.MaxImportBytes = defaultMaxImportBytes
	}
	if s.cfg.MaxImportRows == 0 {
		s.cfg.MaxImportRows = defaultMaxImportRows
	}
	return s.routes(asJSON), nil
}

func (s *server) routes(asJSON []byte) http.Handler {
	root := chi.NewRouter()
	root.Use(s.observe, middleware.GetHead)
	root.NotFound(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, newError(http.StatusNotFound, codeNotFound, "There is no route %s; the routes are in /v1/openapi.yaml",
			clip(r.URL.Path)))
	})
	root.MethodNotAllowed(s.methodNotAllowed)
	root.Get("/livez", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, Probe{Status: "ok"}) })
	root.Get("/readyz", s.readyz)
	root.Get("/v1/openapi.yaml", document("application/yaml", openapiYAML))
	root.Get("/v1/openapi.json", document("application/json", asJSON))
	root.Route("/v1", func(v1 chi.Router) {
		v1.Use(s.authenticate)
		for _, limit := range s.rateLimits() {
			v1.Use(limit)
		}
		HandlerWithOptions(s, ChiServerOptions{BaseRouter: v1, ErrorHandlerFunc: s.badParameter})
	})
	return root
}

func (s *server) readyz(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Ready != nil {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := s.cfg.Ready(ctx); err != nil {
			s.fail(w, r, unavailable(err, "Not ready"))
			return
		}
	}
	writeJSON(w, http.StatusOK, Probe{Status: "ready"})
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
