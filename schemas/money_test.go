package schemas_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kasi-collections/kasi/schemas"
)

// Rands are read to the cent, or refused: nothing is rounded, cut off or guessed.
func TestRands(t *testing.T) {
	// As floats, these times 100 are a hair below the whole number.
	for text, want := range map[string]schemas.Cents{
		"1.15": 115, "0.29": 29, "8.41": 841, "150": 15_000, "150.5": 15_050,
		"10000000000.00": schemas.MaxCents,
	} {
		got, err := schemas.ParseRands(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for text, why := range map[string]string{
		"": "is empty", "-1": "negative", "1.239": "more than two decimals", "1.230": "more than two decimals",
		"1e3": "plain decimal", "1,50": "plain decimal",
		"1.2.3": "plain decimal", "10000000000.01": "is above 10000000000.00", strings.Repeat("9", 21): "plain decimal",
	} {
		_, err := schemas.ParseRands(text)
		require.ErrorContains(t, err, why, text)
	}
	rapid.Check(t, func(t *rapid.T) {
		c := schemas.Cents(rapid.Int64Range(0, int64(schemas.MaxCents)).Draw(t, "cents"))
		text, err := json.Marshal(schemas.Rands(c))
		require.NoError(t, err)
		require.Equal(t, c.String(), string(text))
		var back schemas.Rands
		require.NoError(t, json.Unmarshal(text, &back))
		require.Equal(t, c, schemas.Cents(back))
	})
}
