package rules

import (
	"fmt"

	"cloud.google.com/go/civil"
	"github.com/shopspring/decimal"

	"github.com/kasi-collections/kasi/schemas"
)

// FeeRates are a tenant's rates in force on a day, as fractions: 0.25 is 25 %.
type FeeRates struct{ Distribution, Collections, VAT decimal.Decimal }

// feePair is the part of the rates that a tenant may have of its own; nil leaves the general rate.
type feePair struct{ distribution, collections *decimal.Decimal }

// Fees are the tenant's rates in force on a day.
func (r *Rules) Fees(tenant string, on civil.Date) FeeRates {
	rates := FeeRates{VAT: at(r.vat, on)}
	general := at(r.fees, on)
	set(&rates.Distribution, general.distribution)
	set(&rates.Collections, general.collections)
	// A tenant's own rates hold from their date only; before it the general ones do.
	if own := r.tenants[tenant]; len(own) > 0 && !own[0].from.After(on) {
		special := at(own, on)
		set(&rates.Distribution, special.distribution)
		set(&rates.Collections, special.collections)
	}
	return rates
}

// PaymentDate is the day a statement of period p is paid: the 3rd of the next month (data) or the business day before
// it. Where that lies before notBefore, it is the next month's such day, and so on.
func (r *Rules) PaymentDate(p schemas.Period, notBefore civil.Date) civil.Date {
	for month := p.Next().First(); ; month = month.AddMonths(1) {
		day := at(r.payday, month)
		date := civil.Date{Year: month.Year, Month: month.Month, Day: day}
		if pay := r.Calendar.OnOrBefore(date); !pay.Before(notBefore) {
			return pay
		}
	}
}

func buildFees(p *problems, place string, entries []feeEntry) []dated[feePair] {
	froms := map[string]civil.Date{}
	for i, e := range entries {
		froms[e.From] = p.from(fmt.Sprintf("%s[%d]", place, i), e.From)
	}
	fraction := func(here string, to **decimal.Decimal, percent *string) {
		if percent != nil {
			rate := p.fraction(here, *percent)
			*to = &rate
		}
	}
	return timeline(entries, func(e feeEntry) civil.Date { return froms[e.From] }, func(pair *feePair, e feeEntry) {
		here := place + " of " + froms[e.From].String()
		fraction(here+".distribution_percent", &pair.distribution, e.Distribution)
		fraction(here+".collections_percent", &pair.collections, e.Collections)
	})
}

func buildVAT(p *problems, entries []vatEntry) []dated[decimal.Decimal] {
	froms := map[string]civil.Date{}
	for i, e := range entries {
		froms[e.From] = p.from(fmt.Sprintf("vat[%d]", i), e.From)
	}
	return timeline(entries, func(e vatEntry) civil.Date { return froms[e.From] }, func(rate *decimal.Decimal,
		e vatEntry,
	) {
		*rate = p.fraction("vat of "+froms[e.From].String(), e.Percent)
	})
}
