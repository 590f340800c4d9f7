// Package console is what people see at / of the HTTP address: the month, its collections, a customer's story,
// settlements, the engine and the product's health. Its pages are HTML from the server and work without JavaScript.
// DESIGN.md says what is guaranteed.
package console

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/httprate"
	"github.com/google/uuid"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

//go:embed templates/*.html static/*
var files embed.FS

// Bearer is whom an API key lets in.
type Bearer struct {
	Tenant string
	// CanWrite lets the bearer close open items, CanSettle dispute and resolve settlements. The API refuses it else.
	CanWrite, CanSettle bool
}

// Line is one thing that is said of a decision.
type Line struct{ About, Text string }

// Config is what the console needs.
type Config struct {
	DB driver.Conn
	// Bearer tells whom a key lets in. It is asked at each page, so a revoked key ends its sessions.
	Bearer func(key string) (Bearer, bool)
	// Secret seals the sessions' cookies, so all instances behind one address need the same. Empty: a random one, and
	// a restart ends all sessions.
	Secret string
	// Secure says that people reach the console over TLS only: cookies are then sent over nothing else.
	Secure bool
	// Words says a decision in plain words; WhatIf prices it again with changes such as "balance=500".
	Words  func(*schemas.DecisionEvent) []Line
	WhatIf func(ev *schemas.DecisionEvent, changes []string) ([]Line, error)
	// Changes are the names of what may be changed, with what each means.
	Changes []Line
	// Degraded says in words what somebody must look at. Nil means that nobody knows.
	Degraded func() []string
	// DeadLetters counts refused records by class. Nil means that nobody knows.
	DeadLetters func(ctx context.Context) ([]Refused, error)
	// API carries out what a page changes, with the session's key: its rules, limits and audit hold here too.
	API http.Handler
	// Behind tells what waits for each role. Nil means that nobody knows.
	Behind func(ctx context.Context) ([]Behind, error)
	Log    *slog.Logger
}

// Behind is how many records wait for a role's group, and when the oldest of them was written.
type Behind struct {
	Role, Group string
	Records     int64
	Oldest      time.Time
}

// Refused is how many records were refused for a reason.
type Refused struct {
	Class, Topic string
	Records      int64
}

type console struct {
	Config
	seal  *seal
	pages map[string]*template.Template
}

// New makes the handler of everything under /.
func New(cfg Config) (http.Handler, error) {
	if cfg.DB == nil || cfg.Bearer == nil || cfg.Words == nil || cfg.WhatIf == nil || cfg.API == nil || cfg.Log == nil {
		return nil, errors.New("console: DB, Bearer, Words, WhatIf, API and Log must be set")
	}
	c := &console{Config: cfg}
	var err error
	if c.seal, err = newSeal(cfg.Secret); err != nil {
		return nil, err
	}
	if c.pages, err = parsePages(); err != nil {
		return nil, err
	}
	return c.routes()
}

func (c *console) routes() (http.Handler, error) {
	static, err := fs.Sub(files, "static")
	if err != nil {
		return nil, err
	}
	r := chi.NewRouter()
	r.Use(secured, middleware.GetHead, middleware.Compress(5))
	r.Use(http.NewCrossOriginProtection().Handler) // a form of another site changes nothing
	r.Method(http.MethodGet, "/static/*", http.StripPrefix("/static/", cached(http.FileServerFS(static))))
	r.Get("/login", c.loginPage)
	r.With(httprate.LimitBy(10, time.Minute, address)).Post("/login", c.login)
	r.Post("/logout", c.logout)
	r.NotFound(func(w http.ResponseWriter, r *http.Request) {
		c.fail(w, nil, http.StatusNotFound, "There is no page at this address.")
	})
	r.MethodNotAllowed(methodNotAllowed)
	r.Group(func(r chi.Router) {
		r.Use(c.session)
		r.Get("/", page(c, "month", c.month))
		r.Get("/collections", page(c, "collections", c.collections))
		r.Get("/collections.csv", c.collectionsCSV)
		r.Get("/collections/{id}", page(c, "collection", c.collection))
		r.Get("/customer", page(c, "customer", c.customer))
		r.Get("/settlements", page(c, "settlements", c.settlements))
		r.Get("/settlements/{id}", page(c, "settlement", c.settlement))
		r.Get("/settlements/{id}/lines.csv", c.settlementCSV)
		r.Post("/settlements/{id}/dispute", c.act("reason", "/settlements/"))
		r.Post("/settlements/{id}/resolve", c.act("note", "/settlements/"))
		r.Post("/open-items/{id}/close", c.act("note", "/health"))
		r.Get("/engine", page(c, "engine", c.engine))
		r.Get("/health", page(c, "health", c.health))
		r.Get("/search", page(c, "search", c.search))
	})
	return r, nil
}

