package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/kasi-collections/kasi/api/read"
)

// The error codes of the API (CONTRACT 3), each with its one HTTP status.
const (
	codeValidation    = "VALIDATION_ERROR"
	codeUnauthorized  = "UNAUTHORIZED"
	codeNotFound      = "NOT_FOUND"
	codeMethod        = "METHOD_NOT_ALLOWED"
	codeConflict      = "CONFLICT"
	codeTooLarge      = "PAYLOAD_TOO_LARGE"
	codeMediaType     = "UNSUPPORTED_MEDIA_TYPE"
	codeUnprocessable = "UNPROCESSABLE"
	codeRateLimited   = "RATE_LIMITED"
	codeInternal      = "INTERNAL"
	codeUnavailable   = "UNAVAILABLE"
)

// retryAfterSeconds is what a 503 suggests.
const retryAfterSeconds = 5

// apiError is an error as the caller sees it. cause is for the log alone.
type apiError struct {
	status  int
	code    string
	message string
	details ErrorDetails
	cause   error
}

func (e *apiError) Error() string {
	if e.cause != nil {
		return e.code + ": " + e.cause.Error()
	}
	return e.code
}

func (e *apiError) Unwrap() error { return e.cause }

func newError(status int, code, format string, args ...any) *apiError {
	return &apiError{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

func (e *apiError) at(field, expected, received string) *apiError {
	e.details = ErrorDetails{Field: field, Expected: expected, Received: clip(received)}
	return e
}

func (e *apiError) because(err error) *apiError {
	e.cause = err
	return e
}

func invalid(field, expected, received, format string, args ...any) *apiError {
	return newError(http.StatusBadRequest, codeValidation, format, args...).at(field, expected, received)
}

func notFound(what, id string) *apiError {
	return newError(http.StatusNotFound, codeNotFound, "There is no %s with this id", what).at("id",
		"the id of a "+what+" of yours", id)
}

func conflict(format string, args ...any) *apiError {
	return newError(http.StatusConflict, codeConflict, format, args...)
}

// unavailable is a 503 with its reason: CONTRACT 3 wants the caller to hear why.
func unavailable(err error, format string, args ...any) *apiError {
	e := newError(http.StatusServiceUnavailable, codeUnavailable, format, args...).because(err)
	if err != nil {
		e.message += ": " + err.Error()
	}
	return e
}

func tooLarge(limit int64) *apiError {
	return newError(http.StatusRequestEntityTooLarge, codeTooLarge, "The body is larger than %d bytes", limit).
		at("", "at most "+strconv.FormatInt(limit, 10)+" bytes", "more")
}

// asAPIError is the one place that maps errors to HTTP.
func asAPIError(err error) *apiError {
	var known *apiError
	var large *http.MaxBytesError
	var db *read.Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &large):
		return tooLarge(large.Limit)
	case errors.As(err, &db) && db.Busy:
		return newError(http.StatusServiceUnavailable, codeUnavailable,
			"ClickHouse has too much to do; try again").because(err)
	case errors.As(err, &db) && !db.Refused:
		return newError(http.StatusServiceUnavailable, codeUnavailable,
			"ClickHouse cannot be reached; try again").because(err)
	}
	return newError(http.StatusInternalServerError, codeInternal,
		"A fault of the server, logged under the request id").because(err)
}

// fail writes an error in the shape of CONTRACT 3 and logs what is not the caller's doing.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := asAPIError(err)
	info := infoOf(r.Context())
	if e.status >= http.StatusInternalServerError && r.Context().Err() == nil {
		s.log.LogAttrs(r.Context(), slog.LevelError, "request failed", slog.String("request_id", info.requestID),
			slog.String("tenant", info.tenant), slog.Int("status", e.status), slog.Any("error", e))
	}
	if e.status == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfterSeconds))
	}
	w.Header().Del("Content-Disposition")
	writeJSON(w, e.status, ErrorBody{Error: ErrorInfo{
		Code: e.code, Message: e.message, Details: e.details,
		RequestID: info.requestID,
	}})
}

func (s *server) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch} {
		if routes := chi.RouteContext(r.Context()).Routes; routes != nil && routes.Match(chi.NewRouteContext(), method,
			r.URL.Path) {
			allowed = append(allowed, method)
		}
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	s.fail(w, r, newError(http.StatusMethodNotAllowed, codeMethod, "%s is not possible here", clip(r.Method)).
		at("method", strings.Join(allowed, ", "), r.Method))
}

// badParameter answers what the generated code could not read as the parameter's type.
func (s *server) badParameter(w http.ResponseWriter, r *http.Request, err error) {
	field, expected := "", "one readable value"
	var format *InvalidParamFormatError
	var missing *RequiredParamError
	switch {
	case errors.As(err, &format):
		field = format.ParamName
		if field == "limit" {
			expected = "a whole number from 1 to 1000"
		}
	case errors.As(err, &missing):
		field, expected = missing.ParamName, "the parameter"
	}
	received := strings.Join(r.URL.Query()[field], ", ")
	s.fail(w, r, invalid(field, expected, received, "The parameter %s is missing or not readable", field))
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil { // unreachable: all bodies are the generated types
		status, b = http.StatusInternalServerError,
			[]byte(`{"error":{"code":"INTERNAL","message":"answer cannot be written","details":{},"request_id":""}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

// clip keeps what is echoed to the caller short and valid UTF-8.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if runes := []rune(s); len(runes) > 100 {
		return string(runes[:100]) + "..."
	}
	return s
}
