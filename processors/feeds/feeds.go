// Package feeds reads what comes from outside: bank transactions, incomes and the bank's answers to debits. A Reader
// takes a record's value, in whatever format, and gives its entries: each an event, or the *schemas.Reject that says
// which field is wrong and what was expected. Nothing of a refused entry is used. An accepted one is an event of ours
// from then on: intake writes it as our own JSON, which the functions named after the events read again.
//
// The fields and their bounds are those of the Go types in package schemas, from which decode.gen.go is written. Read
// by hand are JSON itself (json.go), because the libraries forgive what money may not, and the kinds of fields
// (fields.go). A further format of a feed is a row of formats (format.go).
package feeds

import (
	"strings"

	"github.com/kasi-collections/kasi/schemas"
)

// Transaction reads a record of kasi.feed.transactions.v1. The error is always a *schemas.Reject.
func Transaction(b []byte) (schemas.Transaction, error) { return decodeTransaction(b) }

// Income reads a record of kasi.feed.incomes.v1. The error is always a *schemas.Reject.
func Income(b []byte) (schemas.Income, error) { return decodeIncome(b) }

// Result reads a record of kasi.rail.results.v1. The error is always a *schemas.Reject. A debit id that cannot be ours
// is schemas.RejectUnknownDebit; its hexadecimal digits are read in any case, since rails tend to write capitals.
func Result(b []byte) (schemas.Result, error) {
	result, err := decodeResult(b)
	if err != nil {
		return schemas.Result{}, err
	}
	result.DebitID = strings.ToLower(result.DebitID)
	if _, err := schemas.DebitRoute(result.DebitID); err != nil {
		return schemas.Result{}, schemas.Refuse(schemas.RejectUnknownDebit, err.Error())
	}
	return result, nil
}

// PayoutResult reads a record of kasi.payout.results.v1, as Result does one of kasi.rail.results.v1.
func PayoutResult(b []byte) (schemas.PayoutResult, error) {
	result, err := decodePayoutResult(b)
	if err != nil {
		return schemas.PayoutResult{}, err
	}
	result.PayoutID = strings.ToLower(result.PayoutID)
	if _, err := schemas.PayoutRoute(result.PayoutID); err != nil {
		return schemas.PayoutResult{}, schemas.Refuse(schemas.RejectUnknownPayout, err.Error())
	}
	return result, nil
}
