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
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"cloud.google.com/go/civil"
	"golang.org/x/text/unicode/norm"

	"github.com/kasi-collections/kasi/schemas"
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

// The codes of errors in the rows of a file.
const (
	rowMissing     = "MISSING_VALUE"
	rowInvalid     = "INVALID_VALUE"
	rowAmount      = "INVALID_AMOUNT"
	rowEncoding    = "INVALID_ENCODING"
	rowColumnCount = "WRONG_COLUMN_COUNT"
	rowMalformed   = "MALFORMED_ROW"
	rowDuplicate   = "DUPLICATE_ROW"
)

const (
	maxTextBytes   = 128
	maxNoteBytes   = 1000
	expectedNote   = "1 to 1000 bytes of text"
	expectedText   = "1 to 128 bytes of text without control characters and without blanks around it"
	expectedAmount = "a number above 0 with at most two decimals, such as 150.00"
	expectedPeriod = "YYYY-MM, such as 2025-11"
	expectedDate   = "YYYY-MM-DD, such as 2025-11-12"
	expectedDay    = "a whole number from 1 to 31"
	expectedBool   = "true or false"
)

// kind is a kind of value: its type in JSON, what a caller is told to send, and its check, the same for JSON, CSV and
// query strings.
type kind[T any] struct {
	json, expected string
	check          func(v string) (T, *fault)
}

var (
	aText = kind[string]{jsonString, expectedText, func(v string) (string, *fault) {
		return norm.NFC.String(v), checkText(norm.NFC.String(v))
	}}
	aNote             = kind[string]{jsonString, expectedNote, func(v string) (string, *fault) { return v, checkNote(v) }}
	anAmount          = kind[schemas.Cents]{jsonNumber, expectedAmount, checkAmount}
	aPeriod           = kind[schemas.Period]{jsonString, expectedPeriod, checkPeriod}
	aDate             = kind[string]{jsonString, expectedDate, checkDate}
	aDay              = kind[int]{jsonNumber, expectedDay, checkDay}
	aBool             = kind[bool]{jsonBool, expectedBool, checkBool}
	aRail             = oneOf("a rail", schemas.RailEFT, schemas.RailDebiCheck, schemas.RailRM)
	aPolicyStatus     = oneOf("a status of a policy", schemas.PolicyActive, schemas.PolicyCancelled, schemas.PolicyLapsed)
	aCollectionStatus = oneOf("a status of a collection",
		schemas.PaidFull, schemas.PaidPartial, schemas.Unpaid, schemas.CollectionCancelled)
	aWebhookType    = oneOf("a type of event", schemas.WebhookTypes...)
	aDeliveryStatus = oneOf("a status of a delivery", schemas.DeliveryPending, schemas.DeliveryRetrying,
		schemas.DeliveryDelivered, schemas.DeliveryFailed)
	anItemState       = oneOf("a state of an open item", schemas.ItemOpen, schemas.ItemAnswered, schemas.ItemClosed)
	aSettlementStatus = oneOf("a status of a settlement",
		schemas.SettlementPending, schemas.SettlementPaid, schemas.SettlementDisputed, schemas.SettlementCarried)
)

// fault is why a value is refused. message follows the field's name: "is empty".
type fault struct{ code, expected, message string }

// as400 names the field a refused value came from.
func (f *fault) as400(field, received string) *apiError {
	return invalid(field, f.expected, received, "%s %s", field, f.message)
}

// checkNote is the rule for what a person has to say.
func checkNote(v string) *fault {
	switch {
	case strings.TrimSpace(v) == "":
		return &fault{rowMissing, expectedNote, "is empty"}
	case len(v) > maxNoteBytes:
		return &fault{rowInvalid, expectedNote, fmt.Sprintf("has %d bytes; at most %d are possible", len(v), maxNoteBytes)}
	case strings.ContainsFunc(v, func(r rune) bool { return r < 0x20 && r != '\n' || r == 0x7f }):
		return &fault{rowInvalid, expectedNote, "contains a control character other than a line break"}
	}
	return nil
}

// checkText is the rule for ids and other short texts. Control characters are refused because they separate the parts
// of Kafka keys; what nobody sees, because two ids that look alike are one to whoever reads them.
func checkText(v string) *fault {
	unseen := func(r rune) bool { return unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) }
	oddBlank := func(r rune) bool { return r != ' ' && unicode.Is(unicode.Zs, r) }
	switch {
	case v == "":
		return &fault{rowMissing, expectedText, "is empty"}
	case !utf8.ValidString(v):
		return &fault{rowEncoding, "UTF-8", "is not UTF-8; save the file as UTF-8"}
	case len(v) > maxTextBytes:
		return &fault{rowInvalid, expectedText, fmt.Sprintf("has %d bytes; at most %d are possible", len(v), maxTextBytes)}
	case strings.ContainsFunc(v, unicode.IsControl):
		return &fault{rowInvalid, expectedText, "contains a control character such as a tab or a line break"}
	case strings.ContainsFunc(v, unseen):
		return &fault{rowInvalid, expectedText, "contains a character that is not seen, such as a zero-width space"}
	case strings.ContainsFunc(v, oddBlank):
		return &fault{rowInvalid, expectedText, "contains a no-break space or another blank that is no plain one"}
	case strings.TrimSpace(v) != v:
		return &fault{rowInvalid, expectedText, "has blanks around it"}
	}
	return nil
}

