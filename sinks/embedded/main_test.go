package embedded_test

import (
	"os"
	"testing"

	"github.com/kasi-collections/kasi/sinks/embedded"
)

func TestMain(m *testing.M) {
	embedded.RunIfChild()
	os.Exit(m.Run())
}
