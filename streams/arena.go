package streams

// arena is memory for the values of a batch, which live and die together: thousands of small pieces are cut from a few
// large ones.
type arena struct{ free []byte }

const (
	arenaSize = 64 << 10
	// arenaRoom is more than nearly every value needs. One that needs more moves out by itself.
	arenaRoom = 4 << 10
)

// room is where the next value may be appended.
func (a *arena) room() []byte {
	if cap(a.free) < arenaRoom {
		a.free = make([]byte, 0, arenaSize)
	}
	return a.free
}

// keep makes what was appended to room a value that nothing overwrites.
func (a *arena) keep(value []byte) []byte {
	n := len(value)
	if n <= cap(a.free) { // still in place
		a.free = a.free[n:n]
	}
	return value[:n:n]
}
