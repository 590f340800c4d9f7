package processors

import "github.com/kasi-collections/kasi/schemas"

// Reject is why a record from outside is refused. It goes to the dead letters; nothing else happens.
type Reject struct {
	// Class is a stable code of the Reject table: MISSING_FIELD, BAD_AMOUNT, ...
	Class string
	// Message names the field and what was expected. It never holds personal data.
	Message string
}

// Error implements error.
func (r *Reject) Error() string { return r.Class + ": " + r.Message }

// The Reject classes. They are part of the dead letters' contract and never change their meaning.
const (
	RejectBadJSON          = "BAD_JSON"
	RejectMissingField     = "MISSING_FIELD"
	RejectBadField         = "BAD_FIELD"
	RejectBadAmount        = "BAD_AMOUNT"
	RejectBadTime          = "BAD_TIME"
	RejectBadDate          = "BAD_DATE"
	RejectBadEnum          = "BAD_VALUE"
	RejectBadID            = "BAD_ID"
	RejectTooLarge         = "TOO_LARGE"
	RejectUnknownDebit     = "UNKNOWN_DEBIT"
	RejectAmountMismatch   = "AMOUNT_MISMATCH"
	RejectContradictsFinal = "CONTRADICTS_FINAL"
	RejectDisputeTooLate   = "DISPUTE_TOO_LATE"
	RejectTooOld           = "TOO_OLD"
	RejectCutMismatch      = "CUT_MISMATCH"
)

// DecodeTransaction reads and validates a record of kasi.feed.transactions.v1. The error is always a *Reject.
func DecodeTransaction(b []byte) (schemas.Transaction, error) { return schemas.Transaction{}, nil }

// DecodeIncome reads and validates a record of kasi.feed.incomes.v1. The error is always a *Reject.
func DecodeIncome(b []byte) (schemas.Income, error) { return schemas.Income{}, nil }

// DecodeResult reads and validates a record of kasi.rail.results.v1. The error is always a *Reject.
func DecodeResult(b []byte) (schemas.Result, error) { return schemas.Result{}, nil }
