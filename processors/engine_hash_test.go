package processors_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/processors/strategy"
)

// The engine's hash stands for all that it decides by: the rules, the strategy's setting and its table.
func TestEngineHash(t *testing.T) {
	other, err := rules.Load([]byte("payment_day:\n  - {from: 2026-01-01, day: 4}\n"))
	require.NoError(t, err)
	table := strategy.Kasi(false)
	learned := *table.Table
	learned.Hash = "another"
	table.Table = &learned
	seen := map[string]bool{}
	for _, e := range []*processors.Engine{
		processors.NewEngine(rules.Default(), processors.WithStrategy(strategy.Standard{})),
		processors.NewEngine(other, processors.WithStrategy(strategy.Standard{})),
		processors.NewEngine(rules.Default(), processors.WithStrategy(strategy.Kasi(false))),
		processors.NewEngine(rules.Default(), processors.WithStrategy(strategy.Kasi(true))),
		processors.NewEngine(rules.Default(), processors.WithStrategy(table)),
	} {
		require.Regexp(t, "^[0-9a-f]{16}$", e.Hash())
		require.False(t, seen[e.Hash()])
		seen[e.Hash()] = true
	}
}
