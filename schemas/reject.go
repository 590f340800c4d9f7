package schemas

// Reject is why a record from outside is refused. It goes to the dead letters; nothing else happens.
type Reject struct {
	// Class is a stable code of the Reject table: MISSING_FIELD, BAD_AMOUNT, ...
	Class string
	// Message names the field and what was expected. It never holds personal data.
	Message string
}

// Error implements error.
func (r *Reject) Error() string { return r.Class + ": " + r.Message }

// The Reject classes. They are part of the dead letters' contract and never change their meaning; RejectClasses
// explains each.
const (
	RejectBadJSON      = "BAD_JSON"
	RejectBadCSV       = "BAD_CSV"
	RejectMissingField = "MISSING_FIELD"
	RejectBadField     = "BAD_FIELD"
	RejectBadID        = "BAD_ID"
	RejectTooLong      = "TOO_LONG"
	RejectTooLarge     = "TOO_LARGE"
	RejectBadAmount    = "BAD_AMOUNT"
	RejectBadTime      = "BAD_TIME"
	RejectBadDate      = "BAD_DATE"
	RejectBadEnum      = "BAD_VALUE"

	RejectUnknownTenant    = "UNKNOWN_TENANT"
	RejectUnknownDebit     = "UNKNOWN_DEBIT"
	RejectUnknownPayout    = "UNKNOWN_PAYOUT"
	RejectAmountMismatch   = "AMOUNT_MISMATCH"
	RejectContradictsFinal = "CONTRADICTS_FINAL"
	RejectDisputeTooLate   = "DISPUTE_TOO_LATE"
	RejectDuplicateID      = "DUPLICATE_ID"
	RejectTooOld           = "TOO_OLD"
	RejectTooFarAhead      = "TOO_FAR_AHEAD"
	RejectCutMismatch      = "CUT_MISMATCH"
)

// RejectClass is one row of the Reject table.
type RejectClass struct{ Class, Meaning string }

// RejectClasses is the Reject table: first what a decoder finds, then what the state of a customer or tenant forbids.
func RejectClasses() []RejectClass {
	return []RejectClass{
		{RejectBadJSON, "The value is not one JSON object in UTF-8, or names a field twice."},
		{RejectBadCSV, "A line, or the header before it, is not CSV in UTF-8, or the two have different numbers of cells."},
		{RejectMissingField, "A required field is absent, null or empty."},
		{RejectBadField, "A field has the wrong JSON type."},
		{RejectBadID, "An id holds a control or format character, has a blank at either end, or more than 128 bytes."},
		{RejectTooLong, "A text has more bytes than its field allows."},
		{RejectTooLarge, "The whole record is larger than a record may be."},
		{RejectBadAmount, "An amount is not an integer of cents, not above zero, or above the maximum."},
		{RejectBadTime, "An instant, or the record's own timestamp, is not RFC 3339 with an offset or out of its years."},
		{RejectBadDate, "A date is not YYYY-MM-DD, no day of the calendar, out of its years, or none the record can have."},
		{RejectBadEnum, "A value is not one of those its field allows."},
		{RejectUnknownTenant, "The tenant is not one of ours; `kasi tenants create` makes it one."},
		{RejectUnknownDebit, "A result names no debit of ours."},
		{RejectUnknownPayout, "A payout result names no EFT instruction of ours that is still known."},
		{RejectAmountMismatch, "A result's amount is not the debit's."},
		{RejectContradictsFinal, "A result contradicts what the bank has finally said of the debit or payout."},
		{RejectDisputeTooLate, "A dispute came after the dispute window had closed."},
		{RejectDuplicateID, "An id came again with another content."},
		{RejectTooOld, "A transaction was booked before the days for which duplicates are recognised."},
		{RejectTooFarAhead, "A transaction or income lies further ahead of the business date than a feed runs."},
		{RejectCutMismatch, "A settlement's cut does not match the partitions of earlier statements."},
	}
}

// Refuse makes a Reject.
func Refuse(class, message string) *Reject { return &Reject{Class: class, Message: message} }
