package rules

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
)

// The view reason_codes of ClickHouse says of every code what the rules say.
func TestTheViewOfReasonCodesIsComplete(t *testing.T) {
	var query string
	for _, v := range schemas.Views() {
		if v.Name == "reason_codes" {
			query = v.Select
		}
	}
	n := 0
	for key, r := range Default().reasons.codes {
		scheme, code, _ := strings.Cut(key, "/")
		if scheme == schemeZA && len(code) == 1 {
			code = "0" + code
		}
		require.Contains(t, query, fmt.Sprintf("(%s, %s, %s, %s, %s)", schemas.Quote(scheme), schemas.Quote(code),
			schemas.Quote(r.Name), schemas.Quote(string(r.Remedy)), schemas.Quote(r.Description)))
		n++
	}
	require.Equal(t, n, strings.Count(query, "        ("), "codes that the rules do not know")
}
