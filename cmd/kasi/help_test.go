package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/cmd/internal/config"
)

// TestEveryCommandHasAnExample: help without an example leaves the reader to guess.
func TestEveryCommandHasAnExample(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		require.NotEmpty(t, c.Short, c.CommandPath())
		require.Contains(t, c.Example, "kasi ", c.CommandPath())
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root())
}

// A line of help that is wider than the terminal is broken anywhere.
func TestHelpFitsATerminal(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for line := range strings.Lines(c.Long + "\n" + c.UsageString()) {
			require.LessOrEqual(t, len(line), 121, "%s: %s", c.CommandPath(), line)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root())
}

func TestRunNamesItsRoles(t *testing.T) {
	for _, args := range []string{"", "foo", "sink api"} {
		require.ErrorContains(t, oneRole(nil, strings.Fields(args)), "ticker, intake, collect, settle, sink, webhooks, api")
	}
	require.NoError(t, oneRole(nil, []string{"sink"}))
}

func TestTheReadyLineTellsWhereMadeKeysAre(t *testing.T) {
	c := config.Config{HTTP: "127.0.0.1:8080", DataDir: "d"}
	require.Contains(t, readyLine(c, true), " data d keys d/secrets.yaml")
	require.NotContains(t, readyLine(c, false), "keys")
}

func TestFlagsOfOneCommandComeFromEnvironmentAndFileToo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kasi.yaml")
	require.NoError(t, os.WriteFile(file, []byte("to: 2025-11-24\npace: soon\nkafka-brokers: k1:9092\n"), 0o600))
	find := func(args ...string) *cobra.Command {
		cmd, rest, err := root().Find(args)
		require.NoError(t, err)
		require.NoError(t, cmd.ParseFlags(rest))
		return cmd
	}
	env := map[string]string{"KASI_CONFIG": file}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	filled := func(args ...string) string {
		cmd := find(append([]string{"calendar", "advance"}, args...)...)
		require.NoError(t, config.Fill(cmd.Flags(), lookup))
		require.NoError(t, cmd.ValidateRequiredFlags())
		c, err := load(cmd)
		require.NoError(t, err, "a key of another command is no mistake")
		require.Equal(t, "k1:9092", c.KafkaBrokers)
		return cmd.Flags().Lookup("to").Value.String()
	}
	require.Equal(t, "2025-11-24", filled(), "the file")
	env["KASI_TO"] = "2025-11-26"
	require.Equal(t, "2025-11-26", filled(), "the environment wins over the file")
	require.Equal(t, "2025-12-01", filled("--to", "2025-12-01"), "the command line wins over both")
	require.ErrorContains(t, config.Fill(find("feed", "replay").Flags(), lookup), "pace in "+file)
}

// What the shell offers for a flag is what the program takes; of a flag that takes free text it offers nothing.
func TestFlagsCompleteTheirValues(t *testing.T) {
	for line, want := range map[string]string{
		"up --calendar ":                       "real\tfollows the clock\nmanual\tstands until kasi calendar advance\n:4\n",
		"up --log-format ":                     "text\njson\n:4\n",
		"sql --format ":                        "table\njson\ncsv\ntsv\nvertical\n:4\n",
		"reports download --format ":           "csv\njson\n:4\n",
		"keys create --scopes ":                "read\nwrite\nsettle\n:4\n",
		"up --rules ":                          "yaml\nyml\n:8\n",
		"up --data-dir ":                       ":16\n",
		"up --http ":                           ":4\n",
		"settlements list --status ":           "pending\npaid\ndisputed\ncarried_forward\n:4\n",
		"tenants set acme distribution_":       "distribution_fee=\tpercent of what is collected\n",
		"dlq list --topic ":                    "kasi.feed.transactions.v1\nkasi.feed.incomes.v1\nkasi.rail.results.v1\n",
		"run se":                               "settle\tmakes the statements\n:4\n",
		"kafka undecided --end --as ":          "committed\naborted\n:4\n",
		"policies import policies.csv --mode ": "full\tthe file is the whole book\n:4\n",
	} {
		out, _, err := runKasi(t, append([]string{"__complete"}, strings.Split(line, " ")...)...)
		require.NoError(t, err, line)
		require.Contains(t, out, want, line)
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		out, _, err := runKasi(t, "completion", shell)
		require.NoError(t, err)
		require.Contains(t, out, "kasi")
	}
}

func TestVersionIsAFlagToo(t *testing.T) {
	for _, args := range [][]string{{"--version"}, {"version"}} {
		out, _, err := runKasi(t, args...)
		require.NoError(t, err)
		require.Regexp(t, `^kasi .*\(commit .*, go1\.`, out)
	}
}
