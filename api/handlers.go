package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

const (
	defaultPageSize = 100
	maxPageSize     = 1000
)

// respond checks the query string, runs a handler and writes its error, if any. params is the generated struct of the
// operation, or nil.
func (s *server) respond(w http.ResponseWriter, r *http.Request, params any, handle func() error) {
	err := checkQuery(r, params)
	if err == nil {
		err = handle()
	}
	if err != nil {
		s.fail(w, r, err)
	}
}

// find is the tenant's object of an id out of a path, or a 404.
func find[T any](ctx context.Context, what, id string,
	query func(ctx context.Context, tenant, id string) (T, bool, error),
) (row T, err error) {
	ok := false
	if isID(id) {
		row, ok, err = query(ctx, infoOf(ctx).tenant, id)
	}
	if err == nil && !ok {
		err = notFound(what, id)
	}
	return row, err
}

// isID tells whether an id can be one of ours, written the usual way. uuid.Parse alone also takes braces and urn:uuid:.
func isID(id string) bool {
	_, err := uuid.Parse(id)
	return err == nil && len(id) == 36
}

// respondWith answers a GET of one object.
func respondWith[T, B any](s *server, w http.ResponseWriter, r *http.Request, what, id string,
	query func(ctx context.Context, tenant, id string) (T, bool, error), body func(T) B,
) {
	s.respond(w, r, nil, func() error {
		row, err := find(r.Context(), what, id, query)
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
	var known []string
	if params != nil {
		t := reflect.TypeOf(params)
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("form"), ",")
			known = append(known, name)
		}
	}
	expected := strings.Join(known, ", ")
	if expected == "" {
		expected = "none"
	}
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
func filter[T ~string](in *input, name string, v *string, f func(string) (T, *fault)) string {
	if v == nil {
		return ""
	}
	out, bad := f(*v)
	if bad != nil {
		in.refuse(bad.as400(name, *v))
	}
	return string(out)
}

// page is where a list goes on and how much of it is wanted. after holds the sorting key of the last item seen.
type page struct {
	limit int
	after []string
}

// readPage reads limit and cursor; faults are in the input. keys is how many values the list's sorting key has.
func readPage(in *input, limit *int, cursor *string, keys int) page {
	p := page{limit: defaultPageSize, after: make([]string, keys)}
	if limit != nil {
		p.limit = *limit
	}
	if p.limit < 1 || p.limit > maxPageSize {
		in.refuse(invalid("limit", "a whole number from 1 to 1000", strconv.Itoa(p.limit), "limit is outside of 1 to %d",
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
	p.after = after
	return p
}

// writePage answers with the page of rows that query reads, unless the input has faults. query asks for one row more
// than the page holds. Where that row is there, so is another page, and the answer has its cursor.
func writePage[T, B any](w http.ResponseWriter, in *input, p page, query func() ([]T, error), body func(T) B,
	key func(T) []string,
) error {
	if err := in.done(); err != nil {
		return err
	}
	rows, err := query()
	if err != nil {
		return err
	}
	out := struct {
		Data       []B     `json:"data"`
		NextCursor *string `json:"next_cursor"`
	}{Data: []B{}}
	if len(rows) > p.limit {
		rows = rows[:p.limit]
		b, _ := json.Marshal(key(rows[p.limit-1])) // strings always marshal
		out.NextCursor = orNull(base64.RawURLEncoding.EncodeToString(b))
	}
	for _, row := range rows {
		out.Data = append(out.Data, body(row))
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}
