package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/calendar"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/tenants"
	"github.com/kasi-collections/kasi/streams/topics"
)

// settingsHelp lists the settings that there are.
func settingsHelp() string {
	var b strings.Builder
	for _, s := range rules.TenantSettings {
		fmt.Fprintf(&b, "\n  %-20s %s", s.Name, s.About)
	}
	return b.String()
}

func tenantsSet() *cobra.Command {
	var from string
	var asJSON bool
	cmd := leaf(&cobra.Command{
		Use:   "set NAME --from DATE SETTING=VALUE...",
		Short: "Give a tenant settings of its own from a day on",
		Long: `set keeps settings of a tenant, each in force from DATE (a business date) until another of its name.
An empty value (patience=) is the general rule again. DATE may not lie before the month of the
business date: what was settled stays as it is. A statement has the fees of the last day of its
period. The settings:` + settingsHelp(),
		Args: cobra.MinimumNArgs(2), ValidArgsFunction: settingsToComplete,
		Example: `  kasi tenants set acme --from 2026-01-01 distribution_fee=22.5 collections_fee=3
  kasi tenants set acme --from 2026-03-01 distribution_fee=`,
	}, onTenants(func(c call, kafka stage.Config) error {
		var more []schemas.TenantSetting
		for _, arg := range c.args[1:] {
			name, value, ok := strings.Cut(arg, "=")
			s := schemas.TenantSetting{From: from, Name: name, Value: value}
			if !ok {
				return fmt.Errorf("%q is not SETTING=VALUE, such as distribution_fee=22.5", arg)
			}
			if err := rules.CheckSetting(s); err != nil {
				return err
			}
			more = append(more, s)
		}
		partitions, err := fromThisMonth(c, kafka, from)
		if err != nil {
			return err
		}
		own, err := tenants.Set(c.Context(), kafka, partitions, c.args[0], more)
		if err != nil {
			return err
		}
		return printSettings(c.OutOrStdout(), own, asJSON)
	}), "kafka", "kafka-brokers", "rules")
	cmd.Flags().StringVar(&from, "from", "", "business date from which the settings hold, YYYY-MM-DD")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	return must(cmd, "from")
}

// fromThisMonth refuses a day before the month of the business date. It returns the partition count.
func fromThisMonth(c call, kafka stage.Config, from string) (partitions int32, err error) {
	cl, partitions, err := topics.Open(kafka)
	if err != nil {
		return 0, err
	}
	cl.Close()
	return partitions, onCalendar(func(c call, cal *calendar.Clock) error {
		now, err := cal.Show(c.Context())
		if err != nil || !now.Known {
			return err
		}
		if first := now.Tick.Date[:len("2025-11")] + "-01"; from < first {
			return fmt.Errorf("--from: %s has been settled or may have been: the business date is %s; expected %s or later",
				from, now.Tick.Date, first)
		}
		return nil
	})(c)
}

func tenantsShow() *cobra.Command {
	var asJSON bool
	cmd := leaf(&cobra.Command{
		Use:   "show NAME",
		Short: "Show a tenant's own settings, by the days from which they hold",
		Args:  cobra.ExactArgs(1),
		Example: `  kasi tenants show acme
  kasi tenants show acme --json`,
	}, onTenants(func(c call, kafka stage.Config) error {
		r := tenants.Follow(c.Context(), kafka)
		if err := r.Refresh(c.Context()); err != nil {
			return err
		}
		name := c.args[0]
		if !r.Has(name) {
			return fmt.Errorf("there is no tenant %q; `kasi tenants list` shows those there are", name)
		}
		own := r.Settings(name)
		own.TenantID = name
		return printSettings(c.OutOrStdout(), own, asJSON)
	}), "kafka", "kafka-brokers")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	return cmd
}

func printSettings(w io.Writer, own schemas.TenantSettings, asJSON bool) error {
	if asJSON {
		if own.Settings == nil {
			own.Settings = []schemas.TenantSetting{}
		}
		return json.NewEncoder(w).Encode(struct {
			Tenant   string                  `json:"tenant_id"`
			Settings []schemas.TenantSetting `json:"settings"`
		}{own.TenantID, own.Settings})
	}
	if len(own.Settings) == 0 {
		_, err := fmt.Fprintf(w, "tenant %s has no settings of its own\n", own.TenantID)
		return err
	}
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"from", "setting", "value"})
	for _, s := range own.Settings {
		value := s.Value
		if value == "" {
			value = "the general rule"
		}
		t.AppendRow(table.Row{s.From, s.Name, value})
	}
	t.Render()
	return nil
}
