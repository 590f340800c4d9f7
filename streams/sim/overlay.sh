#!/bin/sh
# Loads the dice of Go's runtime for `make sim`. It writes an overlay (go help build, -overlay) of a few of its files into the directory $1.
#
# A goroutine in a synctest bubble draws from the bubble's own sequence: which ready case a select takes, where the iteration of a map
# begins, which of the timers of one instant comes first, what math/rand gives. And nothing is preempted by the clock of the machine. With
# one processor and no garbage collection a run is then the same each time. The compiler, the standard library and the installed Go stay
# untouched.
set -eu
out=$1
root=$(go env GOROOT)/src/runtime
mkdir -p "$out"
out=$(cd "$out" && pwd)

# edit FILE SED: a copy with the edit made, which must change it.
edit() {
	sed "$2" "$root/$1" >"$out/$1.new"
	if cmp -s "$out/$1.new" "$root/$1"; then
		echo "overlay.sh: $(go version) has another $root/$1; this line must be mended: $2" >&2
		exit 1
	fi
	if cmp -s "$out/$1.new" "$out/$1"; then rm "$out/$1.new"; else mv "$out/$1.new" "$out/$1"; fi
}

edit rand.go '/^func rand() uint64 {$/a\
	if x, ok := bubbleRand(); ok {\
		return x\
	}'
edit select.go 's/cheaprandn(uint32(norder + 1))/bubbleRandn(uint32(norder + 1))/'
edit time.go 's/t\.rand = cheaprand()/t.rand = bubbleRandn(1 << 31)/'
edit proc.go 's/^const forcePreemptNS = .*/const forcePreemptNS = 1 << 60/'
# Kgo holds a mutex while it waits for the broker; who waits for that mutex must not stop virtual time, or both wait for ever.
edit runtime2.go 's/^\twaitReasonSynctestSelect: .*true,$/&\
	waitReasonSyncMutexLock: true, waitReasonSyncRWMutexRLock: true, waitReasonSyncRWMutexLock: true,/'

cat >"$out/bubblerand.go.new" <<'GO'
package runtime

import "internal/runtime/math"

// bubbleRandState is the random state of the synctest bubble bubbleRandOf, which drew last.
var bubbleRandState, bubbleRandOf uint64

// bubbleRand draws for a goroutine of a bubble. Each bubble begins with the same state.
//
//go:nosplit
func bubbleRand() (uint64, bool) {
	gp := getg().m.curg
	if gp == nil || gp.bubble == nil {
		return 0, false
	}
	if gp.bubble.id != bubbleRandOf {
		bubbleRandOf, bubbleRandState = gp.bubble.id, 0
	}
	bubbleRandState += 0xa0761d6478bd642f
	hi, lo := math.Mul64(bubbleRandState, bubbleRandState^0xe7037ed1a0b428db)
	return hi ^ lo, true
}

// bubbleRandn is less than n.
//
//go:nosplit
func bubbleRandn(n uint32) uint32 {
	x, ok := bubbleRand()
	if !ok {
		return cheaprandn(n)
	}
	return uint32((uint64(uint32(x)) * uint64(n)) >> 32)
}
GO
if cmp -s "$out/bubblerand.go.new" "$out/bubblerand.go"; then
  rm "$out/bubblerand.go.new"
else
  mv "$out/bubblerand.go.new" "$out/bubblerand.go"
fi

{
	printf '{"Replace":{"%s/bubblerand.go":"%s/bubblerand.go"' "$root" "$out"
	for f in rand select time proc runtime2; do printf ',"%s/%s.go":"%s/%s.go"' "$root" "$f" "$out" "$f"; done
	printf '}}\n'
} >"$out/overlay.json"
