package income

import "github.com/kasi-collections/kasi/processors/rules"

// words is a text of a bank statement in upper case, with one space before, between and after its words:
// " SALARY NOV 2025 ". Only the first bytes of a long text count.
type words struct {
	text [128]byte
	n    int
	// tokens are the words that phrases are looked for in: neither numbers nor months.
	tokens [64]token
	count  int
}

// token is where a word stands, and where it does without the digits around it: SALARY in SALARY202511.
type token struct{ from, to, start, end uint8 }

// set reads a text. ASCII letters and digits make words; bytes of other alphabets are kept as they are.
func (w *words) set(s string) {
	w.text[0], w.n, w.count = ' ', 1, 0
	for i := 0; i < len(s) && w.n < len(w.text)-1; i++ {
		b := s[i]
		switch {
		case 'a' <= b && b <= 'z':
			b -= 'a' - 'A'
		case 'A' <= b && b <= 'Z', isDigit(b), b >= 0x80:
		case b == '\'': // CHILDREN'S is one word
			continue
		default:
			b = ' '
		}
		if b != ' ' {
			w.text[w.n] = b
			w.n++
		} else if w.text[w.n-1] != ' ' {
			w.endWord()
		}
	}
	if w.text[w.n-1] != ' ' {
		w.endWord()
	}
}

// endWord ends a word with a space, and keeps it as a token.
func (w *words) endWord() {
	w.text[w.n] = ' '
	w.n++
	t := token{to: uint8(w.n - 1)}
	for t.from = t.to; w.text[t.from-1] != ' '; t.from-- {
	}
	for t.start, t.end = t.from, t.to; t.end > t.start && isDigit(w.text[t.end-1]); t.end-- {
	}
	for t.start < t.end && isDigit(w.text[t.start]) {
		t.start++
	}
	if t.start < t.end && !isMonth(string(w.text[t.start:t.end])) {
		w.tokens[w.count] = t
		w.count++
	}
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// hasAny tells whether one of the phrases stands in the text, as whole words: CORRECTION is not in CORRECTIONAL.
func (w *words) hasAny(of rules.Phrases) bool {
	for i := range w.count {
		if w.phrase(of, i) != nil {
			return true
		}
	}
	return false
}

// monthless is the length up to which no month's name may follow a word: SALMAR is a company.
const monthless = 4

// phrase is the longest phrase that begins at a token, or nil.
func (w *words) phrase(of rules.Phrases, at int) *rules.Phrase {
	t := w.tokens[at]
	forms := [...][2]uint8{{t.from, t.to}, {t.start, t.end}, {t.start, w.monthAfter(t)}}
	for i, f := range forms {
		if f[0] == f[1] || i > 0 && f == forms[i-1] {
			continue
		}
		list := of[string(w.text[f[0]:f[1]])]
		for j := range list {
			if w.continues(at, list[j].Words) {
				return &list[j]
			}
		}
	}
	return nil
}

// continues tells whether the words of a phrase but the first stand behind a token.
func (w *words) continues(at int, phrase []string) bool {
	for i := 1; i < len(phrase); i++ {
		if at+i >= w.count {
			return at+i == w.count && phrase[i] == rules.TextEnds
		}
		if !w.is(w.tokens[at+i], phrase[i]) {
			return false
		}
	}
	return true
}

// is tells whether a token is a word: as it is, without digits, or without the month behind it.
func (w *words) is(t token, word string) bool {
	return string(w.text[t.from:t.to]) == word || string(w.text[t.start:t.end]) == word ||
		string(w.text[t.start:w.monthAfter(t)]) == word
}

// monthAfter is where the month begins that a long word ends with, as WAGESNOV does, or else where the word ends.
func (w *words) monthAfter(t token) uint8 {
	const shortest, longest = 3, 9
	for n := uint8(shortest); n <= longest && t.start+monthless+n < t.end; n++ {
		if isMonth(string(w.text[t.end-n : t.end])) {
			return t.end - n
		}
	}
	return t.end
}

// isInitial tells whether a token is a single letter.
func (w *words) isInitial(at int) bool {
	return at >= 0 && w.tokens[at].to-w.tokens[at].from == 1
}

// name appends what stays the same from one payment to the next: words without digits and without names of months.
func (w *words) name(to []byte) []byte {
	start := len(to)
	for i := 1; i < w.n; {
		j, digits := i, false
		for w.text[j] != ' ' {
			digits = digits || isDigit(w.text[j])
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
