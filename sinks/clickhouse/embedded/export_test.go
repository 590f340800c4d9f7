package embedded

import "time"

// WithFirstPause shortens the supervisor's pauses for a test.
func WithFirstPause(o Options, pause time.Duration) Options {
	o.firstPause = pause
	return o
}

// Alive tells whether a process is there and no zombie.
func Alive(pid int) bool { return alive(pid) }

// FindLibrary says where libchdb.so is, or where it was looked for.
func FindLibrary() (string, error) { return findLibrary() }
