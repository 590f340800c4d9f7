package schemas

import (
	"errors"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// MaxName is the most bytes that an id has.
const MaxName = 128

// Name is an id in Unicode's form NFC, in which ids are compared, or why it is none: it holds a control or format
// character, of which the first separate the parts of Kafka keys and none can be seen, begins or ends with a blank, or
// has more than MaxName bytes.
func Name(s string) (string, error) {
	if plainName(s) {
		return s, nil
	}
	s = norm.NFC.String(s)
	var first, last rune
	for i, c := range s {
		if unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return "", errors.New("holds a control or format character")
		}
		if i == 0 {
			first = c
		}
		last = c
	}
	switch {
	case unicode.IsSpace(first) || unicode.IsSpace(last):
		return "", errors.New("begins or ends with a blank")
	case len(s) > MaxName:
		return "", errors.New("is too long")
	}
	return s, nil
}

// plainName tells of nearly every id that it has nothing to be looked at.
func plainName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return len(s) <= MaxName
}
