package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/google/uuid"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

const (
	keyHeader    = "Idempotency-Key"
	replayHeader = "Idempotency-Replayed"
	maxKeyLength = 255
)

// KeyedCall is a call with an Idempotency-Key that has begun.
type KeyedCall interface {
	// First is the first answer; nil where the call is ours to carry out. Then Done or Free must be called.
	First() *schemas.KeyedAnswer
	// Tried tells since when the key is in use, and whether an earlier try may have been carried out.
	Tried() (since time.Time, again bool)
	// Done keeps the answer; Free lets another call with the key be carried out.
	Done(ctx context.Context, answer schemas.KeyedAnswer) error
	Free(ctx context.Context) error
}

// once carries out a POST or PATCH with an Idempotency-Key at most once: whoever sends it again gets the first answer.
// The caller may hang up: the call is carried out to its end, and its answer kept. What is not final (a 5xx, a limit)
// is not kept. The next try then goes under the same command id, so that the pipeline's outcome of the first is found.
func (s *server) once(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys := r.Header.Values(keyHeader)
		if len(keys) == 0 || s.Begin == nil || r.Method != http.MethodPost && r.Method != http.MethodPatch {
			next.ServeHTTP(w, r)
			return
		}
		body, err := s.keyed(w, r, keys)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		defer body.remove()
		info := infoOf(r.Context())
		call, err := s.Begin(r.Context(), info.tenant, keys[0], body.stands)
		if err != nil {
			s.fail(w, r, notBegun(w, keys[0], err))
			return
		}
		if first := call.First(); first != nil {
			answer := *first
			if s.showsSecret(r) {
				if answer.Body, err = s.Webhooks.Unseal(answer.Body); err != nil {
					s.fail(w, r, err)
					return
				}
			}
			w.Header().Set(replayHeader, "true")
			if answer.Status >= http.StatusBadRequest {
				info.code = codes[answer.Status]
			}
			send(w, answer)
			return
		}
		s.carryOut(w, r, next, call, keys[0], body)
	})
}

// keyed checks the key and reads the body whole.
func (s *server) keyed(w http.ResponseWriter, r *http.Request, keys []string) (*spooled, error) {
	key := keys[0]
	visible := func(c rune) bool { return c >= ' ' && c <= '~' }
	if len(keys) > 1 || key == "" || len(key) > maxKeyLength || strings.TrimFunc(key, visible) != "" ||
		strings.ContainsFunc(key, func(c rune) bool { return !visible(c) }) {
		return nil, invalid(keyHeader, fmt.Sprintf("one key of 1 to %d visible ASCII characters", maxKeyLength),
			strings.Join(keys, ", "), "The header %s is not one key", keyHeader)
	}
	limit := int64(maxJSONBytes)
	if isImport(r) {
		limit = s.MaxImportBytes + multipartOverhead
	}
	return spool(w, r, limit)
}

func isImport(r *http.Request) bool {
	return chi.RouteContext(r.Context()).RoutePattern() == "/v1/policies/import"
}

// showsSecret tells of calls whose answer must not be readable where it is kept.
func (s *server) showsSecret(r *http.Request) bool {
	return s.Webhooks != nil && strings.HasPrefix(r.URL.Path, "/v1/webhooks")
}

// notBegun is the answer to a call whose key cannot be taken.
func notBegun(w http.ResponseWriter, key string, err error) error {
	var running *schemas.StillRunning
	switch {
	case errors.Is(err, schemas.ErrOtherBody):
		return newError(http.StatusUnprocessableEntity,
			"This Idempotency-Key has been used for another call; use a new key for a new call").
			at(keyHeader, "the same call, or a new key", key).because(err)
	case errors.As(err, &running):
		q := quota{wait: running.After}
		w.Header().Set("Retry-After", fmt.Sprint(wholeSeconds(q.wait)))
		return conflict("A call with this Idempotency-Key is still running; ask again for its answer").
			at(keyHeader, "a call that has ended", key).because(err)
	}
	return unavailable(err, "The Idempotency-Key could not be looked up, and nothing was done")
}

// carryOut runs the call and keeps its answer.
func (s *server) carryOut(w http.ResponseWriter, r *http.Request, next http.Handler, call KeyedCall, key string,
	body *spooled,
) {
	ctx := context.WithoutCancel(r.Context()) // the answer is kept, whatever becomes of the caller
	info := infoOf(ctx)
	since, again := call.Tried()
	info.again, info.since = again, since
	if !isImport(r) { // rows that come again change nothing; an import is told of its own
		info.command = schemas.FactID("call", info.tenant, key, since.UTC().Format(time.RFC3339Nano))
		info.db = read.New(s.DB, info.tenant, info.command)
	}
	r = r.WithContext(ctx)
	r.Body, r.ContentLength = body.reader(), body.size
	kept := &recorder{header: w.Header().Clone()}
	ended := false
	defer func() {
		if !ended { // a panic
			_ = call.Free(ctx)
		}
	}()
	out := middleware.NewWrapResponseWriter(kept, 1)
	next.ServeHTTP(out, r)
	ended = true
	answer := kept.answer()
	var err error
	if final(answer.Status) {
		kept := answer
		if s.showsSecret(r) {
			kept.Body = s.Webhooks.Seal(kept.Body)
		}
		err = call.Done(ctx, kept)
	} else {
		err = call.Free(ctx)
	}
	if err != nil {
		s.Log.LogAttrs(ctx, slog.LevelWarn, "the answer to a call with an Idempotency-Key could not be kept",
			slog.String("request_id", info.requestID), slog.String("tenant", info.tenant), slog.Any("error", err))
	}
	send(w, answer)
}

