package api_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// TestGeneratedCodeIsCurrent generates once more and wants the committed file.
func TestGeneratedCodeIsCurrent(t *testing.T) {
	out := filepath.Join(t.TempDir(), "openapi.gen.go")
	config, err := os.ReadFile("oapi-codegen.yaml") // its output goes before the flag -o
	require.NoError(t, err)
	elsewhere := strings.Replace(string(config), "output: openapi.gen.go", "output: "+out, 1)
	require.NoError(t, os.WriteFile(out+".yaml", []byte(elsewhere), 0o600))
	cmd := exec.CommandContext(t.Context(), "go", "tool", "oapi-codegen", "--config", out+".yaml", "openapi.yaml")
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", text)
	want, err := os.ReadFile(out)
	require.NoError(t, err)
	got, err := os.ReadFile("openapi.gen.go")
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run go generate ./api")
}

func TestTheServedDocumentIsTheCommittedOne(t *testing.T) {
	e := newEnv(t)
	want, err := os.ReadFile("openapi.yaml")
	require.NoError(t, err)
	require.Equal(t, want, e.request(http.MethodGet, "/v1/openapi.yaml", "", "", nil).is(http.StatusOK).body)
	doc, err := openapi3.NewLoader().LoadFromData(e.request(http.MethodGet, "/v1/openapi.json", "", "",
		nil).is(http.StatusOK).body)
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))
	require.Equal(t, spec(t).Paths.Len(), doc.Paths.Len())
}
