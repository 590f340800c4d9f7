package streams

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// wire stands between a client and the broker. The broker's own faults refuse a request; wire can let it be applied and
// then lose or falsify the answer, which is the case that exactly-once is about.
type wire struct {
	mu    sync.Mutex
	conns map[*tapped]struct{}
	dead  bool
	away  bool // the broker refuses connections, as one that has been killed

	// lose and falsify count down the answers still to be tampered with, per request key.
	key     atomic.Int32
	lose    atomic.Int32
	falsify atomic.Int32
	code    *kerr.Error
	hits    atomic.Int32
	// sent, where set, is told each request once it has been handed to the network.
	sent func(kmsg.Key)
}

var errDead = errors.New("wire: this process is dead")

func (w *wire) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		return nil, errDead
	}
	if w.away {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	t := &tapped{Conn: c, wire: w, pending: map[uint32]uint16{}}
	if w.conns == nil {
		w.conns = map[*tapped]struct{}{}
	}
	w.conns[t] = struct{}{}
	return t, nil
}

// cut closes all connections, as a network does.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		_ = c.Close()
		delete(w.conns, c)
	}
}

// setAway takes the broker away, or brings it back.
func (w *wire) setAway(away bool) {
	w.mu.Lock()
	w.away = away
	w.mu.Unlock()
	w.cut()
}

// kill cuts all connections for good, as kill -9 does: nothing more of this process reaches the broker.
func (w *wire) kill() {
	w.mu.Lock()
	w.dead = true
	w.mu.Unlock()
	w.cut()
}

// tapped is a connection whose answers can be tampered with. It hands on whole answers.
type tapped struct {
	net.Conn
	wire *wire

	mu      sync.Mutex
	pending map[uint32]uint16 // correlation id -> request key
	rest    []byte
}

// Write notes which request it is. Kgo writes each request at once.
func (t *tapped) Write(p []byte) (int, error) {
	if len(p) >= 12 {
		t.mu.Lock()
		t.pending[binary.BigEndian.Uint32(p[8:12])] = binary.BigEndian.Uint16(p[4:6])
		t.mu.Unlock()
	}
	n, err := t.Conn.Write(p)
	if len(p) >= 12 && t.wire.sent != nil {
		t.wire.sent(kmsg.Key(binary.BigEndian.Uint16(p[4:6])))
	}
	return n, err
}

func (t *tapped) Read(p []byte) (int, error) {
	if len(t.rest) == 0 {
		frame, err := t.frame()
		if err != nil {
			return 0, err
		}
		t.rest = frame
	}
	n := copy(p, t.rest)
	t.rest = t.rest[n:]
	return n, nil
}

// frame reads one answer and tampers with it where it is due.
func (t *tapped) frame() ([]byte, error) {
	head := make([]byte, 8)
	if _, err := io.ReadFull(t.Conn, head); err != nil {
		return nil, err
	}
	frame := append(head, make([]byte, int(binary.BigEndian.Uint32(head))-4)...)
	if _, err := io.ReadFull(t.Conn, frame[8:]); err != nil {
		return nil, err
	}
	t.mu.Lock()
	id := binary.BigEndian.Uint32(head[4:])
	key, known := t.pending[id]
	delete(t.pending, id)
	t.mu.Unlock()
	if !known || int32(key) != t.wire.key.Load() {
		return frame, nil
	}
	if t.wire.lose.Add(-1) >= 0 {
		t.wire.hits.Add(1)
		_ = t.Close()
		return nil, io.EOF
	}
	if t.wire.falsify.Add(-1) >= 0 {
		t.wire.hits.Add(1)
		// Flexible answer: length 4, correlation id 4, tags 1, throttle 4, error code 2.
		binary.BigEndian.PutUint16(frame[13:15], uint16(t.wire.code.Code))
	}
	return frame, nil
}