// final tells whether an answer is given again. A fault, and a limit that is over in a while, are not.
func final(status int) bool {
	return status < http.StatusInternalServerError && status != http.StatusTooManyRequests
}

func send(w http.ResponseWriter, a schemas.KeyedAnswer) {
	for name, value := range a.Header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body)
}

// recorder holds an answer instead of sending it.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (k *recorder) Header() http.Header { return k.header }
func (k *recorder) WriteHeader(status int) {
	if k.status == 0 {
		k.status = status
	}
}

func (k *recorder) Write(b []byte) (int, error) {
	k.WriteHeader(http.StatusOK)
	return k.body.Write(b)
}

// answer is what is kept: not the headers of one request, such as limits and its id.
func (k *recorder) answer() schemas.KeyedAnswer {
	a := schemas.KeyedAnswer{Status: k.status, Header: map[string]string{}, Body: k.body.Bytes()}
	for _, name := range []string{"Content-Type", "Location", "ETag", "Retry-After"} {
		if v := k.header.Get(name); v != "" {
			a.Header[name] = v
		}
	}
	return a
}

// newID is an id for what a call makes: the same one however often the call is tried under its Idempotency-Key. It
// holds when the call was made.
func (i *requestInfo) newID() string {
	id := uuid.Must(uuid.NewV7())
	if i.command != i.requestID {
		sum := sha256.Sum256([]byte(i.command))
		for b := range 6 { // milliseconds
			id[b] = byte(i.since.UnixMilli() >> (40 - 8*b))
		}
		copy(id[6:], sum[:])
		id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	}
	return id.String()
}

// spooled is a body that was read whole: a small one in memory, a large one in a file.
type spooled struct {
	small  []byte
	file   *os.File
	size   int64
	stands [sha256.Size]byte // for the call: its method, path, query, type and body
}

// spool reads a body of at most limit bytes.
func spool(w http.ResponseWriter, r *http.Request, limit int64) (_ *spooled, err error) {
	s := &spooled{}
	defer func() {
		if err != nil {
			s.remove()
		}
	}()
	in := http.MaxBytesReader(w, r.Body, limit)
	if s.small, err = io.ReadAll(io.LimitReader(in, maxJSONBytes)); err == nil && len(s.small) == maxJSONBytes {
		err = s.spill(in)
	}
	if s.size == 0 {
		s.size = int64(len(s.small))
	}
	if err != nil {
		return nil, bodyError(err)
	}
	s.stands, err = standsFor(r, s.reader())
	return s, err
}

// spill moves the body to a file, with what follows.
func (s *spooled) spill(rest io.Reader) (err error) {
	if s.file, err = os.CreateTemp("", "kasi-body-*"); err != nil {
		return fmt.Errorf("a body cannot be kept until it is whole: %w", err)
	}
	s.size, err = io.Copy(s.file, io.MultiReader(bytes.NewReader(s.small), rest))
	s.small = nil
	return err
}

func (s *spooled) reader() io.ReadCloser {
	if s.file != nil {
		return io.NopCloser(io.NewSectionReader(s.file, 0, s.size))
	}
	return io.NopCloser(bytes.NewReader(s.small))
}

func (s *spooled) remove() {
	if s.file != nil {
		_ = s.file.Close()
		_ = os.Remove(s.file.Name())
	}
}

// standsFor is a hash of a call. Of a form its parts count, not the boundary between them, which clients draw anew each
// time; of JSON its content, not how it is written down.
func standsFor(r *http.Request, body io.Reader) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	fmt.Fprintf(h, "%q %q %q ", r.Method, r.URL.RequestURI(), kind)
	switch {
	case strings.HasSuffix(kind, "json"):
		var text []byte
		if text, err = io.ReadAll(body); err == nil {
			h.Write(canonical(text))
		}
	case params["boundary"] == "" || !parts(h, r, body, params["boundary"]):
		_, err = io.Copy(h, body)
	}
	return [sha256.Size]byte(h.Sum(nil)), err
}

// canonical is JSON without white space and with the members of its objects in order. What would say something else
// then, or is no JSON, stays as it is: whoever carries the call out says what is wrong with it.
func canonical(text []byte) []byte {
	var content any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if dec.Decode(&content) != nil {
		return text
	}
	out, err := json.Marshal(content)
	if err != nil || tokens(out) != tokens(text) || bytes.ContainsRune(out, utf8.RuneError) {
		return text // a member twice, something behind it, or what is no character
	}
	return out
}

// tokens counts the tokens of a JSON text; negative where it is none.
func tokens(text []byte) (n int) {
	for dec := json.NewDecoder(bytes.NewReader(text)); ; n++ {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			return n
		} else if err != nil {
			return -1
		}
	}
}

// parts adds the parts of a form, as far as it can be read: whoever carries the call out says what is wrong with it.
func parts(h hash.Hash, r *http.Request, body io.Reader, boundary string) bool {
	if r.Header.Get("Content-Encoding") == "gzip" {
		packed, err := gzip.NewReader(body)
		if err != nil {
			return false
		}
		body = io.LimitReader(packed, maxUnpacked)
	}
	form := multipart.NewReader(body, boundary)
	for {
		part, err := form.NextPart()
		if err != nil {
			return true
		}
		fmt.Fprintf(h, "%q %q ", part.FormName(), part.FileName())
		n, _ := io.Copy(h, part)
		fmt.Fprintf(h, " %d ", n)
	}
}

// maxUnpacked bounds what is read of a packed form.
const maxUnpacked = 1 << 30
