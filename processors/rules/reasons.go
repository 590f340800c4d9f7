package rules

import (
	"slices"
	"strings"

	"github.com/kasi-collections/kasi/schemas"
)

// Remedy is what can be done about a failed debit.
type Remedy string

// The remedies (CONTRACT 4.7).
const (
	RemedyFunds   Remedy = "RETRY_WHEN_FUNDS" // try again when money comes
	RemedyAccount Remedy = "FIX_ACCOUNT"      // the account must be mended before another debit
	RemedyMandate Remedy = "NEW_MANDATE"      // only a new mandate allows another debit
	RemedyStop    Remedy = "STOP"             // never debit again
)

// Severity orders remedies, from 0 for the one that asks for money only to 3 for the one that stops for good.
func (r Remedy) Severity() int {
	return slices.Index([]Remedy{RemedyFunds, RemedyAccount, RemedyMandate, RemedyStop}, r)
}

// The schemes of reason codes.
const schemeZA, schemeISO = "ZA", "ISO"

// Reason is what a bank's code means.
type Reason struct {
	Name        string `yaml:"name"` // as reports show it: INSUFFICIENT_FUNDS
	Remedy      Remedy `yaml:"remedy"`
	Description string `yaml:"description"`
	Known       bool   `yaml:"-"` // false for a code that is not in the table
}

// reasonTable is the data of reasons.yaml, ready for look-ups.
type reasonTable struct {
	codes   map[string]Reason // scheme + "/" + code
	without map[schemas.ResultStatus]Reason
	names   map[string]Remedy
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

// RemedyOf is the remedy of the reason of that name: RemedyStop where the table does not have it.
func (r *Rules) RemedyOf(name string) Remedy {
	if remedy, ok := r.reasons.names[name]; ok {
		return remedy
	}
	return RemedyStop
}

func guessScheme(code string) string {
	if strings.Trim(code, "0123456789") == "" {
		return schemeZA
	}
	return schemeISO
}

// reasonKey drops leading zeros of ZA codes: 2, 02 and 002 are the same code.
func reasonKey(scheme, code string) string {
	if scheme == schemeZA {
		code = strings.TrimLeft(code, "0")
	}
	return scheme + "/" + code
}

// codedReason is a reason and its codes of each scheme.
type codedReason struct {
	Reason `yaml:",inline"`
	ZA     []string `yaml:"za"`
	ISO    []string `yaml:"iso"`
}

// statusReason is the reason of results without a code.
type statusReason struct {
	Status schemas.ResultStatus `yaml:"status"`
	Reason `yaml:",inline"`
}

func buildReasons(p *problems, f *dataFile) reasonTable {
	table := reasonTable{
		codes: map[string]Reason{}, without: map[schemas.ResultStatus]Reason{}, names: map[string]Remedy{},
	}
	for _, e := range f.Reasons {
		reason, line := e.value, e.node.Line
		p.reason(line, &reason.Reason)
		table.names[reason.Name] = reason.Remedy
		for _, code := range reason.ZA {
			if guessScheme(code) != schemeZA {
				p.addf(line, "za: %q is not a number; expected a code such as 02", code)
			}
			table.codes[reasonKey(schemeZA, code)] = reason.Reason
		}
		for _, code := range reason.ISO {
			if code != strings.ToUpper(code) || guessScheme(code) != schemeISO {
				p.addf(line, "iso: %q is not an ISO code; expected a code such as AM04", code)
			}
			table.codes[reasonKey(schemeISO, code)] = reason.Reason
		}
		if len(reason.ZA)+len(reason.ISO) == 0 {
			p.addf(line, "the reason %q has no code", reason.Name)
		}
	}
	for _, e := range f.WithoutCode {
		reason, line := e.value, e.node.Line
		oneOf(p, line, "status", reason.Status, schemas.ResultUnpaid, schemas.ResultRejected, schemas.ResultDisputed)
		p.reason(line, &reason.Reason)
		table.without[reason.Status] = reason.Reason
		table.names[reason.Name] = reason.Remedy
	}
	return table
}

// reason checks a reason of the data, which makes it a known one.
func (p *problems) reason(line int, r *Reason) {
	if r.Name == "" || strings.Trim(r.Name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
		p.addf(line, "name: %q is not a name; expected capitals such as INSUFFICIENT_FUNDS", r.Name)
	}
	if strings.HasPrefix(r.Name, "UNKNOWN_") {
		p.addf(line, "name: %q begins like the name of an unknown code", r.Name)
	}
	oneOf(p, line, "remedy", r.Remedy, RemedyFunds, RemedyAccount, RemedyMandate, RemedyStop)
	r.Known = true
}
