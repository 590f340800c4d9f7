package webhooks

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
)

// special are the blocks of addresses that are not the public internet (IANA's registries of special-purpose
// addresses), and those that carry an IPv4 address inside, behind which a translator may reach a private one.
var special = func() (blocks []netip.Prefix) {
	for _, block := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
		"192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
		"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23",
		"2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10",
		"ff00::/8",
	} {
		blocks = append(blocks, netip.MustParsePrefix(block))
	}
	return blocks
}()

// errPrivate says that an address is not one of the public internet.
var errPrivate = errors.New("the address is private, loopback, link-local or otherwise not public; an operator may " +
	"allow such addresses with --webhooks-allow-private")

// public tells whether an address is one of the public internet. An IPv4 address in IPv6's clothes is not.
func public(addr netip.Addr) bool {
	return addr.IsValid() && addr.Zone() == "" && addr.IsGlobalUnicast() &&
		!slices.ContainsFunc(special, func(block netip.Prefix) bool { return block.Contains(addr) })
}

// guard refuses a connection to an address that is not public. It is asked with the address that was resolved, right
// before the connection is made: a name that resolves otherwise than a moment ago gains nothing.
func guard(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address cannot be read: %w", err)
	}
	if !public(at.Addr()) {
		return errPrivate
	}
	return nil
}

// maxURL bounds an address, in bytes.
const maxURL = 2048

// CheckURL says why an address cannot be a webhook's, as a sentence without a subject. What a name resolves to is
// looked at when a request is made.
func (c Config) CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > maxURL || u.Opaque != "" || u.Hostname() == "":
		return errors.New("is not an address such as https://example.com/kasi")
	case u.User != nil:
		return errors.New("holds a user or password; a webhook is known by its signature")
	case u.Fragment != "":
		return errors.New("holds a fragment (#), which no server ever sees")
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("is not https")
	case c.AllowPrivate:
		return nil
	case u.Scheme != "https":
		return errors.New("is not https; an operator may allow http with --webhooks-allow-private")
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if addr, err := netip.ParseAddr(host); err == nil && !public(addr) || host == "localhost" ||
		strings.HasSuffix(host, ".localhost") {
		return fmt.Errorf("is refused: %w", errPrivate)
	}
	return nil
}
