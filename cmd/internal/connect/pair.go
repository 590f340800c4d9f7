package connect

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
)

// pair is a certificate and its key in two PEM files. They are read again when they have changed: whoever renews a
// certificate need not start anything again.
type pair struct {
	cert, key string
	log       *slog.Logger

	mu    sync.Mutex
	last  *tls.Certificate
	stamp string // of the files that were last read, whether they fitted or not
}

// openPair reads the files. option is the beginning of the options' names, for errors.
func openPair(option, cert, key string, log *slog.Logger) (*pair, error) {
	p := &pair{cert: cert, key: key, log: log}
	c, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s-cert, %s-key: %w; expected a certificate (%s) and its own key (%s), both in PEM", option,
			option, err, cert, key)
	}
	p.last = &c // the first handshake reads it once more: it may have been changed meanwhile
	return p, nil
}

// current is the certificate of the files as they are now. Files that do not fit, as between the renewals of one and
// the other, leave the one before in force.
func (p *pair) current() *tls.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	stamp, err := stampOf(p.cert, p.key)
	if err == nil && stamp == p.stamp {
		return p.last
	}
	c, wrong := tls.LoadX509KeyPair(p.cert, p.key)
	if err = errors.Join(err, wrong); err == nil {
		p.last = &c
	} else if stamp != p.stamp {
		p.log.Warn("a certificate cannot be read again; the one before stays in force", "certificate", p.cert, "key", p.key,
			"err", err)
	}
	p.stamp = stamp
	return p.last
}

// stampOf changes with the files.
func stampOf(paths ...string) (stamp string, err error) {
	for _, path := range paths {
		info, missing := os.Stat(path)
		if err = errors.Join(err, missing); missing == nil {
			stamp += fmt.Sprint(info.Size(), " ", info.ModTime().UnixNano(), "\n")
		}
	}
	return stamp, err
}
