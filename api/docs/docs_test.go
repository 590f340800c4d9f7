package docs_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/api/docs"
)

// TestEveryCallIsShown: each operation, parameter and schema of openapi.yaml stands on the page.
func TestEveryCallIsShown(t *testing.T) {
	spec, err := os.ReadFile("../openapi.yaml")
	require.NoError(t, err)
	h, err := docs.New(spec)
	require.NoError(t, err)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/docs", nil))
	page := rec.Body.String()
	require.Equal(t, http.StatusOK, rec.Code)

	doc, err := openapi3.NewLoader().LoadFromData(spec)
	require.NoError(t, err)
	calls := 0
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			calls++
			require.Contains(t, page, `id="`+op.OperationID+`"`, "%s %s", method, path)
			for _, p := range append(op.Parameters, item.Parameters...) {
				require.Contains(t, page, `name="`+p.Value.Name+`"`)
			}
		}
	}
	require.Greater(t, calls, 20)
	for name := range doc.Components.Schemas {
		require.Contains(t, page, `id="schema-`+name+`"`)
	}
	for _, file := range []string{"/docs/docs.js", "/docs/docs.css"} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, file, nil))
		require.Equal(t, http.StatusOK, rec.Code, file)
	}
}

func TestABrokenDocumentIsRefused(t *testing.T) {
	_, err := docs.New([]byte("openapi: 3.0.3\npaths: 7"))
	require.ErrorContains(t, err, "docs")
}
