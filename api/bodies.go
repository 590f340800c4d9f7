package api

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/klauspost/compress/gzhttp"
)

// Bounds of a request's head and body.
const (
	// bodyIdle is how long the next bytes of a body may take, and bodyWhole how long all of it: a file of the largest
	// size comes in time at 1 Mbit a second.
	bodyIdle  = 15 * time.Second
	bodyWhole = 30 * time.Minute
	// bodyOfRefused is how long a refused caller may take to send the rest of a body that nobody reads. In time, the
	// connection can be used again.
	bodyOfRefused = 200 * time.Millisecond
	// maxHeaderBytes bounds the names and values of a request's header.
	maxHeaderBytes = 64 << 10
)

// timedBody is a request's body that must come in time: a caller that sends half of it and waits must not hold a
// connection for ever.
type timedBody struct {
	io.ReadCloser
	rc    *http.ResponseController
	until time.Time
	ended bool
}

// Read implements io.Reader.
func (b *timedBody) Read(p []byte) (int, error) {
	b.within(bodyIdle)
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) && !b.ended {
		b.ended = true
		_ = b.rc.SetReadDeadline(time.Time{}) // the server goes on listening whether the caller hangs up
	}
	return n, err
}

// within lets the body's next bytes take so long at most.
func (b *timedBody) within(d time.Duration) {
	if !b.ended {
		until := time.Now().Add(d)
		if until.After(b.until) {
			until = b.until
		}
		_ = b.rc.SetReadDeadline(until) // what cannot do this (a test's recorder) has no connection to hold
	}
}

// TimeBodies lets the bodies of requests take a bounded time only.
func TimeBodies(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 && r.Body != nil && r.Body != http.NoBody {
			body := &timedBody{ReadCloser: r.Body, rc: http.NewResponseController(w), until: time.Now().Add(bodyWhole)}
			body.within(bodyIdle) // also where no handler reads it: the server does, before it answers
			r.Body = body
		}
		next.ServeHTTP(w, r)
	})
}

// tooSlow is the error of a body that did not come in time, nil for any other error.
func tooSlow(err error) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return invalid("", "the whole body", "a part of it", "The body did not come: nothing for %s, or not whole within %s",
		bodyIdle, bodyWhole).because(err)
}

// compressed answers with gzip where the caller takes it and there is enough to gain.
func compressed(next http.Handler) http.Handler { return gzhttp.GzipHandler(next) }

// boundHeaders refuses a request whose header is too large. The server's own bound is 1 MB, and its answer has no body
// of ours.
func boundHeaders(s *server) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			size := len(r.URL.RequestURI())
			for name, values := range r.Header {
				for _, v := range values {
					size += len(name) + len(v)
				}
			}
			if size > maxHeaderBytes {
				s.fail(w, r, newError(http.StatusRequestHeaderFieldsTooLarge, "The header is larger than %d bytes",
					maxHeaderBytes).at("", "at most 65536 bytes", "more"))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}
