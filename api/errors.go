package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/kasi-collections/kasi/api/read"
)

// codes are the error codes of the API (CONTRACT 3). Each status has one.
var codes = map[int]string{
	http.StatusBadRequest:                  "VALIDATION_ERROR",
	http.StatusUnauthorized:                "UNAUTHORIZED",
	http.StatusForbidden:                   "FORBIDDEN",
	http.StatusNotFound:                    "NOT_FOUND",
	http.StatusMethodNotAllowed:            "METHOD_NOT_ALLOWED",
	http.StatusConflict:                    "CONFLICT",
	http.StatusPreconditionFailed:          "PRECONDITION_FAILED",
	http.StatusRequestEntityTooLarge:       "PAYLOAD_TOO_LARGE",
	http.StatusUnsupportedMediaType:        "UNSUPPORTED_MEDIA_TYPE",
	http.StatusUnprocessableEntity:         "UNPROCESSABLE",
	http.StatusTooManyRequests:             "RATE_LIMITED",
	http.StatusRequestHeaderFieldsTooLarge: "HEADER_TOO_LARGE",
	http.StatusInternalServerError:         "INTERNAL",
	http.StatusServiceUnavailable:          "UNAVAILABLE",
}

// apiError is an error as the caller sees it. cause is for the log alone.
type apiError struct {
	status  int
	code    string // where it is not the status's own
	message string
	details ErrorDetails
	cause   error
}

func (e *apiError) Error() string {
	if e.cause != nil {
		return cmp.Or(e.code, codes[e.status]) + ": " + e.cause.Error()
	}
	return cmp.Or(e.code, codes[e.status])
}

func (e *apiError) Unwrap() error { return e.cause }

func newError(status int, format string, args ...any) *apiError {
	return &apiError{status: status, message: fmt.Sprintf(format, args...)}
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
	return newError(http.StatusBadRequest, format, args...).at(field, expected, received)
}

func notFound(what, id string) *apiError {
	return newError(http.StatusNotFound, "There is no %s with this id", what).at("id", "the id of a "+what+" of yours", id)
}

func conflict(format string, args ...any) *apiError {
	return newError(http.StatusConflict, format, args...)
}

// unavailable is a 503 with its reason: CONTRACT 3 wants the caller to hear why.
func unavailable(err error, format string, args ...any) *apiError {
	return newError(http.StatusServiceUnavailable, format+": %s", append(args, err)...).because(err)
}

func tooLarge(limit int64) *apiError {
	return newError(http.StatusRequestEntityTooLarge, "The body is larger than %d bytes", limit).
		at("", fmt.Sprintf("at most %d bytes", limit), "more")
}

// asAPIError is the one place that maps errors to HTTP.
func asAPIError(err error) *apiError {
	var known *apiError
	var large *http.MaxBytesError
	var db *read.Error
	status, message := http.StatusInternalServerError, "A fault of the server, logged under the request id"
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &large):
		return tooLarge(large.Limit)
	case errors.As(err, &db) && db.Busy:
		status, message = http.StatusServiceUnavailable, "ClickHouse has too much to do; try again"
	case errors.As(err, &db) && db.Lacking:
		status, message = http.StatusServiceUnavailable,
			"ClickHouse lacks a table, which the sink makes and fills again; try again"
	case errors.As(err, &db) && !db.Refused:
		status, message = http.StatusServiceUnavailable, "ClickHouse cannot be reached; try again"
	}
	return (&apiError{status: status, message: message}).because(err)
}

// fail writes an error in the shape of CONTRACT 3 and logs what is not the caller's doing.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	e, info := asAPIError(err), infoOf(r.Context())
	if e.status >= http.StatusInternalServerError && r.Context().Err() == nil {
		s.Log.LogAttrs(r.Context(), slog.LevelError, "request failed", slog.String("request_id", info.requestID),
			slog.String("tenant", info.tenant), slog.Int("status", e.status), slog.Any("error", e))
	}
	if e.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5") // seconds
	}
	if info.body != nil {
		info.body.within(bodyOfRefused)
	}
	info.code = cmp.Or(e.code, codes[e.status])
	w.Header().Del("Content-Disposition")
	writeJSON(w, e.status, ErrorBody{Error: ErrorInfo{
		Code: info.code, Message: e.message, Details: e.details, RequestID: info.requestID,
	}})
}

// methodNotAllowed answers with the methods that there are: HEAD wherever GET is.
func (s *server) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	var methods []string
	for _, method := range []string{
		http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	} {
		if !chi.RouteContext(r.Context()).Routes.Match(chi.NewRouteContext(), method, r.URL.Path) {
			continue
		}
		methods = append(methods, method)
		if method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	s.refuseMethod(w, r, methods)
}

func (s *server) refuseMethod(w http.ResponseWriter, r *http.Request, methods []string) {
	allowed := strings.Join(methods, ", ")
	w.Header().Set("Allow", allowed)
	s.fail(w, r, newError(http.StatusMethodNotAllowed, "%s is not possible here", clip(r.Method)).
		at("method", allowed, r.Method))
}

// postOnly keeps other methods from the paths that are an object's by their form, such as GET /policies/import: there
// is no policy "import".
func (s *server) postOnly(paths ...string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if slices.Contains(paths, r.URL.Path) && r.Method != http.MethodPost {
				s.refuseMethod(w, r, []string{http.MethodPost})
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// badParameter answers what the generated code could not read as the parameter's type.
func (s *server) badParameter(w http.ResponseWriter, r *http.Request, err error) {
	field, expected := "", "one readable value"
	var format *InvalidParamFormatError
	var missing *RequiredParamError
	if errors.As(err, &missing) {
		field, expected = missing.ParamName, "the parameter"
	} else if errors.As(err, &format) {
		field = format.ParamName
	}
	if field == "limit" {
		expected = "a whole number from 1 to 1000"
	}
	received := strings.Join(r.URL.Query()[field], ", ")
	s.fail(w, r, invalid(field, expected, received, "The parameter %s is missing or not readable", field))
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err) // unreachable: all bodies are the generated types
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
