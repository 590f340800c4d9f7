package schemas

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The same definitions make the tables of one server and of a cluster of replicas: testdata/tables.sql holds, of each,
// what stands around the columns. KASI_GOLDEN=write writes the file anew; read its diff.
func TestTablesOfOneServerAndOfACluster(t *testing.T) {
	all := Tables()
	for _, s := range States() {
		all = append(all, s.Table)
	}
	var got strings.Builder
	around := func(statement, columnsEnd string) {
		head, rest, _ := strings.Cut(statement, "\n(\n")
		columns, tail, _ := strings.Cut(rest, columnsEnd)
		require.NotEmpty(t, columns)
		tail, _, _ = strings.Cut(tail, "\nCOMMENT ")
		got.WriteString(head + "\n( ... )" + tail + ";\n\n")
	}
	for _, on := range []Cluster{"", "kasi"} {
		for _, table := range all {
			around(table.Create(on), "\n)")
		}
		for _, v := range Views() {
			head, _, _ := strings.Cut(v.Create(on), "\n")
			got.WriteString(head + " ...;\n")
		}
		got.WriteString("\n")
	}
	const file = "testdata/tables.sql"
	if os.Getenv("KASI_GOLDEN") == "write" {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got.String())
}
