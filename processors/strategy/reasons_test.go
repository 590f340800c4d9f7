package strategy

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
)

// TestEveryReasonIsExplained reads the constants from the source, so that a new one cannot be forgotten in the table.
func TestEveryReasonIsExplained(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("reasons.go")
	require.NoError(t, err)
	matches := regexp.MustCompile(`\tWhy\w+ += "([A-Z_]+)"`).FindAllStringSubmatch(string(source), -1)
	require.Greater(t, len(matches), 20)
	sentences := map[string]string{}
	for _, m := range matches {
		if m[1] == WhyBlindRetry {
			continue
		}
		v := Meaning(m[1])
		require.True(t, strings.HasSuffix(v.Sentence, ".") && strings.Contains(v.Sentence, " "), "%s has no sentence", m[1])
		require.Empty(t, sentences[v.Sentence], "%s says the same as another", m[1])
		sentences[v.Sentence] = m[1]
		for _, a := range v.Alternatives {
			require.NotEqual(t, v.Action, a.Action, "an alternative of %s is no alternative", m[1])
		}
	}
	require.Equal(t, schemas.DecideStop, Meaning(WhyPeriodEnded).Action)
}
