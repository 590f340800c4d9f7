package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// wire is the network cable of one life of a process. It sees every request and answer as frames of Kafka's protocol,
// and does to them what the weather says: the broker's own faults refuse a request, a wire lets it be applied and then
// loses, falsifies or delays the answer.
type wire struct {
	dialer  func(context.Context, string, string) (net.Conn, error)
	weather *weather
	process string

	mu     sync.Mutex
	conns  map[*tapped]struct{}
	dead   bool
	killed chan struct{} // closed by kill
}

var errDead = errors.New("sim: this process is dead")

// dial makes a dead process wait before it hears that it is: kgo asks again without a pause for what it takes to be
// refused for good, and would go round for ever while virtual time stands still.
func (w *wire) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	select {
	case <-w.killed:
		if exact() { // without the overlay a lock that kgo holds meanwhile would stop virtual time
			time.Sleep(time.Second)
		}
	default:
	}
	c, err := w.dialer(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		_ = c.Close()
		return nil, errDead
	}
	t := &tapped{Conn: c, wire: w, pending: map[uint32]pending{}}
	w.conns[t] = struct{}{}
	return t, nil
}

// cut closes all connections, as a network does.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		_ = c.Conn.Close()
		delete(w.conns, c)
	}
}

// kill cuts all connections for good, as kill -9 does: nothing more of this life reaches the broker.
func (w *wire) kill() {
	w.mu.Lock()
	was := w.dead
	w.dead = true
	w.mu.Unlock()
	w.cut()
	if !was {
		close(w.killed)
	}
}

// pending is a request without its answer yet, and what is to happen to that.
type pending struct {
	key kmsg.Key
	do  action
}

// action is what the wire does around one request.
type action struct {
	drop    bool          // the request is never sent, and the process dies
	lose    bool          // applied, and the connection breaks instead of the answer
	kill    bool          // applied, and the process dies before the answer
	cut     bool          // applied, and all connections break
	code    int16         // applied, and answered with this error
	falsify bool          // code counts
	delay   time.Duration // of the answer
}

// tapped is one connection. Kgo writes each request at once and reads answers in their order.
type tapped struct {
	net.Conn
	wire *wire

	mu      sync.Mutex
	pending map[uint32]pending // by correlation id
	rest    []byte
}

func (t *tapped) Write(p []byte) (int, error) {
	if len(p) < 12 {
		return t.Conn.Write(p)
	}
	key := kmsg.Key(binary.BigEndian.Uint16(p[4:6]))
	do := t.wire.weather.around(t.wire.process, key)
	if do.drop {
		t.wire.kill()
		return 0, errDead
	}
	t.mu.Lock()
	t.pending[binary.BigEndian.Uint32(p[8:12])] = pending{key, do}
	t.mu.Unlock()
	return t.Conn.Write(p)
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

// frame reads one whole answer and does to it what was decided.
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
	p := t.pending[id]
	delete(t.pending, id)
	t.mu.Unlock()
	if p.do.delay > 0 {
		time.Sleep(p.do.delay)
	}
	switch {
	case p.do.kill:
		t.wire.kill()
		return nil, errDead
	case p.do.cut:
		t.wire.cut()
		return nil, io.EOF
	case p.do.lose:
		_ = t.Conn.Close()
		return nil, io.EOF
	case p.do.falsify:
		// A flexible answer: length 4, correlation id 4, tags 1, throttle 4, error code 2.
		binary.BigEndian.PutUint16(frame[13:15], uint16(p.do.code))
	}
	return frame, nil
}

// Close forgets the connection.
func (t *tapped) Close() error {
	t.wire.mu.Lock()
	delete(t.wire.conns, t)
	t.wire.mu.Unlock()
	return t.Conn.Close()
}
