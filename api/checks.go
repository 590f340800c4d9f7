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

// kind is a kind of value: its type in JSON, what a caller is told to send, and its check, the same for JSON, CSV and
// query strings.
type kind[T any] struct {
	json, expected string
	check          func(v string) (T, *fault)
}

var (
	aText             = kind[string]{jsonString, expectedText, func(v string) (string, *fault) { return v, checkText(v) }}
	anAmount          = kind[schemas.Cents]{jsonNumber, expectedAmount, checkAmount}
	aPeriod           = kind[schemas.Period]{jsonString, expectedPeriod, checkPeriod}
	aDay              = kind[int]{jsonNumber, expectedDay, checkDay}
	aBool             = kind[bool]{jsonBool, expectedBool, checkBool}
	aRail             = oneOf("a rail", schemas.RailEFT, schemas.RailDebiCheck, schemas.RailRM)
	aPolicyStatus     = oneOf("a status of a policy", schemas.PolicyActive, schemas.PolicyCancelled, schemas.PolicyLapsed)
	aCollectionStatus = oneOf("a status of a collection",
		schemas.PaidFull, schemas.PaidPartial, schemas.Unpaid, schemas.CollectionCancelled)
	aSettlementStatus = oneOf("a status of a settlement",
		schemas.SettlementPending, schemas.SettlementPaid, schemas.SettlementDisputed)
)

// fault is why a value is refused. message follows the field's name: "is empty".
type fault struct{ code, expected, message string }

// as400 names the field a refused value came from.
func (f *fault) as400(field, received string) *apiError {
	return invalid(field, f.expected, received, "%s %s", field, f.message)
}

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

// policyField is one field of a policy as POST /policies and the import file take it: its name, whether it must be
// there, its kind, and how its value gets into the command.
type policyField struct {
	name           string
	required       bool
	json, expected string
	set            func(cmd *schemas.PolicyCommand, v string) *fault
}

// policyFields are in the order in which a caller hears of their faults.
var policyFields = []policyField{
	field("customer_id", true, aText, func(c *schemas.PolicyCommand) *string { return &c.CustomerID }),
	field("external_customer_ref", true, aText,
		func(c *schemas.PolicyCommand) *string { return &c.Terms.ExternalCustomerRef }),
	field("policy_number", true, aText, func(c *schemas.PolicyCommand) *string { return &c.PolicyNumber }),
	field("product_code", true, aText, func(c *schemas.PolicyCommand) *string { return &c.Terms.ProductCode }),
	field("collection_amount", true, anAmount,
		func(c *schemas.PolicyCommand) *schemas.Cents { return &c.Terms.PremiumCents }),
	field("rail", false, aRail, func(c *schemas.PolicyCommand) *schemas.Rail { return &c.Terms.Rail }),
	field("mandate_reference", false, aText,
		func(c *schemas.PolicyCommand) *string { return &c.Terms.MandateReference }),
	field("mandate_max_amount", false, anAmount,
		func(c *schemas.PolicyCommand) *schemas.Cents { return &c.Terms.MandateMaxCents }),
	field("mandate_fixed", false, aBool, func(c *schemas.PolicyCommand) *bool { return &c.Terms.MandateFixed }),
	field("collection_day", false, aDay, func(c *schemas.PolicyCommand) *int { return &c.Terms.CollectionDay }),
}

func field[T any](name string, required bool, k kind[T], at func(*schemas.PolicyCommand) *T) policyField {
	return policyField{name, required, k.json, k.expected, func(cmd *schemas.PolicyCommand, v string) (f *fault) {
		*at(cmd), f = k.check(v)
		return f
	}}
}

func fieldNames() (names []string) {
	for _, f := range policyFields {
		names = append(names, f.name)
	}
	return names
}

// newPolicy is a command with the terms that hold where the caller names none.
func newPolicy(row int, action schemas.PolicyAction) schemas.PolicyCommand {
	terms := schemas.PolicyTerms{Status: schemas.PolicyActive, Rail: schemas.RailDebiCheck}
	return schemas.PolicyCommand{Row: row, Action: action, Terms: &terms}
}
