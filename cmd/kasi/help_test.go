package main

import (
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

func TestRunNamesItsRoles(t *testing.T) {
	for _, args := range []string{"", "foo", "sink api"} {
		require.ErrorContains(t, oneRole(nil, strings.Fields(args)), "ticker, intake, collect, settle, sink, api")
	}
	require.NoError(t, oneRole(nil, []string{"sink"}))
}

func TestTheReadyLineTellsWhereMadeKeysAre(t *testing.T) {
	c := config.Config{HTTP: "127.0.0.1:8080", DataDir: "d"}
	require.Contains(t, readyLine(c, true), " data d keys d/secrets.yaml")
	require.NotContains(t, readyLine(c, false), "keys")
}

func TestFlagsOfOneCommandComeFromTheEnvironmentToo(t *testing.T) {
	env := map[string]string{"KASI_TO": "2025-11-26", "KASI_KAFKA_BROKERS": "left-to-config:1"}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	cmd := calendarAdvance()
	require.NoError(t, flagsFromEnvironment(cmd, lookup))
	require.Equal(t, "2025-11-26", cmd.Flags().Lookup("to").Value.String())
	require.Empty(t, cmd.Flags().Lookup("kafka-brokers").Value.String())
	require.NoError(t, cmd.ValidateRequiredFlags())

	require.NoError(t, cmd.Flags().Set("to", "2025-12-01"))
	require.NoError(t, flagsFromEnvironment(cmd, lookup))
	require.Equal(t, "2025-12-01", cmd.Flags().Lookup("to").Value.String(), "the command line wins")

	require.ErrorContains(t, flagsFromEnvironment(feedReplay(), func(string) (string, bool) { return "soon", true }), "KASI_PACE")
}