// checkAmount reads rands. Zero is refused: a policy without a premium has nothing to collect.
func checkAmount(v string) (schemas.Cents, *fault) {
	c, err := schemas.ParseRands(v)
	switch {
	case v == "":
		return 0, &fault{rowMissing, expectedAmount, "is empty"}
	case strings.HasPrefix(v, "."), strings.HasSuffix(v, "."):
		return 0, &fault{rowAmount, expectedAmount, "is not a plain decimal number; expected rands such as 150.00"}
	case err != nil:
		return 0, &fault{rowAmount, expectedAmount, err.Error()}
	case c == 0:
		return 0, &fault{rowAmount, expectedAmount, "is zero; expected an amount above 0"}
	}
	return c, nil
}

func checkDay(v string) (int, *fault) {
	d, err := strconv.Atoi(v)
	if err != nil || d < 1 || d > 31 || strconv.Itoa(d) != strings.TrimLeft(v, "0") {
		return 0, &fault{rowInvalid, expectedDay, "is not a day of the month; expected " + expectedDay}
	}
	return d, nil
}

func checkBool(v string) (bool, *fault) {
	yes := strings.EqualFold(v, "true")
	if !yes && !strings.EqualFold(v, "false") {
		return false, &fault{rowInvalid, expectedBool, "is neither true nor false"}
	}
	return yes, nil
}

func checkPeriod(v string) (schemas.Period, *fault) {
	p, err := schemas.ParsePeriod(v)
	if err != nil {
		return "", &fault{rowInvalid, expectedPeriod, "is not a period; expected " + expectedPeriod}
	}
	return p, nil
}

// checkDate reads a date that a column can hold.
func checkDate(v string) (string, *fault) {
	d, err := civil.ParseDate(v)
	if err != nil || d.Year < schemas.FirstYear || d.Year > schemas.LastYear {
		return "", &fault{rowInvalid, expectedDate, "is not a date; expected " + expectedDate}
	}
	return v, nil
}

// oneOf is one of a few words, in any case.
func oneOf[T ~string](what string, words ...T) kind[T] {
	expected, last := string(words[0]), len(words)-1
	for _, w := range words[1:last] {
		expected += ", " + string(w)
	}
	expected += " or " + string(words[last])
	return kind[T]{jsonString, expected, func(v string) (T, *fault) {
		for _, w := range words {
			if strings.EqualFold(v, string(w)) {
				return w, nil
			}
		}
		return "", &fault{rowInvalid, expected, "is not " + what + "; expected " + expected}
	}}
}

// policyField is one field of a policy as POST and PATCH /policies and the import file take it: its name, whether it
// must be there, its kind, and how its value gets into the command. given is its name in Given, empty for the ids.
type policyField struct {
	name           string
	required       bool
	json, expected string
	given          string
	set, setCell   func(cmd *command, v string) *fault
	clear          func(cmd *command)
}

type command = schemas.PolicyCommand

// policyFields are in the order in which a caller hears of their faults.
var policyFields = []policyField{
	field("customer_id", "", true, aText, anIDCell, func(c *command) *string { return &c.CustomerID }),
	field("external_customer_ref", schemas.GivenReference, true, aText, aText,
		func(c *command) *string { return &c.Terms.ExternalCustomerRef }),
	field("policy_number", "", true, aText, anIDCell, func(c *command) *string { return &c.PolicyNumber }),
	field(
		"product_code",
		schemas.GivenProduct,
		true,
		aText,
		aText,
		func(c *command) *string { return &c.Terms.ProductCode },
	),
	field("collection_amount", schemas.GivenPremium, true, anAmount, anAmountCell,
		func(c *command) *schemas.Cents { return &c.Terms.PremiumCents }),
	field("status", schemas.GivenStatus, false, aPolicyStatus, aPolicyStatus,
		func(c *command) *schemas.PolicyStatus { return &c.Terms.Status }),
	field("rail", schemas.GivenRail, false, aRail, aRail, func(c *command) *schemas.Rail { return &c.Terms.Rail }),
	field("mandate_reference", schemas.GivenMandate, false, aText, aText,
		func(c *command) *string { return &c.Terms.MandateReference }),
	field("mandate_max_amount", schemas.GivenMaximum, false, anAmount, anAmountCell,
		func(c *command) *schemas.Cents { return &c.Terms.MandateMaxCents }),
	field(
		"mandate_fixed",
		schemas.GivenFixed,
		false,
		aBool,
		aBool,
		func(c *command) *bool { return &c.Terms.MandateFixed },
	),
	field("collection_day", schemas.GivenDay, false, aDay, aDay, func(c *command) *int { return &c.Terms.CollectionDay }),
	field("bank", schemas.GivenBank, false, aText, aText, func(c *command) *string { return &c.Terms.Bank }),
	field("account_token", schemas.GivenToken, false, aText, aText,
		func(c *command) *string { return &c.Terms.AccountToken }),
}

// field makes a policyField. cell is the kind as a file has it.
func field[T any](name, given string, required bool, k, cell kind[T], at func(*command) *T) policyField {
	set := func(k kind[T]) func(*command, string) *fault {
		return func(cmd *command, v string) (f *fault) {
			*at(cmd), f = k.check(v)
			return f
		}
	}
	return policyField{
		name,
		required,
		k.json,
		k.expected,
		given,
		set(k),
		set(cell),
		func(c *command) { *at(c) = *new(T) },
	}
}

func fieldNames() (names []string) {
	for _, f := range policyFields {
		names = append(names, f.name)
	}
	return names
}

// newPolicy is a command with the terms that hold where the caller names none.
func newPolicy(row int, action schemas.PolicyAction) command {
	terms := schemas.PolicyTerms{Status: schemas.PolicyActive, Rail: schemas.RailDebiCheck}
	if action == schemas.PolicyImport {
		terms = schemas.PolicyTerms{} // what is not given stays
	}
	return command{Row: row, Action: action, Terms: &terms}
}