// methodNotAllowed says what is possible at an address, in plain text as everywhere outside of /v1.
func methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	allowed := []string{}
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		if method == http.MethodHead && len(allowed) > 0 ||
			chi.RouteContext(r.Context()).Routes.Match(chi.NewRouteContext(), method, r.URL.Path) {
			allowed = append(allowed, method)
		}
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
}

// address is where a request comes from. Behind a proxy all share the proxy's: logins are few.
func address(r *http.Request) (string, error) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	return host, err
}

// secured sets what every answer says to the browser: nothing from elsewhere, no frame, no guess of a type.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "+
			"base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store") // pages hold personal data
		next.ServeHTTP(w, r)
	})
}

func cached(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=300")
		next.ServeHTTP(w, r)
	})
}

// visit is a request of somebody who is let in. The key is for the API alone.
type visit struct {
	Bearer
	key string
	db  *read.DB
}

type visitKey struct{}

// session lets in whoever has a cookie with a key that is still good; all others are sent to the login.
func (c *console) session(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := c.seal.keyOf(r, time.Now())
		bearer, ok := c.Bearer(key)
		if !ok {
			http.Redirect(w, r, loginWith(r), http.StatusSeeOther)
			return
		}
		v := &visit{bearer, key, read.New(c.DB, bearer.Tenant, uuid.NewString())}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), visitKey{}, v)))
	})
}

// missing is an error that is the address's fault.
type missing string

func (m missing) Error() string { return string(m) }

// page makes a handler of a function that finds what a page shows.
func page[T any](c *console, name string, find func(r *http.Request, v *visit) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := r.Context().Value(visitKey{}).(*visit)
		body, err := find(r, v)
		var absent missing
		switch {
		case errors.As(err, &absent):
			c.fail(w, v, http.StatusNotFound, absent.Error())
		case errors.As(err, new(*read.Error)):
			c.Log.Error("console", "page", name, "tenant", v.Tenant, "err", err)
			c.fail(w, v, http.StatusServiceUnavailable, "ClickHouse does not answer. Nothing is lost; try again in a minute.")
		case err != nil:
			c.Log.Error("console", "page", name, "tenant", v.Tenant, "err", err)
			c.fail(w, v, http.StatusInternalServerError, "The page could not be made. The log says why.")
		default:
			c.render(w, http.StatusOK, name, frame{Page: name, Tenant: v.Tenant, Search: r.URL.Query().Get("q"), Body: body})
		}
	}
}

// fail shows an error page. v is nil where nobody is let in.
func (c *console) fail(w http.ResponseWriter, v *visit, status int, text string) {
	f := frame{Page: "error", Body: struct {
		Status int
		Text   string
	}{status, text}}
	if v != nil {
		f.Tenant = v.Tenant
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	c.render(w, status, "error", f)
}

// render writes a page whole, or a plain error where it cannot be made.
func (c *console) render(w http.ResponseWriter, status int, name string, f frame) {
	var buf bytes.Buffer
	if err := c.pages[name].ExecuteTemplate(&buf, "frame", f); err != nil {
		c.Log.Error("console", "page", name, "err", err)
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(buf.Len()))
	w.WriteHeader(status)
	_, _ = buf.WriteTo(w)
}

// frame is what every page is set in.
type frame struct {
	Page, Tenant, Search string
	Body                 any
}

func parsePages() (map[string]*template.Template, error) {
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	pages := map[string]*template.Template{}
	for _, file := range names {
		name := file[len("templates/") : len(file)-len(".html")]
		if name == "frame" {
			continue
		}
		t, err := template.New(name).Funcs(words).ParseFS(files, "templates/frame.html", file)
		if err != nil {
			return nil, fmt.Errorf("console: %w", err)
		}
		pages[name] = t
	}
	return pages, nil
}
