package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/feed"
)

// flagValues are what the shell offers for a flag, by the flag's name, or by "command flag" where commands differ.
func flagValues() map[string][]string {
	var topics []string
	for _, t := range schemas.Topics {
		topics = append(topics, t.Name)
	}
	return map[string][]string{
		"calendar":        {"real\tfollows the clock", "manual\tstands until kasi calendar advance"},
		"payouts":         {"assumed\tpaid on the payment date", "confirmed\tpaid when the bank says so"},
		"log-level":       {"debug", "info", "warn", "error"},
		"log-format":      {"text", "json"},
		"format":          {feed.FormatCzech1999},
		"sql format":      {"table", "json", "csv", "tsv", "vertical"},
		"download format": {"csv", "json"},
		"mode":            {"merge\tonly the rows of the file change anything", "full\tthe file is the whole book"},
		"period":          {"this\tthis month in Johannesburg", "last\tlast month in Johannesburg"},
		"status":          {"pending", "paid", "disputed", "carried_forward"},
		"scopes":          {"read", "write", "settle"},
		"as":              {"committed", "aborted"},
		"topic":           topics,
		"clickhouse-user": {"analyst", "kasi"},
	}
}

// flagFiles are the flags that take a file, with the endings that the shell offers; none means any.
func flagFiles() map[string][]string {
	return map[string][]string{
		"config": {"yaml", "yml"}, "rules": {"yaml", "yml"}, "ledger": {"csv"}, "fed": {"csv"},
		"transactions": nil, "output": nil, "out": nil, "plot": {"svg", "png"},
	}
}

// completeValues tells the shell what the flags of a command and of all below it take. Of a flag that takes neither a
// known word nor a file nothing is offered: a name of a file would be wrong.
func completeValues(cmd *cobra.Command) {
	values, files := flagValues(), flagFiles()
	offer := func(f *pflag.Flag) {
		if _, known := cmd.GetFlagCompletionFunc(f.Name); known {
			return
		}
		words, known := values[cmd.Name()+" "+f.Name]
		if !known {
			words = values[f.Name]
		}
		// The only mistake that these return is a flag that does not exist.
		endings, file := files[f.Name]
		for _, end := range []string{"-ca", "-cert", "-key", "-file"} {
			file = file || strings.HasSuffix(f.Name, end) && f.Name != "api-key"
		}
		switch {
		case file:
			_ = cmd.MarkFlagFilename(f.Name, endings...)
		case f.Name == "data-dir":
			_ = cmd.MarkFlagDirname(f.Name)
		default:
			_ = cmd.RegisterFlagCompletionFunc(f.Name,
				cobra.FixedCompletions(slices.Clone(words), cobra.ShellCompDirectiveNoFileComp))
		}
	}
	cmd.Flags().VisitAll(offer)
	cmd.PersistentFlags().VisitAll(func(f *pflag.Flag) {
		if cmd.Flags().Lookup(f.Name) == nil {
			offer(f)
		}
	})
	for _, sub := range cmd.Commands() {
		completeValues(sub)
	}
}

// settingsToComplete offers a tenant's settings behind its name.
func settingsToComplete(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 || strings.Contains(begun, "=") {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, s := range rules.TenantSettings {
		out = append(out, s.Name+"=\t"+s.About)
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
