package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// input is a JSON object, or a query string, being read strictly. The first fault found stays in err. Checks after it
// do nothing, so a handler is a flat list of checks in the order in which a caller should hear of them.
type input struct {
	fields map[string]json.RawMessage
	err    *apiError
}

// readInput reads the body as one JSON object with no fields but the known ones, none of them twice, and nothing after
// it. encoding/json alone would take the last of two equal fields, any case of a name, and U+FFFD for bytes that are no
// UTF-8.
func readInput(w http.ResponseWriter, r *http.Request, known ...string) (*input, error) {
	if err := wantMediaType(r, "application/json"); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxJSONBytes))
	if err != nil {
		return nil, bodyError(err)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, invalid("", "a JSON object", "nothing", "The body is empty")
	}
	if !utf8.Valid(body) {
		return nil, invalid("", "JSON in UTF-8", "other bytes", "The body is not UTF-8")
	}
	fields, err := readObject(body, known)
	if err != nil {
		return nil, err
	}
	return &input{fields: fields}, nil
}

func readObject(body []byte, known []string) (map[string]json.RawMessage, error) {
	malformed := func(err error) error {
		return invalid("", "a JSON object", "", "The body is not one JSON object: %s", jsonReason(err))
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	open, err := dec.Token()
	if err != nil {
		return nil, malformed(err)
	}
	if open != json.Delim('{') {
		return nil, invalid("", "a JSON object", kindOf(bytes.TrimSpace(body)), "The body is %s; expected an object",
			kindOf(bytes.TrimSpace(body)))
	}
	fields := map[string]json.RawMessage{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, malformed(err)
		}
		name, _ := token.(string) // a key is always a string
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, malformed(err)
		}
		if !slices.Contains(known, name) {
			return nil, invalid(clip(name), strings.Join(known, ", "), name, "The field %q is not known; the fields are %s",
				clip(name), strings.Join(known, ", "))
		}
		if _, twice := fields[name]; twice {
			return nil, invalid(name, "the field once", "twice", "The field %s is given twice", name)
		}
		fields[name] = value
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return nil, malformed(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("", "one JSON object", "more text after it", "The body goes on after the JSON object")
	}
	return fields, nil
}

func jsonReason(err error) string {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it ends too early"
	case errors.As(err, &syntax):
		return fmt.Sprintf("%s at byte %d", syntax.Error(), syntax.Offset)
	}
	return "it cannot be read"
}

func wantMediaType(r *http.Request, want string) error {
	received := r.Header.Get("Content-Type")
	got, params, err := mime.ParseMediaType(received)
	charset := strings.ToLower(params["charset"])
	if err != nil || got != want || charset != "" && charset != "utf-8" {
		return newError(http.StatusUnsupportedMediaType, codeMediaType, "The content type must be %s",
			want).at("Content-Type", want, received)
	}
	return nil
}

func bodyError(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return err
	}
	return invalid("", "the whole body", "a part of it", "The body broke off").because(err)
}

// The JSON types that fields have.
const (
	aString  = "a string"
	aNumber  = "a number"
	aBoolean = "a boolean"
)

// kindOf names the JSON type of a value.
func kindOf(raw []byte) string {
	switch {
	case len(raw) == 0:
		return "nothing"
	case raw[0] == '"':
		return aString
	case raw[0] == '{':
		return "an object"
	case raw[0] == '[':
		return "an array"
	case raw[0] == 't' || raw[0] == 'f':
		return aBoolean
	case raw[0] == 'n':
		return "null"
	}
	return aNumber
}

func (in *input) refuse(err *apiError) {
	if in.err == nil {
		in.err = err
	}
}

// done is the first fault, or nil.
func (in *input) done() error {
	if in.err != nil {
		return in.err
	}
	return nil
}

// raw finds a field; null counts as absent.
func (in *input) raw(name string, required bool, expected string) (json.RawMessage, bool) {
	v, ok := in.fields[name]
	if in.err != nil {
		return nil, false
	}
	if !ok || string(v) == "null" {
		if required {
			received := "nothing"
			if ok {
				received = "null"
			}
			in.refuse(invalid(name, expected, received, "%s is missing", name))
		}
		return nil, false
	}
	return v, true
}

func (in *input) wrongType(name, expected string, raw json.RawMessage) {
	in.refuse(invalid(name, expected, string(raw), "%s is %s; expected %s", name, kindOf(raw), expected))
}

// halfSurrogate tells whether encoding/json has put U+FFFD in place of a lone \uD800 to \uDFFF: then different texts
// would become equal ids.
func halfSurrogate(raw json.RawMessage, v string) bool {
	const replacement = "\uFFFD"
	return strings.Count(v, replacement) > strings.Count(string(raw),
		replacement)+strings.Count(strings.ToLower(string(raw)), `\ufffd`)
}

// value reads a field of a kind as text: a string without its quotes, a number or boolean as it is written. ok tells
// whether the field is there.
func (in *input) value(name string, required bool, kind, expected string) (v string, ok bool) {
	raw, ok := in.raw(name, required, expected)
	switch {
	case !ok:
	case kind != aString && kindOf(raw) == kind:
		return string(raw), true
	case kind != aString:
		in.wrongType(name, expected, raw)
	case raw[0] != '"' || json.Unmarshal(raw, &v) != nil:
		in.wrongType(name, "a string: "+expected, raw)
	case halfSurrogate(raw, v):
		in.refuse(invalid(name, expected, string(raw), "%s holds half of a surrogate pair, which is no character", name))
	default:
		return v, true
	}
	return "", false
}

// check reads a field through one of the check functions.
func check[T any](in *input, name string, required bool, kind, expected string,
	f func(string) (T, *fault),
) (out T, ok bool) {
	v, ok := in.value(name, required, kind, expected)
	if !ok {
		return out, false
	}
	out, bad := f(v)
	if bad != nil {
		in.refuse(bad.as400(name, v))
	}
	return out, bad == nil
}

// texts reads an array of at least one text. Absent is nil.
func (in *input) texts(name string) []string {
	const expected = "an array of at least one policy number"
	raw, ok := in.raw(name, false, expected)
	if !ok {
		return nil
	}
	var items []json.RawMessage
	if raw[0] != '[' || json.Unmarshal(raw, &items) != nil {
		in.wrongType(name, expected, raw)
		return nil
	}
	if len(items) == 0 {
		in.refuse(invalid(name, expected, "[]", "%s is empty; leave it out to mean all active policies", name))
		return nil
	}
	out := make([]string, 0, len(items))
	for i, item := range items {
		field := fmt.Sprintf("%s[%d]", name, i)
		one := &input{fields: map[string]json.RawMessage{field: item}}
		text, _ := check(one, field, true, aString, expectedText, asText)
		out = append(out, text)
		if one.err != nil {
			in.refuse(one.err)
			return nil
		}
	}
	return out
}
