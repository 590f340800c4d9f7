package api

import (
	"bufio"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/google/uuid"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

const maxPageSize = 1000

// respond checks the query string, runs a handler and writes its error, if any. params is the generated struct of the
// operation, or nil. Once part of an answer is out, an error breaks the connection off: a client must never take half a
// report for a whole one.
func (s *server) respond(w http.ResponseWriter, r *http.Request, params any,
	handle func(ctx context.Context, info *requestInfo) error,
) {
	info := infoOf(r.Context())
	err := checkQuery(r, params)
	if err == nil {
		err = handle(r.Context(), info)
	}
	if err == nil {
		return
	}
	if w.(middleware.WrapResponseWriter).Status() == 0 {
		s.fail(w, r, err)
		return
	}
	s.Log.LogAttrs(r.Context(), slog.LevelError, "answer broken off", slog.String("request_id", info.requestID),
		slog.String("tenant", info.tenant), slog.Any("error", err))
	panic(http.ErrAbortHandler)
}

// stream writes an answer that is too long to hold. Until its first 64 KiB are full nothing is sent, so an error up to
// then is an ordinary error answer. write need not look at errors of out: a bufio.Writer keeps its first one for Flush.
func stream(w http.ResponseWriter, contentType, fileName string, write func(out *bufio.Writer) error) error {
	w.Header().Set("Content-Type", contentType)
	if fileName != "" {
		w.Header().Set("Content-Disposition", `attachment; filename="`+fileName+`"`)
	}
	out := bufio.NewWriterSize(w, 64<<10)
	if err := write(out); err != nil {
		return err
	}
	return out.Flush()
}

// query asks for the tenant's object of an id.
type query[T any] func(db *read.DB, ctx context.Context, id string) (T, bool, error)

// isID tells whether a text may be an id of ours: one that is written the usual way. uuid.Parse alone also takes braces
// and urn:uuid:.
func isID(text string) bool { return uuid.Validate(text) == nil && len(text) == 36 }

// find is the tenant's object of an id out of a path, or a 404.
func find[T any](ctx context.Context, what, id string, ask query[T]) (row T, err error) {
	ok := false
	if isID(id) {
		row, ok, err = ask(infoOf(ctx).db, ctx, id)
	}
	if err == nil && !ok {
		err = notFound(what, id)
	}
	return row, err
}

// respondWith answers a GET of one object.
func respondWith[T, B any](s *server, w http.ResponseWriter, r *http.Request, what, id string, ask query[T],
	body func(T) B,
) {
	s.respond(w, r, nil, func(ctx context.Context, _ *requestInfo) error {
		row, err := find(ctx, what, id, ask)
		if err == nil {
			writeJSON(w, http.StatusOK, body(row))
		}
		return err
	})
}

// orNull is nil for what is empty or zero.
func orNull[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

// checkQuery refuses query parameters that the operation does not know, or that come twice. What it knows is what the
// generated struct of its parameters says.
func checkQuery(r *http.Request, params any) error {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return invalid("", "name=value pairs, percent-encoded", r.URL.RawQuery, "The query string cannot be read")
	}
	known := []string{}
	if params != nil {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(params)) {
			if name, _, _ := strings.Cut(f.Tag.Get("form"), ","); name != "" { // the others are of the header
				known = append(known, name)
			}
		}
	}
	expected := cmp.Or(strings.Join(known, ", "), "none")
	for name, v := range values {
		if !slices.Contains(known, name) {
			return invalid(clip(name), expected, name, "The query parameter %q is not known; here they are: %s",
				clip(name), expected)
		}
		if len(v) > 1 {
			return invalid(name, "the parameter once", strings.Join(v, ", "), "The query parameter %s is given %d times",
				name, len(v))
		}
	}
	return nil
}

// filter is an optional query parameter: empty when absent, else through its check. Faults are in the input.
func filter[T ~string](in *input, name string, v *string, k kind[T]) string {
	if v == nil {
		return ""
	}
	out, bad := k.check(*v)
	if bad != nil {
		in.refuse(bad.as400(name, *v))
	}
	return string(out)
}

// since reads updated_since: an instant, or a day in Johannesburg.
func since(in *input, v *string) time.Time {
	if v == nil {
		return time.Time{}
	}
	if at, err := time.Parse(time.RFC3339, *v); err == nil {
		return at
	}
	if day, bad := checkDate(*v); bad == nil {
		at, _ := time.ParseInLocation(time.DateOnly, day, schemas.Johannesburg)
		return at
	}
	in.refuse(invalid("updated_since", "an instant such as 2025-11-01T08:00:00Z, or a day", *v,
		"updated_since is neither an instant nor a day"))
	return time.Time{}
}

// yesOrNo reads a filter that is true or false: yes or no, and empty when absent.
func yesOrNo(in *input, name string, v *string) string {
	if v == nil {
		return ""
	}
	yes, bad := checkBool(*v)
	if bad != nil {
		in.refuse(bad.as400(name, *v))
	}
	if yes {
		return "yes"
	}
	return "no"
}

// readPage reads limit and cursor; faults are in the input. keys is how many values the list's sorting key has.
func readPage(in *input, limit *int, cursor *string, keys int) read.Page {
	p := read.Page{Limit: 100, After: make([]string, keys)}
	if limit != nil {
		p.Limit = *limit
	}
	if p.Limit < 1 || p.Limit > maxPageSize {
		in.refuse(invalid("limit", "a whole number from 1 to 1000", strconv.Itoa(p.Limit), "limit is outside of 1 to %d",
			maxPageSize))
	}
	if cursor == nil {
		return p
	}
	var after []string
	b, err := base64.RawURLEncoding.DecodeString(*cursor)
	if err == nil {
		err = json.Unmarshal(b, &after)
	}
	isBad := func(v string) bool { return v != "" && checkText(v) != nil }
	if err != nil || len(after) != keys || slices.ContainsFunc(after, isBad) {
		in.refuse(invalid("cursor", "next_cursor of the page before", *cursor,
			"cursor is not one that this list gave out"))
		return p
	}
	p.After = after
	return p
}

// respondList answers a GET of a list with one page. It asks for one row more than the page holds. Where that row is
// there, so is another page, and the answer has its cursor: key is the sorting key of a row.
func respondList[T, B any](s *server, w http.ResponseWriter, r *http.Request, params any,
	page func(in *input) read.Page, ask func(db *read.DB, ctx context.Context, p read.Page) ([]T, error),
	body func(T) B, key func(T) []string,
) {
	s.respond(w, r, params, func(ctx context.Context, info *requestInfo) error {
		in := &input{}
		p := page(in)
		if in.err != nil {
			return in.err
		}
		limit := p.Limit
		p.Limit++
		rows, err := ask(info.db, ctx, p)
		if err != nil {
			return err
		}
		out := struct {
			Data       []B     `json:"data"`
			NextCursor *string `json:"next_cursor"`
		}{Data: []B{}}
		if len(rows) > limit {
			rows = rows[:limit]
			b, _ := json.Marshal(key(rows[limit-1])) // strings always marshal
			out.NextCursor = orNull(base64.RawURLEncoding.EncodeToString(b))
		}
		for _, row := range rows {
			out.Data = append(out.Data, body(row))
		}
		writeJSON(w, http.StatusOK, out)
		return nil
	})
}
