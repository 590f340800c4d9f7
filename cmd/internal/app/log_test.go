package app

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A duration without its unit is read wrongly: JSON would have it as nanoseconds.
func TestDurationsInLogsHaveUnits(t *testing.T) {
	for format, want := range map[string]string{"json": `"took":"1.5s"`, "text": "took=1.5s"} {
		var out bytes.Buffer
		Logger(&out, "info", format).Info("done", "took", 1500*time.Millisecond)
		require.Contains(t, out.String(), want)
	}
}
