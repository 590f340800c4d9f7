package rules

import (
	"slices"
	"strings"

	"github.com/kasi-collections/kasi/schemas"
)

// KindWords are the words whose occurrence in a deposit's description, category or counterparty marks its kind.
type KindWords struct {
	Kind schemas.IncomeKind `yaml:"kind"`
	// Outweighs tells that the words outweigh those that speak against income: CORRECTIONS DEPARTMENT SALARY.
	Outweighs bool `yaml:"outweighs"`
	// Faint words may also be a person's name. They do not count in a counterparty, nor behind an initial.
	Faint bool     `yaml:"faint"`
	Words []string `yaml:"words"`
}

// Sense is what a phrase says of a credit.
type Sense int

// The senses of a phrase: those of the lists of Params.
const (
	SaysNothing Sense = iota
	NeverIncome
	NotIncome
	NotAfterKind
	NamesKind
)

// Phrase is one word or more of a list of Params, in upper case.
type Phrase struct {
	Words []string
	Sense Sense
	Payer bool       // it names who pays what is no income, so it counts in a counterparty too
	Kind  *KindWords // where it names one
	Rank  int        // of the kind: of two kinds the one of the lower rank counts
}

// TextEnds stands for the end of a text in a phrase: "GRANT |" is a text whose last word is GRANT.
const TextEnds = "|"

// Phrases are all phrases by their first word, the longest first.
type Phrases map[string][]Phrase

// phrases checks the lists of words and makes phrases of them. Where two lists hold the same phrase, the one that
// speaks more strongly against income counts.
func (p *problems) phrases(line int, v *Params) {
	v.Phrases, v.Reversals = Phrases{}, Phrases{}
	p.add(line, "reversal", v.Reversals, v.Reversal, Phrase{})
	p.add(line, "never_income", v.Phrases, v.NeverIncome, Phrase{Sense: NeverIncome})
	p.add(line, "not_after_kind", v.Phrases, v.NotAfterKind, Phrase{Sense: NotAfterKind})
	p.add(line, "not_income", v.Phrases, v.NotIncome, Phrase{Sense: NotIncome})
	p.add(line, "not_income_payers", v.Phrases, v.NotIncomePayers, Phrase{Sense: NotIncome, Payer: true})
	p.add(line, "names", v.Phrases, v.Names, Phrase{Sense: SaysNothing})
	for i := range v.KindWords {
		k := &v.KindWords[i]
		oneOf(p, line, "kind", k.Kind, schemas.Salary, schemas.Grant, schemas.Pension, schemas.Wage,
			schemas.Gig, schemas.OtherIncome)
		p.add(line, "words", v.Phrases, k.Words, Phrase{Sense: NamesKind, Kind: k, Rank: i})
	}
}

// add adds a list of words to phrases, each first word's phrases with the longest first. A phrase that is there already
// keeps its sense.
func (p *problems) add(line int, name string, to Phrases, list []string, of Phrase) {
	p.words(line, name, list)
	for _, text := range list {
		of.Words = strings.Fields(text)
		if len(of.Words) == 0 {
			continue
		}
		same := to[of.Words[0]]
		if i := slices.IndexFunc(same, func(f Phrase) bool { return slices.Equal(f.Words, of.Words) }); i >= 0 {
			same[i].Payer = same[i].Payer || of.Payer
			continue
		}
		i := slices.IndexFunc(same, func(f Phrase) bool { return len(f.Words) < len(of.Words) })
		if i < 0 {
			i = len(same)
		}
		to[of.Words[0]] = slices.Insert(same, i, of)
	}
}
