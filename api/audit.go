package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

// audit writes down each call that is no query, whatever came of it: refused ones too. It holds ids only.
func (s *server) audit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		if isQuery(r) {
			return
		}
		info, route := infoOf(r.Context()), chi.RouteContext(r.Context())
		ev := schemas.AuditEvent{
			TenantID: info.tenant, RequestID: info.requestID, KeyID: info.grant.KeyID, Address: hostOf(r),
			Method: clip(r.Method), Route: route.RoutePattern(), Status: w.(middleware.WrapResponseWriter).Status(),
			Outcome: "OK", Replayed: w.Header().Get(replayHeader) != "",
		}
		if info.code != "" {
			ev.Outcome = info.code
		}
		if id := route.URLParam("id"); isID(id) {
			ev.ObjectID = id
		}
		s.Commands.Audit(r.Context(), ev, func(err error) {
			s.Log.LogAttrs(context.Background(), slog.LevelError, "a call is missing in the audit",
				slog.String("request_id", ev.RequestID), slog.String("tenant", ev.TenantID), slog.Any("error", err))
		})
	})
}

// ListAudit is GET /audit.
func (s *server) ListAudit(w http.ResponseWriter, r *http.Request, params ListAuditParams) {
	respondList(s, w, r, params, func(in *input) read.Page {
		p := readPage(in, params.Limit, params.Cursor, 2)
		if params.Since != nil {
			if p.Since = anInstant(in, "since", *params.Since); s.Calendar != nil {
				p.Since = s.Calendar.Happened(p.Since)
			}
		}
		if at := p.After[0]; at != "" && in.err == nil {
			anInstant(in, "cursor", at)
		}
		return p
	}, (*read.DB).Audit, func(a read.Call) AuditEntry {
		return AuditEntry{
			At: s.shown(a.At), RequestID: a.RequestID, KeyID: a.KeyID, Address: a.Address, Method: a.Method, Route: a.Route,
			ObjectID: orNull(a.ObjectID), Status: int(a.Status), Outcome: a.Outcome, Replayed: a.Replayed,
		}
	}, func(a read.Call) []string { return []string{a.At.UTC().Format(time.RFC3339Nano), a.RequestID} })
}

// anInstant reads an instant of RFC 3339, or a day, which begins at midnight in Johannesburg. Faults are in the input.
func anInstant(in *input, name, text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		at, err = time.ParseInLocation(time.DateOnly, text, schemas.Johannesburg)
	}
	if err != nil || at.Year() < 1971 || at.Year() > 2147 {
		in.refuse(invalid(name, "an instant such as 2025-11-05T08:00:00Z, or a date such as 2025-11-05", text,
			"%s is neither an instant of RFC 3339 nor a date", name))
	}
	return at
}
