// Package heap sets the garbage collector of long-running commands.
package heap

import (
	"os"
	"runtime"
)

// Floor lets the collector run less often while there is little to keep: a transaction makes tens of megabytes of
// garbage, and beside a small state Go would look through everything several times for each. It holds 64 MiB that are
// never touched, and so are only address space, until release is called. A percentage would take gigabytes for a large
// state. Where the operator has set GOGC or GOMEMLIMIT, theirs counts.
func Floor() (release func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	ballast := make([]byte, 64<<20)
	return func() { runtime.KeepAlive(ballast) }
}
