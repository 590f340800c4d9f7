package api

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

const (
	defaultPageSize = 100
	maxPageSize     = 1000
)

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
			return invalid(clip(name), expected, name, "The query parameter %q is not known; here they are: %s", clip(name),
				expected)
		}
		if len(v) > 1 {
			return invalid(name, "the parameter once", strings.Join(v, ", "), "The query parameter %s is given %d times", name,
				len(v))
		}
	}
	return nil
}

// filter is an optional query parameter: empty when absent, else through its check.
func filter[T ~string](name string, v *string, f func(string) (T, *fault)) (string, error) {
	if v == nil {
		return "", nil
	}
	out, bad := f(*v)
	if bad != nil {
		return "", bad.as400(name, *v)
	}
	return string(out), nil
}

func textFilter(name string, v *string) (string, error) {
	return filter(name, v, func(v string) (string, *fault) { return v, checkText(v) })
}

// page is where a list goes on and how much of it is wanted. after holds the sorting key of the last item seen.
type page struct {
	limit int
	after []string
}

// readPage reads limit and cursor. keys is how many values the list's sorting key has.
func readPage(limit *int, cursor *string, keys int) (page, error) {
	p := page{limit: defaultPageSize, after: make([]string, keys)}
	if limit != nil {
		if *limit < 1 || *limit > maxPageSize {
			return p, invalid("limit", "a whole number from 1 to 1000", strconv.Itoa(*limit), "limit is outside of 1 to %d",
				maxPageSize)
		}
		p.limit = *limit
	}
	if cursor == nil {
		return p, nil
	}
	var after []string
	b, err := base64.RawURLEncoding.DecodeString(*cursor)
	if err == nil {
		err = json.Unmarshal(b, &after)
	}
	if err != nil || len(after) != keys || slices.ContainsFunc(after, func(v string) bool {
		return v != "" &&
			checkText(v) != nil
	}) {
		return p, invalid("cursor", "next_cursor of the page before", *cursor, "cursor is not one that this list gave out")
	}
	p.after = after
	return p, nil
}

// cut takes the extra item off that was read to see whether there is another page, and makes that page's cursor.
func cut[T any](items []T, p page, key func(T) []string) ([]T, *string) {
	if items == nil {
		items = []T{}
	}
	if len(items) <= p.limit {
		return items, nil
	}
	items = items[:p.limit]
	b, _ := json.Marshal(key(items[p.limit-1])) // strings always marshal
	cursor := base64.RawURLEncoding.EncodeToString(b)
	return items, &cursor
}
