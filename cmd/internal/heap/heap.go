// Package heap sets the garbage collector of long-running commands.
package heap

import (
	"os"
	"runtime"
	"runtime/debug"
)

// Floor lets the collector run less often while there is little to keep, and more often while there is much.
//
// A transaction makes tens of megabytes of garbage, and beside a small state Go would look through everything several
// times for each. So it holds memory that is never touched, and so is only address space, until release is called. With
// a large state the default percentage would take as much again for garbage; half of that costs some 6 % of processor
// time (`kasilab bench million`). Where the operator has set GOGC or GOMEMLIMIT, theirs counts.
func Floor() (release func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	before := debug.SetGCPercent(percent)
	ballast := make([]byte, floor)
	return func() {
		runtime.KeepAlive(ballast)
		debug.SetGCPercent(before)
	}
}

// Beside a state of 50 MB there may be 100 MB of garbage.
const (
	percent = 50
	floor   = 160 << 20
)
