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
