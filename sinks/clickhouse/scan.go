package clickhouse

import (
	"encoding/binary"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/segmentio/encoding/json"

	"github.com/kasi-collections/kasi/schemas"
)

// scan reads JSON as our stages write it: one object, no white space, no escapes, no null, keys in any order. It does
// not judge what is otherwise written; it gives up (bad), and the caller takes the library's reader. So what it accepts
// is what encoding/json accepts, with the same values (TestScanIsWhatTheLibraryReads, FuzzScan). Strings are parts of
// one copy of the record, so that they cost one allocation.
type scan struct {
	s   string
	i   int
	bad bool
}

// field reads one field of an E.
type field[E any] struct {
	// key is the name in JSON with its quotes and the colon.
	key  string
	read func(c *scan, e *E)
}

func named[E any](name string, read func(c *scan, e *E)) field[E] {
	return field[E]{`"` + name + `":`, read}
}

// read reads an event into its zero value; false means that the library must read it, into a zero value again.
func read[E any](c *scan, fields []field[E], b []byte, e *E) bool {
	if !plain(b) {
		return false
	}
	*c = scan{s: string(b)}
	object(c, fields, e)
	return !c.bad && c.i == len(c.s)
}

// object reads one object. It looks first for the field after the last one: fields are listed as they are written. Of a
// key that comes twice the last counts, and objects are merged, as the library does it.
func object[E any](c *scan, fields []field[E], e *E) {
	c.take('{')
	next := 0
	for first := true; !c.bad; first = false {
		if c.i < len(c.s) && c.s[c.i] == '}' {
			c.i++
			return
		}
		if !first {
			c.take(',')
		}
		i := find(c, fields, next)
		if i < 0 {
			c.bad = true
			return
		}
		fields[i].read(c, e)
		next = i + 1
	}
}

// find goes past the key that stands here and gives its field; -1 if it is not listed.
func find[E any](c *scan, fields []field[E], from int) int {
	rest := c.s[c.i:]
	for n := range fields {
		i := from + n
		if i >= len(fields) {
			i -= len(fields)
		}
		if strings.HasPrefix(rest, fields[i].key) {
			c.i += len(fields[i].key)
			return i
		}
	}
	return -1
}

// plain tells whether no byte needs a closer look: no control character or white space but the space, no backslash, and
// no broken UTF-8.
func plain(b []byte) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	var control, backslash, high uint64
	look := func(w uint64) { // eight bytes at once
		slash := w ^ ones*'\\'
		control |= (w - ones*' ') &^ w
		backslash |= (slash - ones) &^ slash
		high |= w
	}
	rest := b
	for ; len(rest) >= 8; rest = rest[8:] {
		look(binary.LittleEndian.Uint64(rest))
	}
	tail := [8]byte{' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '}
	copy(tail[:], rest)
	look(binary.LittleEndian.Uint64(tail[:]))
	return (control|backslash)&tops == 0 && (high&tops == 0 || utf8.Valid(b))
}

// take consumes one byte that must stand there.
func (c *scan) take(b byte) {
	if c.bad || c.i >= len(c.s) || c.s[c.i] != b {
		c.bad = true
		return
	}
	c.i++
}

func (c *scan) text() string {
	c.take('"')
	if c.bad {
		return ""
	}
	s, _, closed := strings.Cut(c.s[c.i:], `"`)
	c.bad = !closed
	c.i += len(s) + 1
	return s
}

// integer reads a whole number of at most 18 digits, which cannot overflow.
func (c *scan) integer() int64 {
	negative := c.i < len(c.s) && c.s[c.i] == '-'
	if negative {
		c.i++
	}
	from, n := c.i, int64(0)
	for c.i < len(c.s) && c.s[c.i]-'0' <= 9 {
		n = n*10 + int64(c.s[c.i]-'0')
		c.i++
	}
	digits := c.i - from
	if digits == 0 || digits > 18 || digits > 1 && c.s[from] == '0' {
		c.bad = true
	}
	if negative {
		return -n
	}
	return n
}

func (c *scan) instant() time.Time {
	t, err := schemas.ParseInstant(c.text())
	c.bad = c.bad || err != nil
	return t
}

func (c *scan) maybeInteger() *int64 {
	n := c.integer()
	return &n
}

func (c *scan) boolean() bool {
	for _, word := range []string{"true", "false"} {
		if strings.HasPrefix(c.s[c.i:], word) {
			c.i += len(word)
			return word == "true"
		}
	}
	c.bad = true
	return false
}

// list reads an array. An array that comes twice it leaves to the library, which would write over the first.
func list[T any](c *scan, before []T, item func(c *scan) T) []T {
	c.take('[')
	c.bad = c.bad || before != nil
	items := []T{}
	for !c.bad && (c.i >= len(c.s) || c.s[c.i] != ']') {
		if len(items) > 0 {
			c.take(',')
		}
		items = append(items, item(c))
	}
	c.take(']')
	return items
}

// raw takes an array or object as its text. No string in it holds an escape, so a quote ends each.
func (c *scan) raw() json.RawMessage {
	from, depth, quoted := c.i, 0, false
	for ; c.i < len(c.s); c.i++ {
		switch b := c.s[c.i]; {
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '{' || b == '[':
			depth++
		case b == '}' || b == ']':
			depth--
		}
		if depth <= 0 && !quoted {
			c.i++
			break
		}
	}
	text := json.RawMessage(c.s[from:c.i])
	c.bad = c.bad || !json.Valid(text)
	return text
}
