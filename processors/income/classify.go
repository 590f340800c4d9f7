// Package income tells what is income: which credits are, of which kind and stream, in which pattern a stream pays, and
// when it should pay next. It knows words, days and amounts, and nothing of policies or debits. To teach it a word,
// change the rules' data; to teach it a pattern, add a fit to pattern.go, and its paydays to payday.go and candidates.
package income

import (
	"cmp"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// reading is what the words of a credit say of it.
type reading struct {
	never     bool // it is no income
	against   bool // it is no income, unless a kind that outweighs is named
	outweighs bool // such a kind is named
	kind      schemas.IncomeKind
	rank      int // of the kind
}

// read reads a text. Of a counterparty only a firm's kind and a payer of what is no income count: Loan Street Bakery
// lends nothing.
func (r *reading) read(w *words, p *rules.Params, counterparty bool) {
	afterKind := false
	for i := 0; i < w.count; {
		f := w.phrase(p.Phrases, i)
		if f == nil {
			afterKind = false
			i++
			continue
		}
		switch f.Sense {
		case rules.NeverIncome:
			r.never = r.never || !counterparty
		case rules.NotIncome:
			r.against = r.against || !counterparty
		case rules.NotAfterKind:
			r.never = r.never || afterKind && !counterparty
			r.against = r.against || !counterparty
		case rules.NamesKind:
			if !f.Kind.Faint || !counterparty && !w.isInitial(i-1) {
				r.outweighs = r.outweighs || f.Kind.Outweighs && !counterparty
				if r.kind == "" || f.Rank < r.rank {
					r.kind, r.rank = f.Kind.Kind, f.Rank
				}
			}
		}
		r.against = r.against || counterparty && f.Payer
		afterKind = f.Sense == rules.NamesKind
		i += len(f.Words)
	}
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
	var r reading
	r.read(&description, p, false)
	r.read(&category, p, false)
	r.read(&counterparty, p, true)
	if r.never || r.against && !r.outweighs {
		return "", 0, false
	}
	kind = cmp.Or(r.kind, schemas.OtherIncome)
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
	return description.hasAny(p.Reversals) || category.hasAny(p.Reversals)
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
