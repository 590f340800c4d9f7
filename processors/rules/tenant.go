package rules

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"cloud.google.com/go/civil"
	"github.com/shopspring/decimal"

	"github.com/kasi-collections/kasi/schemas"
)

// TenantSetting is a setting that a tenant may have of its own.
type TenantSetting struct {
	Name string
	// About says what it is, in a few words; its value is a whole number from Low to High, or a percentage.
	About     string
	Low, High int
	// param sets it among the parameters, fee says where it is among the fees. What has neither is not for what decides.
	param func(*Params, int)
	fee   func(*feePair) *rate
}

// TenantSettings are all that there are.
var TenantSettings = []TenantSetting{
	{
		Name: "distribution_fee", About: "percent of what is collected",
		fee: func(f *feePair) *rate { return &f.Distribution },
	},
	{
		Name: "collections_fee", About: "percent of what is collected",
		fee: func(f *feePair) *rate { return &f.Collections },
	},
	{
		Name: "failure_cents", About: "what a failed presentment costs, in cents", High: 100_000,
		param: func(p *Params, n int) { p.FailureCents = schemas.Cents(n) },
	},
	{
		Name: "failure_percent", About: "what it costs beside, in percent of the amount", High: 1_000,
		param: func(p *Params, n int) { p.FailurePercent = n },
	},
	{
		Name: "patience", About: "what an amount is worth after waiting, in 1/10,000", High: 10_000,
		param: func(p *Params, n int) { p.Patience = n },
	},
	{
		Name: "patience_new", About: "the same of a new account", High: 10_000,
		param: func(p *Params, n int) { p.PatienceNew = n },
	},
	{
		Name: "holdout_percent", About: "customers of a hundred on the fixed schedule", High: 50,
		param: func(p *Params, n int) { p.HoldoutPercent = n },
	},
	{
		Name: "failure_days", About: "days of a month on which a customer's debits may fail", Low: 1, High: 31,
		param: func(p *Params, n int) { p.FailureDays = n },
	},
	{Name: QueriesPerMinute, About: "GET calls of a key; 0 = no limit", High: 1_000_000},
	{Name: UpdatesPerMinute, About: "changing calls of a key; 0 = no limit", High: 1_000_000},
}

// The settings that bound the API's calls.
const (
	QueriesPerMinute = "queries_per_minute"
	UpdatesPerMinute = "updates_per_minute"
)

// CheckSetting tells what is wrong with a setting; an empty value is right.
func CheckSetting(s schemas.TenantSetting) error {
	if d, err := civil.ParseDate(s.From); err != nil || d.String() != s.From || d.Year < FirstYear || d.Year > LastYear {
		return fmt.Errorf("from: %q is not a date; expected YYYY-MM-DD between %d and %d", s.From, FirstYear, LastYear)
	}
	i := slices.IndexFunc(TenantSettings, func(t TenantSetting) bool { return t.Name == s.Name })
	if i < 0 {
		names := make([]string, len(TenantSettings))
		for i, t := range TenantSettings {
			names[i] = t.Name
		}
		return fmt.Errorf("%q is no setting; there are %s", s.Name, strings.Join(names, ", "))
	}
	if s.Value == "" {
		return nil
	}
	_, err := TenantSettings[i].read(s.Value)
	return err
}

// read is the value as a number; a percentage as a fraction.
func (t TenantSetting) read(value string) (decimal.Decimal, error) {
	if t.fee != nil {
		d, err := decimal.NewFromString(value)
		if err != nil || len(value) > 12 || d.IsNegative() || d.GreaterThan(decimal.NewFromInt(100)) {
			return d, fmt.Errorf("%s: %q is not a percentage; expected 0 to 100 such as 3.5", t.Name, value)
		}
		return d.Shift(-2), nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < t.Low || n > t.High {
		return decimal.Zero, fmt.Errorf("%s: %q is not a whole number from %d to %d", t.Name, value, t.Low, t.High)
	}
	return decimal.NewFromInt(int64(n)), nil
}

// For are these rules as they hold for a tenant with settings of its own. A setting with a mistake is an error.
func (r *Rules) For(own schemas.TenantSettings) (*Rules, error) {
	for _, s := range own.Settings {
		if err := CheckSetting(s); err != nil {
			return nil, err
		}
	}
	n := *r
	n.params = overlaid(r.params, own, func(p *collecting, t *TenantSetting, value decimal.Decimal) {
		if t.param != nil {
			t.param(&p.Params, int(value.IntPart()))
		}
	})
	n.tenants = maps.Clone(r.tenants)
	n.tenants[own.TenantID] = overlaid(r.tenants[own.TenantID], own,
		func(f *feePair, t *TenantSetting, value decimal.Decimal) {
			if t.fee != nil {
				*t.fee(f) = rate{decimal.NewNullDecimal(value)}
			}
		})
	return &n, nil
}

// overlaid is a list with a tenant's settings over it: an entry for each day on which either changes.
func overlaid[T any](list []dated[T], own schemas.TenantSettings, set func(*T, *TenantSetting, decimal.Decimal),
) []dated[T] {
	days := make([]civil.Date, 0, len(list)+len(own.Settings))
	for _, e := range list {
		days = append(days, e.From.Date)
	}
	for _, s := range own.Settings {
		day, _ := civil.ParseDate(s.From) // checked
		days = append(days, day)
	}
	slices.SortFunc(days, civil.Date.Compare)
	var out []dated[T]
	for _, day := range slices.Compact(days) {
		e := dated[T]{From: date{day}}
		if len(list) > 0 && !list[0].From.After(day) {
			e.Value = *inForce(list, day)
		}
		for i := range TenantSettings {
			t := &TenantSettings[i]
			if text := own.On(t.Name, day.String()); text != "" {
				value, _ := t.read(text) // checked
				set(&e.Value, t, value)
			}
		}
		out = append(out, e)
	}
	return out
}
