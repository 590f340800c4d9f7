package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The most bytes one request may have. Only produce requests are ever large. The broker allocates what a request claims
// before it has read any of it, and its parser up to some sixty times as much for arrays of tiny elements.
const (
	maxProduce = 100 << 20
	maxOther   = 8 << 20
)

// guard is a listener whose connections pass on only requests that the broker can take: it dies of an API key it does
// not know, and allocates whatever size a request claims. Bad connections are closed, each with a line in the log; all
// others are unharmed.
type guard struct {
	net.Listener
	host string // as clients name us; the broker advertises it
	log  *slog.Logger
}

// Addr is the address that the broker advertises: the host as configured and the port we got.
func (g *guard) Addr() net.Addr {
	_, port, _ := net.SplitHostPort(g.Listener.Addr().String())
	return address(net.JoinHostPort(g.host, port))
}

type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

// Accept never fails while the listener is open: the broker would stop accepting for good at the first error, such as
// too many open files.
func (g *guard) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err == nil {
			return &conn{Conn: c, log: g.log}, nil
		}
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		g.log.Warn("embedded kafka: cannot accept a connection, trying again", "error", err)
		time.Sleep(50 * time.Millisecond)
	}
}

// conn checks the first bytes of every request before the broker sees any of them. Only the broker's reader calls Read,
// one at a time.
type conn struct {
	net.Conn
	log *slog.Logger

	head   [12]byte // size, API key, version, correlation id of the current request
	unread []byte   // part of head the broker has not read yet
	body   int      // bytes of the current request still on the wire
}

// Read passes on a checked request, never across the border to the next.
func (c *conn) Read(b []byte) (int, error) {
	if len(c.unread) == 0 && c.body == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if len(c.unread) > 0 {
		n := copy(b, c.unread)
		c.unread = c.unread[n:]
		return n, nil
	}
	n, err := c.Conn.Read(b[:min(len(b), c.body)])
	c.body -= n
	return n, err
}

// next reads and checks the head of the next request.
func (c *conn) next() error {
	for n := 0; n < len(c.head); {
		m, err := c.Conn.Read(c.head[n:])
		n += m
		if n >= 4 {
			// Checked as soon as it is there: a broken client must not keep us waiting for the rest of a head that never comes.
			if err := checkSize(int32(binary.BigEndian.Uint32(c.head[:])), maxProduce); err != nil {
				return c.refuse(err)
			}
		}
		if err != nil && n < len(c.head) {
			return err
		}
	}
	size := int32(binary.BigEndian.Uint32(c.head[:]))
	key := int16(binary.BigEndian.Uint16(c.head[4:]))
	version := int16(binary.BigEndian.Uint16(c.head[6:]))
	if err := checkRequest(size, key, version); err != nil {
		return c.refuse(err)
	}
	c.unread, c.body = c.head[:], int(size)-(len(c.head)-4)
	return nil
}

func (c *conn) refuse(err error) error {
	c.log.Warn("embedded kafka: connection closed", "client", c.RemoteAddr().String(), "error", err)
	return errors.Join(err, c.Close())
}

// checkSize refuses what no request can have: a head alone is 8 bytes behind the size.
func checkSize(size, most int32) error {
	if size < 8 || size > most {
		return fmt.Errorf("a request of %d bytes; from 8 to %d are taken: is this a Kafka client?", size, most)
	}
	return nil
}

func checkRequest(size int32, key, version int16) error {
	req := kmsg.RequestForKey(key)
	if req == nil {
		return fmt.Errorf("unknown API key %d", key)
	}
	// Clients may ask for a later version of ApiVersions than we know: that is how versions are negotiated.
	if version < 0 || version > req.MaxVersion() && key != int16(kmsg.ApiVersions) {
		return fmt.Errorf("unknown version %d of %s", version, kmsg.NameForKey(key))
	}
	if key != int16(kmsg.Produce) {
		return checkSize(size, maxOther)
	}
	return nil
}
