package schemas

import (
	"cmp"
	"strconv"
	"time"

	"github.com/segmentio/encoding/json"
)

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

// appendInstant keeps the first error: a year that JSON's time has no form for.
func appendInstant(b []byte, t time.Time, err *error) []byte {
	b, wrong := t.AppendText(append(b, '"'))
	*err = cmp.Or(*err, wrong)
	return append(b, '"')
}

func appendInteger(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

func appendList[T any](b []byte, list []T, item func(b []byte, v T) []byte) []byte {
	if list == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = item(b, v)
	}
	return append(b, ']')
}
