package rules

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/kasi-collections/kasi/schemas"
)

//go:embed data/*.yaml
var embeddedData embed.FS

// dataFile is the shape of data/*.yaml and of the override file.
type dataFile struct {
	Proclaimed      list[namedDay]                  `yaml:"proclaimed"`
	NotObserved     list[namedDay]                  `yaml:"not_observed"`
	DecemberPayday  list[dated[dayOfMonth]]         `yaml:"december_payday"`
	Grants          list[dated[grantRule]]          `yaml:"grants"`
	GrantExceptions list[grantMonth]                `yaml:"grant_exceptions"`
	Rails           list[dated[RailRule]]           `yaml:"rails"`
	DisputeWindows  list[dated[window]]             `yaml:"dispute_windows"`
	Reasons         list[codedReason]               `yaml:"reasons"`
	WithoutCode     list[statusReason]              `yaml:"without_code"`
	Fees            list[dated[feePair]]            `yaml:"fees"`
	VAT             list[dated[percentage]]         `yaml:"vat"`
	TenantFees      map[string]list[dated[feePair]] `yaml:"tenant_fees"`
	PaymentDay      list[dated[dayOfMonth]]         `yaml:"payment_day"`
	Statements      list[dated[window]]             `yaml:"statement_disputes"`
	Collecting      list[dated[collecting]]         `yaml:"collecting"`
}

type dayOfMonth struct {
	Day int `yaml:"day"`
}

type percentage struct {
	Percent rate `yaml:"percent"`
}

// window is for how many days a debit may be disputed, on every rail where none is named.
type window struct {
	Days  int            `yaml:"days"`
	Rails []schemas.Rail `yaml:"rails"`
}

// collecting is Params as they are written.
type collecting struct {
	Params   `yaml:",inline"`
	MinDebit rands `yaml:"min_debit"`
}

// Load are the embedded data with an override file (YAML, the same keys) on top: proclaimed days, fees per tenant,
// collecting parameters. An override entry with an earlier entry's key and date replaces what it names of it; lists of
// days add up. Unknown keys and impossible values are refused, and the error lists all of them.
func Load(override []byte) (*Rules, error) {
	var all dataFile
	var p problems
	var texts [][]byte
	files, err := fs.Glob(embeddedData, "data/*.yaml")
	for _, name := range files {
		text, readErr := embeddedData.ReadFile(name)
		texts = append(texts, text)
		err = errors.Join(err, readErr, all.read(&p, text))
	}
	if err != nil {
		return nil, fmt.Errorf("embedded data: %w", err)
	}
	if err := all.read(&p, override); err != nil {
		return nil, fmt.Errorf("rules file: %w", err)
	}
	r := build(&p, &all)
	if len(p) > 0 {
		return nil, fmt.Errorf("rules file: %s", strings.Join(p, "\n"))
	}
	r.hash, err = hashOf(append(texts, override))
	return r, err
}

