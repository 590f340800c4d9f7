package console

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
)

// maxNote bounds a form.
const maxNote = 1 << 14

// act makes a handler that has the API carry out the call of the same address, with the form's text as a field, and
// then leads back to a page. Whatever the API refuses is shown in its own words.
func (c *console) act(field, back string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := r.Context().Value(visitKey{}).(*visit)
		r.Body = http.MaxBytesReader(w, r.Body, maxNote)
		var body []byte
		if text := strings.TrimSpace(r.PostFormValue("text")); text != "" {
			body, _ = json.Marshal(map[string]string{field: text}) // texts always marshal
		}
		answer := c.call(r, v, body)
		if answer.status >= http.StatusBadRequest {
			c.fail(w, v, answer.status, answer.message())
			return
		}
		to := back
		if strings.HasSuffix(to, "/") {
			to += chi.URLParam(r, "id")
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
	}
}

// call asks the API for the address of a request under /v1.
func (c *console) call(r *http.Request, v *visit, body []byte) *answer {
	req := r.Clone(r.Context())
	req.URL.Path = "/v1" + r.URL.Path
	req.RequestURI = req.URL.RequestURI()
	req.Header = http.Header{"X-Api-Key": {v.key}, "Content-Type": {"application/json"}}
	req.Body, req.ContentLength = http.NoBody, int64(len(body))
	if len(body) > 0 {
		req.Body = readCloser{bytes.NewReader(body)}
	}
	a := &answer{header: http.Header{}, status: http.StatusOK}
	c.API.ServeHTTP(a, req)
	return a
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

// answer takes what the API writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

// message is why the API refused.
func (a *answer) message() string {
	var refused struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(a.body.Bytes(), &refused) != nil || refused.Error.Message == "" {
		return http.StatusText(a.status)
	}
	return refused.Error.Message
}
