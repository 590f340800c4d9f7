// Package heap sets the garbage collector of long-running commands.
package heap

import (
	"os"
	"runtime"
)

// floor is how much more a process may allocate between two collections than its state alone would let it.
const floor = 64 << 20

// Floor lets the collector run less often while there is little to keep: a transaction makes tens of megabytes of
// garbage, and beside a state of some megabytes Go would look through everything several times for each. It does so by
// holding memory that is never touched, and so is none but address space, until release is called. Where the operator
// has set GOGC or GOMEMLIMIT, theirs counts.
//
// The collector's percentage would do the same for a small state, and would take gigabytes for a large one.
func Floor() (release func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	ballast := make([]byte, floor)
	return func() { runtime.KeepAlive(ballast) }
}