// hashOf stands for what the documents say, in their order: comments and layout do not count.
func hashOf(texts [][]byte) (string, error) {
	h := sha256.New()
	for _, text := range texts {
		var said any
		if err := yaml.Unmarshal(text, &said); err != nil {
			return "", fmt.Errorf("rules file: %w", err)
		}
		if said == nil {
			continue // nothing but comments
		}
		if err := json.NewEncoder(h).Encode(said); err != nil {
			return "", fmt.Errorf("rules file: %w", err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// read adds one YAML document to the data and refuses keys that it does not know.
func (f *dataFile) read(p *problems, text []byte) error {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	var mistakes *yaml.TypeError
	if err := dec.Decode(f); errors.As(err, &mistakes) {
		for _, m := range mistakes.Errors {
			m, _, _ = strings.Cut(m, " in type ") // a Go type says nothing to who wrote the file
			*p = append(*p, m)
		}
	} else if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("holds more than one YAML document; expected one")
	}
	return nil
}

// build checks the data and makes the rules of it.
func build(p *problems, f *dataFile) *Rules {
	r := &Rules{
		Calendar: buildCalendar(p, f),
		rails:    map[schemas.Rail][]dated[RailRule]{},
		disputes: map[schemas.Rail][]dated[window]{},
		reasons:  buildReasons(p, f),
		params:   timeline(p, f.Collecting, true, p.collecting),
		fees:     timeline(p, f.Fees, true, anyValue),
		tenants:  map[string][]dated[feePair]{},
		payday: timeline(p, f.PaymentDay, false,
			func(line int, v *dayOfMonth) { p.between(line, "payment_day", v.Day, 1, 28) }),
		statements: timeline(p, f.Statements, false, func(line int, v *window) {
			p.between(line, "days", v.Days, 0, 366)
			if len(v.Rails) > 0 {
				p.addf(line, "statement_disputes: rails are not known here")
			}
		}),
		vat: timeline(p, f.VAT, false, func(line int, v *percentage) {
			if !v.Percent.Valid {
				p.addf(line, "vat: percent is missing; expected 0 to 100")
			}
		}),
	}
	for tenant, own := range f.TenantFees {
		r.tenants[tenant] = timeline(p, own, true, anyValue)
	}
	rails := []schemas.Rail{schemas.RailEFT, schemas.RailDebiCheck, schemas.RailRM}
	for _, e := range f.Rails {
		rule, line := e.value.Value, e.node.Line
		oneOf(p, line, "rail", rule.Name, rails...)
		p.between(line, "unpaids_end_mandate", rule.UnpaidsEndMandate, 0, 100)
		p.between(line, "tracking_days", rule.TrackingDays, 0, 100)
		p.between(line, "attempts_per_cycle", rule.AttemptsPerCycle, 0, 100)
	}
	for i := range f.DisputeWindows {
		w, line := &f.DisputeWindows[i].value.Value, f.DisputeWindows[i].node.Line
		p.between(line, "days", w.Days, 0, 1000)
		for _, rail := range w.Rails {
			oneOf(p, line, "rails", rail, rails...)
		}
	}
	for _, rail := range rails {
		ofRail := slices.DeleteFunc(slices.Clone(f.Rails),
			func(e entry[dated[RailRule]]) bool { return e.value.Value.Name != rail })
		r.rails[rail] = timeline(p, ofRail, true, anyValue)
		windows := slices.DeleteFunc(slices.Clone(f.DisputeWindows), func(e entry[dated[window]]) bool {
			return len(e.value.Value.Rails) > 0 && !slices.Contains(e.value.Value.Rails, rail)
		})
		r.disputes[rail] = timeline(p, windows, false, anyValue)
	}
	return r
}

// anyValue is the check of values that have been checked before.
func anyValue[T any](int, *T) {}

// collecting checks the parameters and takes over what is not written as the strategy reads it.
func (p *problems) collecting(line int, v *collecting) {
	v.MinDebitCents = schemas.Cents(v.MinDebit)
	p.between(line, "first_attempt_day", v.FirstAttemptDay, 1, 31)
	p.between(line, "common_payday", v.CommonPayday, 1, 31)
	p.between(line, "failure_cents", int(v.FailureCents), 0, 100_000)
	p.between(line, "failure_percent", v.FailurePercent, 0, 1_000)
	p.between(line, "mandate_months", v.MandateMonths, 0, 600)
	p.between(line, "patience", v.Patience, 0, 10_000)
	p.between(line, "patience_new", v.PatienceNew, 0, 10_000)
	p.between(line, "holdout_percent", v.HoldoutPercent, 0, 50)
	p.between(line, "seen_days", v.SeenDays, 31, 1000)
	p.between(line, "backfill_days", v.BackfillDays, 0, 3660)
	p.between(line, "ahead_days", v.AheadDays, 31, 3660)
	p.between(line, "answer_days", v.AnswerDays, 1, 365)
	p.between(line, "debit_days", v.DebitDays, 0, 1000)
	p.between(line, "cancel_back_days", v.CancelBackDays, 0, 366)
	p.between(line, "arrears_periods", v.ArrearsPeriods, 0, 12)
	p.between(line, "failure_days", v.FailureDays, 1, 31)
	if len(v.FailurePauses) == 0 {
		p.addf(line, "failure_pauses is empty; expected at least one number of days, such as 0")
	}
	for _, days := range v.FailurePauses {
		p.between(line, "failure_pauses", days, 0, 31)
	}
	p.between(line, "deposit_days", v.DepositDays, 1, 366)
	p.between(line, "money_days", v.MoneyDays, 1, 60)
	p.between(line, "known_income_days", v.KnownIncomeDays, 1, 366)
	p.between(line, "stream_history", v.StreamHistory, 3, 100)
	p.between(line, "same_money_days", v.SameMoneyDays, 0, 31)
	p.between(line, "reversal_days", v.ReversalDays, 0, 31)
	p.phrases(line, &v.Params)
	if len(v.CutoffTimes) == 0 {
		p.addf(line, "cutoff_times is empty; expected at least one time such as 15:00")
	}
	for i, s := range v.CutoffTimes {
		if t, err := time.Parse("15:04", s); err != nil || t.Format("15:04") != s {
			p.addf(line, "cutoff_times: %q is not a time; expected HH:MM such as 15:00", s)
		} else if i > 0 && s <= v.CutoffTimes[i-1] {
			p.addf(line, "cutoff_times: %s does not come after %s", s, v.CutoffTimes[i-1])
		}
	}
}
