package rules

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"go.yaml.in/yaml/v3"
)

//go:embed data/*.yaml
var embeddedData embed.FS

// Load are the embedded data with an override file (YAML, the same keys) on top: proclaimed days, fees per tenant,
// collecting parameters. An override entry with an earlier entry's key and date replaces what it names of it; lists of
// days add up. Unknown keys and impossible values are refused, and the error lists all of them.
func Load(override []byte) (*Rules, error) {
	var all dataFile
	files, err := fs.Glob(embeddedData, "data/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("embedded data: %w", err)
	}
	for _, name := range files {
		text, err := embeddedData.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("embedded data: %w", err)
		}
		file, err := parseData(text)
		if err != nil {
			return nil, fmt.Errorf("embedded data, %s: %w", name, err)
		}
		all.add(file)
	}
	base, err := build(all)
	if err != nil {
		return nil, fmt.Errorf("embedded data: %w", err)
	}
	if len(bytes.TrimSpace(override)) == 0 {
		return base, nil
	}
	file, err := parseData(override)
	if err != nil {
		return nil, fmt.Errorf("rules file: %w", err)
	}
	all.add(file)
	rules, err := build(all)
	if err != nil {
		return nil, fmt.Errorf("rules file: %w", err)
	}
	return rules, nil
}

// parseData reads one YAML document and refuses keys it does not know.
func parseData(text []byte) (dataFile, error) {
	var file dataFile
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return file, err
	}
	if err := dec.Decode(new(dataFile)); !errors.Is(err, io.EOF) {
		return file, errors.New("holds more than one YAML document; expected one")
	}
	return file, nil
}

// add appends the other file's entries, so that they come later and win.
func (f *dataFile) add(o dataFile) {
	f.Proclaimed = append(f.Proclaimed, o.Proclaimed...)
	f.NotObserved = append(f.NotObserved, o.NotObserved...)
	f.DecemberPayday = append(f.DecemberPayday, o.DecemberPayday...)
	f.Grants = append(f.Grants, o.Grants...)
	f.GrantExceptions = append(f.GrantExceptions, o.GrantExceptions...)
	f.Rails = append(f.Rails, o.Rails...)
	f.DisputeWindows = append(f.DisputeWindows, o.DisputeWindows...)
	f.Reasons = append(f.Reasons, o.Reasons...)
	f.WithoutCode = append(f.WithoutCode, o.WithoutCode...)
	f.Fees = append(f.Fees, o.Fees...)
	f.VAT = append(f.VAT, o.VAT...)
	f.PaymentDay = append(f.PaymentDay, o.PaymentDay...)
	f.Collecting = append(f.Collecting, o.Collecting...)
	for tenant, fees := range o.TenantFees {
		if f.TenantFees == nil {
			f.TenantFees = tenantFees{}
		}
		f.TenantFees[tenant] = append(f.TenantFees[tenant], fees...)
	}
}
