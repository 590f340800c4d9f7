package api

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"cloud.google.com/go/civil"
	"golang.org/x/text/unicode/norm"

	"github.com/kasi-collections/kasi/schemas"
)

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
