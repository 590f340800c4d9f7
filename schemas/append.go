package schemas

import (
	"cmp"
	"strconv"
	"time"

	"github.com/segmentio/encoding/json"
)

// AppendJSON appends the event as encoding/json writes it, to the byte (TestFastJSON in package streams). Nearly every
// event that the pipeline writes is one of these, and written by hand it takes a third of the library's time. The error
// is that of a year that JSON's time has no form for.
func (e *TransactionEvent) AppendJSON(b []byte) ([]byte, error) {
	b = AppendText(append(b, `{"event_id":`...), e.EventID)
	b = strconv.AppendInt(append(b, `,"seq":`...), e.Seq, 10)
	b = AppendText(append(b, `,"business_date":`...), e.BusinessDate)
	b, wrongAt := appendInstant(append(b, `,"at":`...), e.At)
	b = AppendText(append(b, `,"transaction_id":`...), e.TransactionID)
	b = AppendText(append(b, `,"tenant_id":`...), e.TenantID)
	b = AppendText(append(b, `,"customer_id":`...), e.CustomerID)
	b, wrongBooked := appendInstant(append(b, `,"booked_at":`...), e.BookedAt)
	b = strconv.AppendInt(append(b, `,"amount_cents":`...), int64(e.AmountCents), 10)
	b = AppendText(append(b, `,"direction":`...), string(e.Direction))
	b = appendOptional(b, `,"account_id":`, e.AccountID)
	if e.BalanceAfterCents != nil {
		b = strconv.AppendInt(append(b, `,"balance_after_cents":`...), int64(*e.BalanceAfterCents), 10)
	}
	b = appendOptional(b, `,"currency":`, e.Currency)
	b = appendOptional(b, `,"description":`, e.Description)
	b = appendOptional(b, `,"counterparty":`, e.Counterparty)
	b = appendOptional(b, `,"category":`, e.Category)
	b = AppendText(append(b, `,"booked_date":`...), e.BookedDate)
	return append(b, '}'), cmp.Or(wrongAt, wrongBooked)
}

// AppendText appends a string as encoding/json writes it.
func AppendText(b []byte, s string) []byte {
	for i := range len(s) {
		if plain[s[i]] == 0 {
			return json.AppendEscape(b, s, json.EscapeHTML)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// plain holds 1 for each byte that stands for itself in a string.
var plain = func() (t [256]byte) {
	for c := byte(' '); c < 0x7f; c++ {
		t[c] = 1
	}
	for _, c := range []byte(`"\<>&`) {
		t[c] = 0
	}
	return t
}()

func appendOptional(b []byte, name, s string) []byte {
	if s == "" {
		return b
	}
	return AppendText(append(b, name...), s)
}

func appendInstant(b []byte, t time.Time) ([]byte, error) {
	b, err := t.AppendText(append(b, '"'))
	return append(b, '"'), err
}
