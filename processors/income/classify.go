// Package income tells what is income: which credits are, of which kind and stream, in which pattern a stream pays, and
// when it should pay next. It knows words, days and amounts, and nothing of policies or debits. To teach it a word,
// change the rules' data; to teach it a pattern, add a fit to pattern.go and its paydays to Stream.cycle.
package income

import (
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// words is a text of a bank statement in upper case, with one space before, between and after its words:
// " SALARY NOV 2025 ". Only the first bytes of a long text count.
type words struct {
	text [128]byte
	n    int
}

// set reads a text. ASCII letters and digits make words; bytes of other alphabets are kept as they are.
func (w *words) set(s string) {
	w.text[0], w.n = ' ', 1
	for i := 0; i < len(s) && w.n < len(w.text)-1; i++ {
		b := s[i]
		switch {
		case 'a' <= b && b <= 'z':
			b -= 'a' - 'A'
		case 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b >= 0x80:
		default:
			b = ' '
		}
		if b != ' ' || w.text[w.n-1] != ' ' {
			w.text[w.n] = b
			w.n++
		}
	}
	if w.text[w.n-1] != ' ' {
		w.text[w.n] = ' '
		w.n++
	}
}

// has tells whether a word, or several with one space between, stands in the text as whole words: CORRECTION is not in
// CORRECTIONAL SERVICES.
func (w *words) has(word string) bool {
	for i := 1; i+len(word) < w.n; i++ {
		end := i + len(word)
		if w.text[i] == word[0] && w.text[i-1] == ' ' && string(w.text[i:end]) == word && w.endsAt(end, word) {
			return true
		}
	}
	return false
}

// monthless is the length up to which no month's name may follow a word: SALMAR is a company.
const monthless = 4

// endsAt tells whether a word ends where its letters do. A number may follow it, as in SALARY202511, and a longer word
// may be followed by a month, as in WAGESNOV.
func (w *words) endsAt(i int, word string) bool {
	end := i
	for w.text[end] != ' ' {
		end++
	}
	for end > i && '0' <= w.text[end-1] && w.text[end-1] <= '9' {
		end--
	}
	return end == i || len(word) > monthless && isMonth(string(w.text[i:end]))
}

func (w *words) hasAny(list []string) bool { return slices.ContainsFunc(list, w.has) }

// kind is the kind of income that the text names.
func (w *words) kind(p *rules.Params) (schemas.IncomeKind, bool) {
	for i := range p.KindWords {
		if k := &p.KindWords[i]; w.hasAny(k.Words) {
			return k.Kind, true
		}
	}
	return "", false
}

// againstIncome tells whether the text speaks against income. A word of a kind outweighs that where the text names
// both, unless it is within the words against it: SALARY ADVANCE is a loan.
func (w *words) againstIncome(p *rules.Params) bool {
	_, named := w.kind(p)
	return slices.ContainsFunc(p.NotIncome, func(word string) bool {
		if !w.has(word) {
			return false
		}
		var itself words
		itself.set(word)
		_, within := itself.kind(p)
		return within || !named
	})
}

// name appends what stays the same from one payment to the next: words without digits and without names of months.
func (w *words) name(to []byte) []byte {
	start := len(to)
	for i := 1; i < w.n; {
		j, digits := i, false
		for w.text[j] != ' ' {
			digits = digits || '0' <= w.text[j] && w.text[j] <= '9'
			j++
		}
		if word := w.text[i:j]; !digits && !isMonth(string(word)) {
			if len(to) > start {
				to = append(to, ' ')
			}
			to = append(to, word...)
		}
		i = j + 1
	}
	return to
}

// isMonth knows the months' names, English and Afrikaans, whole or short.
func isMonth(s string) bool {
	switch s {
	case "JAN", "JANUARY", "JANUARIE", "FEB", "FEBRUARY", "FEBRUARIE", "MAR", "MARCH", "MAART", "MRT", "APR", "APRIL",
		"MAY", "MEI", "JUN", "JUNE", "JUNIE", "JUL", "JULY", "JULIE", "AUG", "AUGUST", "AUGUSTUS",
		"SEP", "SEPT", "SEPTEMBER", "OCT", "OCTOBER", "OKT", "OKTOBER", "NOV", "NOVEMBER",
		"DEC", "DECEMBER", "DES", "DESEMBER":
		return true
	}
	return false
}

// Classify says whether a credit is income and, if so, of which kind and stream. A stream is a kind and a name: the
// counterparty's, or else the description's, or else the category's.
func Classify(tx *schemas.Transaction, p *rules.Params) (kind schemas.IncomeKind, stream uint32, isIncome bool) {
	if tx.Direction != schemas.Credit || tx.AmountCents < p.MinDebitCents {
		return "", 0, false
	}
	var description, category, counterparty words
	description.set(tx.Description)
	category.set(tx.Category)
	counterparty.set(tx.Counterparty)
	if description.againstIncome(p) || category.againstIncome(p) {
		return "", 0, false
	}
	kind = schemas.OtherIncome
	for i := range p.KindWords {
		k := &p.KindWords[i]
		if description.hasAny(k.Words) || category.hasAny(k.Words) || counterparty.hasAny(k.Words) {
			kind = k.Kind
			break
		}
	}
	var buf [160]byte
	head := append(append(buf[:0], kind...), '|')
	name := head
	for _, w := range []*words{&counterparty, &description, &category} {
		if name = w.name(head); len(name) > len(head) {
			break
		}
	}
	return kind, uint32(xxhash.Sum64(name)), true
}

// Reverses tells whether a debit takes a credit back, by the words of its description or category.
func Reverses(tx *schemas.Transaction, p *rules.Params) bool {
	if tx.Direction != schemas.Debit {
		return false
	}
	var description, category words
	description.set(tx.Description)
	category.set(tx.Category)
	return description.hasAny(p.Reversal) || category.hasAny(p.Reversal)
}

// FeedStream is the stream of what an income feed reports: its kind and source.
func FeedStream(kind schemas.IncomeKind, source string) uint32 {
	var w words
	w.set(source)
	var buf [160]byte
	return uint32(xxhash.Sum64(w.name(append(append(buf[:0], kind...), "|feed|"...))))
}

// StreamID names a stream of a customer: GIG-1a2b3c4d. It holds no name of a person or employer.
func StreamID(kind schemas.IncomeKind, key uint32) string {
	return string(kind) + "-" + strconv.FormatUint(1<<32|uint64(key), 16)[1:] // the 1 makes the leading zeros, and goes
}
