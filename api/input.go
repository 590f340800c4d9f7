package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// input is a JSON object, or a query string, being read strictly. The first fault found stays in err. Checks after it
// do nothing, so a handler is a flat list of checks in the order in which a caller should hear of them.
type input struct {
	fields map[string]json.RawMessage
	err    error
}

// readInput reads the body as one JSON object with no fields but the known ones, none of them twice, and nothing after
// it. encoding/json alone would take the last of two equal fields, any case of a name, and U+FFFD for bytes that are no
// UTF-8.
func readInput(w http.ResponseWriter, r *http.Request, known ...string) *input {
	body, err := readBody(w, r)
	if err != nil {
		return &input{err: err}
	}
	fields, err := readObject(body, known)
	return &input{fields, err}
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if err := wantMediaType(r, "application/json"); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxJSONBytes))
	switch {
	case err != nil:
		return nil, bodyError(err)
	case len(bytes.TrimSpace(body)) == 0:
		return nil, invalid("", "a JSON object", "nothing", "The body is empty")
	case !utf8.Valid(body):
		return nil, invalid("", "JSON in UTF-8", "other bytes", "The body is not UTF-8")
	}
	return body, nil
}

// bodyError is the error of a body that could not be read to its end.
func bodyError(err error) error {
	var files *os.PathError
	if errors.As(err, new(*http.MaxBytesError)) || errors.As(err, &files) {
		return err
	}
	if slow := tooSlow(err); slow != nil {
		return slow
	}
	return invalid("", "the whole body", "a part of it", "The body broke off").because(err)
}

func readObject(body []byte, known []string) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	open, err := dec.Token()
	if err != nil {
		return nil, malformed(err)
	}
	if kind := kindOf(bytes.TrimSpace(body)); open != json.Delim('{') {
		return nil, invalid("", "a JSON object", kind, "The body is %s; expected an object", kind)
	}
	expected := strings.Join(known, ", ")
	fields := map[string]json.RawMessage{}
	for dec.More() {
		token, err := dec.Token()
		var value json.RawMessage
		if err == nil {
			err = dec.Decode(&value)
		}
		if err != nil {
			return nil, malformed(err)
		}
		name, _ := token.(string) // a key is always a string
		if !slices.Contains(known, name) {
			return nil, invalid(
				clip(name),
				expected,
				name,
				"The field %q is not known; the fields are %s",
				clip(name),
				expected,
			)
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

func malformed(err error) error {
	reason := "it cannot be read"
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		reason = fmt.Sprintf("%s at byte %d", syntax.Error(), syntax.Offset)
	} else if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		reason = "it ends too early"
	}
	return invalid("", "a JSON object", "", "The body is not one JSON object: %s", reason)
}

func wantMediaType(r *http.Request, want string) error {
	received := r.Header.Get("Content-Type")
	got, params, err := mime.ParseMediaType(received)
	charset := strings.ToLower(params["charset"])
	if err != nil || got != want || charset != "" && charset != "utf-8" {
		return newError(http.StatusUnsupportedMediaType, "The content type must be %s", want).
			at("Content-Type", want, received)
	}
	return nil
}

// The JSON types that fields have.
const (
	jsonString = "a string"
	jsonNumber = "a number"
	jsonBool   = "a boolean"
)

// kindOf names the JSON type of a value by its first byte.
func kindOf(raw []byte) string {
	switch raw[0] {
	case '"':
		return jsonString
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return jsonBool
	case 'n':
		return "null"
	}
	return jsonNumber
}

func (in *input) refuse(err error) { in.err = cmp.Or(in.err, err) }

// raw finds a field; null counts as absent.
func (in *input) raw(name string, required bool, expected string) (json.RawMessage, bool) {
	v, ok := in.fields[name]
	if in.err != nil {
		return nil, false
	}
	if !ok || string(v) == "null" {
		if required {
			in.refuse(invalid(name, expected, cmp.Or(string(v), "nothing"), "%s is missing", name))
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
	written := strings.ToLower(string(raw))
	return strings.Count(v, "\uFFFD") > strings.Count(written, "\uFFFD")+strings.Count(written, `\ufffd`)
}

// value reads a field of a kind as text: a string without its quotes, a number or boolean as it is written. ok tells
// whether the field is there.
func (in *input) value(name string, required bool, kind, expected string) (v string, ok bool) {
	raw, ok := in.raw(name, required, expected)
	switch {
	case !ok:
	case kind != jsonString && kindOf(raw) == kind:
		return string(raw), true
	case kind != jsonString:
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

// check reads a field of a kind.
func check[T any](in *input, name string, required bool, k kind[T]) (out T, ok bool) {
	v, ok := in.value(name, required, k.json, k.expected)
	if !ok {
		return out, false
	}
	out, bad := k.check(v)
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
	} else if len(items) == 0 {
		in.refuse(invalid(name, expected, "[]", "%s is empty; leave it out to mean all active policies", name))
	}
	out := make([]string, len(items))
	for i, item := range items {
		field := fmt.Sprintf("%s[%d]", name, i)
		one := &input{fields: map[string]json.RawMessage{field: item}, err: in.err}
		out[i], _ = check(one, field, true, aText)
		in.err = one.err
	}
	return out
}
