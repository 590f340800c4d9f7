package api

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

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
	expectedText   = "1 to 128 bytes of text without control characters and without blanks around it"
	expectedAmount = "a number above 0 with at most two decimals, such as 150.00"
	expectedPeriod = "YYYY-MM, such as 2025-11"
	expectedDay    = "a whole number from 1 to 31"
	expectedBool   = "true or false"
)

// fault is why a value is refused, the same for JSON and CSV. message follows the field's name: "is empty".
type fault struct{ code, expected, message string }

// checkText is the rule for ids and other short texts. Control characters are refused because they separate the parts
// of Kafka keys.
func checkText(v string) *fault {
	switch {
	case v == "":
		return &fault{rowMissing, expectedText, "is empty"}
	case !utf8.ValidString(v):
		return &fault{rowEncoding, "UTF-8", "is not UTF-8; save the file as UTF-8"}
	case len(v) > maxTextBytes:
		return &fault{rowInvalid, expectedText, fmt.Sprintf("has %d bytes; at most %d are possible", len(v), maxTextBytes)}
	case strings.ContainsFunc(v, func(r rune) bool { return r < 0x20 || r == 0x7f }):
		return &fault{rowInvalid, expectedText, "contains a control character such as a tab or a line break"}
	case strings.TrimSpace(v) != v:
		return &fault{rowInvalid, expectedText, "has blanks around it"}
	}
	return nil
}

// checkAmount reads rands. Zero is refused: a policy without a premium has nothing to collect.
func checkAmount(v string) (schemas.Cents, *fault) {
	if v == "" {
		return 0, &fault{rowMissing, expectedAmount, "is empty"}
	}
	if strings.HasPrefix(v, ".") || strings.HasSuffix(v, ".") {
		return 0, &fault{rowAmount, expectedAmount, "is not a plain decimal number; expected rands such as 150.00"}
	}
	c, err := schemas.ParseRands(v)
	if err != nil {
		return 0, &fault{rowAmount, expectedAmount, err.Error()}
	}
	if c == 0 {
		return 0, &fault{rowAmount, expectedAmount, "is zero; expected an amount above 0"}
	}
	return c, nil
}

func checkRail(v string) (schemas.Rail, *fault) {
	switch r := schemas.Rail(strings.ToUpper(v)); r {
	case schemas.RailEFT, schemas.RailDebiCheck, schemas.RailRM:
		return r, nil
	}
	return "", &fault{rowInvalid, "EFT, DEBICHECK or RM", "is not a rail; expected EFT, DEBICHECK or RM"}
}

func checkDay(v string) (int, *fault) {
	d, err := strconv.Atoi(v)
	if err != nil || d < 1 || d > 31 || strconv.Itoa(d) != strings.TrimLeft(v, "0") {
		return 0, &fault{rowInvalid, expectedDay, "is not a day of the month; expected " + expectedDay}
	}
	return d, nil
}

func checkBool(v string) (bool, *fault) {
	switch strings.ToLower(v) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, &fault{rowInvalid, expectedBool, "is neither true nor false"}
}

func checkPolicyStatus(v string) (schemas.PolicyStatus, *fault) {
	switch st := schemas.PolicyStatus(strings.ToLower(v)); st {
	case schemas.PolicyActive, schemas.PolicyCancelled, schemas.PolicyLapsed:
		return st, nil
	}
	return "", &fault{
		rowInvalid, "active, cancelled or lapsed",
		"is not a status of a policy; expected active, cancelled or lapsed",
	}
}

func checkPeriod(v string) (schemas.Period, *fault) {
	p, err := schemas.ParsePeriod(v)
	if err != nil {
		return "", &fault{rowInvalid, expectedPeriod, "is not a period; expected " + expectedPeriod}
	}
	return p, nil
}

// as400 names the field a refused value came from.
func (f *fault) as400(field, received string) *apiError {
	return invalid(field, f.expected, received, "%s %s", field, f.message)
}
