package rules

import (
	"fmt"
	"strings"

	"github.com/kasi-collections/kasi/schemas"
)

// Remedy is what can be done about a failed debit.
type Remedy string

// The remedies (CONTRACT 4.7).
const (
	// RemedyFunds: try again when money comes.
	RemedyFunds Remedy = "RETRY_WHEN_FUNDS"
	// RemedyAccount: the account must be mended before another debit.
	RemedyAccount Remedy = "FIX_ACCOUNT"
	// RemedyMandate: only a new mandate allows another debit.
	RemedyMandate Remedy = "NEW_MANDATE"
	// RemedyStop: never debit again.
	RemedyStop Remedy = "STOP"
)

// The schemes of reason codes.
const (
	SchemeZA  = "ZA"
	SchemeISO = "ISO"
)

// Reason is what a bank's code means.
type Reason struct {
	// Name is how reports show it: INSUFFICIENT_FUNDS.
	Name        string
	Remedy      Remedy
	Description string
	// Known is false for a code that is not in the table.
	Known bool
}

// reasonTable is the data of reasons.yaml, ready for look-ups.
type reasonTable struct {
	codes   map[string]Reason // scheme + "/" + code
	without map[schemas.ResultStatus]Reason
}

// Reason looks a code up. scheme is ZA, ISO or empty (then guessed by shape: digits are ZA); a ZA code may lack its
// leading zero. Without a code the status decides: UNPAID is UNSPECIFIED (retry when funds come), REJECTED is REJECTED
// (fix the account), DISPUTED is DISPUTED (new mandate). A code that is not in the table is UNKNOWN_<code> with
// RemedyStop and Known false: nothing is guessed.
func (r *Rules) Reason(status schemas.ResultStatus, scheme, code string) Reason {
	code = strings.ToUpper(strings.TrimSpace(code))
	if code == "" {
		return r.reasons.without[status]
	}
	if scheme == "" {
		scheme = guessScheme(code)
	}
	if reason, ok := r.reasons.codes[reasonKey(scheme, code)]; ok {
		return reason
	}
	return Reason{Name: "UNKNOWN_" + code, Remedy: RemedyStop, Description: "The bank's code is not in the table."}
}

func guessScheme(code string) string {
	if strings.Trim(code, "0123456789") == "" {
		return SchemeZA
	}
	return SchemeISO
}

// reasonKey drops leading zeros of ZA codes: 2, 02 and 002 are the same code.
func reasonKey(scheme, code string) string {
	if scheme == SchemeZA {
		code = strings.TrimLeft(code, "0")
	}
	return scheme + "/" + code
}

func buildReasons(p *problems, f dataFile) reasonTable {
	table := reasonTable{codes: map[string]Reason{}, without: map[schemas.ResultStatus]Reason{}}
	for i, e := range f.Reasons {
		place := fmt.Sprintf("reasons[%d]", i)
		reason := buildReason(p, place, e.Name, e.Remedy, e.Description)
		for _, code := range e.ZA {
			if guessScheme(code) != SchemeZA {
				p.addf(place+".za", "%q is not a number; expected a code such as 02", code)
			}
			table.codes[reasonKey(SchemeZA, code)] = reason
		}
		for _, code := range e.ISO {
			if code != strings.ToUpper(code) || guessScheme(code) != SchemeISO {
				p.addf(place+".iso", "%q is not an ISO code; expected a code such as AM04", code)
			}
			table.codes[reasonKey(SchemeISO, code)] = reason
		}
		if len(e.ZA)+len(e.ISO) == 0 {
			p.addf(place, "has no code")
		}
	}
	for i, e := range f.WithoutCode {
		place := fmt.Sprintf("without_code[%d]", i)
		status := oneOf(p, place+".status", e.Status, schemas.ResultUnpaid, schemas.ResultRejected, schemas.ResultDisputed)
		table.without[status] = buildReason(p, place, e.Name, e.Remedy, e.Description)
	}
	return table
}

func buildReason(p *problems, place, name, remedy, description string) Reason {
	if name == "" || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
		p.addf(place+".name", "%q is not a name; expected capitals such as INSUFFICIENT_FUNDS", name)
	}
	if strings.HasPrefix(name, "UNKNOWN_") {
		p.addf(place+".name", "%q begins like the name of an unknown code", name)
	}
	kind := oneOf(p, place+".remedy", remedy, RemedyFunds, RemedyAccount, RemedyMandate, RemedyStop)
	return Reason{Name: name, Remedy: kind, Description: description, Known: true}
}
