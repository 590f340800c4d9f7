package feeds

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/kasi-collections/kasi/schemas"
)

// scanner walks over one JSON text. It is written by hand because decoding is the hottest loop of the pipeline and
// because the standard decoder is more lenient than money allows: it matches keys in any case, takes the last of two
// equal keys, and repairs broken text.
type scanner struct {
	text []byte
	pos  int
}

// maxDepth bounds the nesting of fields we do not know.
const maxDepth = 128

// value is one JSON value as it stands in the text; a string without its quotes.
type value struct {
	raw     []byte
	kind    valueKind
	escaped bool // a string with backslashes
}

type valueKind byte

const (
	absent valueKind = iota
	isNull
	isString
	isNumber
	isOther // true, false, object, array
	isCell  // of a table: its field decides whether it is text or a number
)

func badJSON(message string) error { return schemas.Refuse(schemas.RejectBadJSON, message) }

// object reads one JSON object and keeps the values of the fields that index knows (>= 0), each at its place in fields.
func (s *scanner) object(fields []value, index func(key []byte) int) error {
	if !utf8.Valid(s.text) {
		return badJSON("the value is not UTF-8")
	}
	s.space()
	if !s.take('{') {
		return badJSON("the value is not a JSON object")
	}
	s.pos--
	if err := s.items('{', 0, fields, index); err != nil {
		return err
	}
	s.space()
	if s.pos < len(s.text) {
		return badJSON("something follows the object")
	}
	return nil
}

// items reads the object or array that begins here. Nobody reads what is nested in a field: it is only checked.
func (s *scanner) items(open byte, depth int, fields []value, index func(key []byte) int) error {
	if depth > maxDepth {
		return badJSON("the object is nested too deeply")
	}
	s.pos++
	s.space()
	what := "a nested value"
	if depth == 0 {
		what = "the object"
	}
	for first := true; !s.take(open + 2); first = false { // ] after [ and } after { in ASCII
		if !first && !s.take(',') {
			return badJSON(what + " misses a comma or its end")
		}
		s.space()
		known := -1
		if open == '{' {
			key, err := s.str()
			if err != nil {
				return err
			}
			name, err := key.unescaped()
			if err != nil {
				return err
			}
			s.space()
			if !s.take(':') {
				return badJSON("a key has no value")
			}
			s.space()
			if depth == 0 {
				known = index(name)
			}
		}
		v, err := s.value(depth)
		if err != nil {
			return err
		}
		s.space()
		switch {
		case known >= 0 && fields[known].kind != absent:
			return badJSON("the object names a known field twice")
		case known >= 0:
			fields[known] = v
		default: // broken escapes are refused in a string nobody reads, too: the text would not be JSON
			if _, err := v.unescaped(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *scanner) space() {
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) take(c byte) bool {
	if s.pos < len(s.text) && s.text[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

func (s *scanner) word(w string) bool {
	if end := s.pos + len(w); end <= len(s.text) && string(s.text[s.pos:end]) == w {
		s.pos = end
		return true
	}
	return false
}

// value reads any JSON value.
func (s *scanner) value(depth int) (value, error) {
	if s.pos >= len(s.text) {
		return value{}, badJSON("the object ends too early")
	}
	switch c := s.text[s.pos]; {
	case c == '"':
		return s.str()
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	case c == '{' || c == '[':
		return value{kind: isOther}, s.items(c, depth+1, nil, nil)
	case s.word("null"):
		return value{kind: isNull}, nil
	case s.word("true"), s.word("false"):
		return value{kind: isOther}, nil
	}
	return value{}, badJSON("a value is not JSON")
}

// marks are the bytes that mean something within a string: its end, an escape, and what must not be there.
var marks = func() (t [256]bool) {
	for c := range ' ' {
		t[c] = true
	}
	t['"'], t['\\'] = true, true
	return t
}()

// str reads a string up to its closing quote; escapes are checked when they are resolved.
func (s *scanner) str() (value, error) {
	if !s.take('"') {
		return value{}, badJSON("a key or string does not begin with a quote")
	}
	v := value{kind: isString}
	start := s.pos
	for ; s.pos < len(s.text); s.pos++ {
		c := s.text[s.pos]
		if !marks[c] {
			continue
		}
		switch c {
		case '"':
			v.raw = s.text[start:s.pos]
			s.pos++
			return v, nil
		case '\\':
			v.escaped = true
			s.pos++
		default:
			return value{}, badJSON("a string holds a raw control character")
		}
	}
	return value{}, badJSON("a string does not end")
}

// number reads a number in JSON's grammar.
func (s *scanner) number() (value, error) {
	start := s.pos
	s.take('-')
	switch {
	case s.take('0'):
	case !s.digits():
		return value{}, badJSON("a number has no digits")
	}
	if s.take('.') && !s.digits() {
		return value{}, badJSON("a number has no digits after its point")
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		if !s.digits() {
			return value{}, badJSON("a number has no digits in its exponent")
		}
	}
	return value{raw: s.text[start:s.pos], kind: isNumber}, nil
}

func (s *scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.text) && s.text[s.pos] >= '0' && s.text[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > start
}

// unescaped is a string with its escapes resolved. Half of a surrogate pair is refused: it stands for no character.
func (v value) unescaped() ([]byte, error) {
	if !v.escaped {
		return v.raw, nil
	}
	out := make([]byte, 0, len(v.raw))
	for i := 0; i < len(v.raw); i++ {
		if v.raw[i] != '\\' {
			out = append(out, v.raw[i])
			continue
		}
		i++ // never the last byte: the scanner saw the escaped one
		switch c := v.raw[i]; c {
		case '"', '\\', '/':
			out = append(out, c)
		case 'b', 'f', 'n', 'r', 't':
			out = append(out, "\b\f\n\r\t"[strings.IndexByte("bfnrt", c)])
		case 'u':
			r, size, ok := unicodeEscape(v.raw[i-1:])
			if !ok {
				return nil, badJSON("a string holds a broken \\u escape")
			}
			out = utf8.AppendRune(out, r)
			i += size - 2
		default:
			return nil, badJSON("a string holds an unknown escape")
		}
	}
	return out, nil
}

// unicodeEscape reads \uXXXX, or a surrogate pair of two, at the beginning of raw, and tells how long it is.
func unicodeEscape(raw []byte) (rune, int, bool) {
	first, ok := hex4(raw)
	if !ok || !utf16.IsSurrogate(first) {
		return first, 6, ok
	}
	second, ok := hex4(raw[6:])
	pair := utf16.DecodeRune(first, second)
	return pair, 12, ok && pair != utf8.RuneError
}

func hex4(raw []byte) (rune, bool) {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(raw[2:6]), 16, 16)
	return rune(n), err == nil
}
