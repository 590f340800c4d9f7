package streams

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Three classes of error (STYLE): a bad record is a *schemas.Reject and goes to the dead letters; a *fatalError is a
// programmer's or an operator's and stops the stage; everything else is transient: the stage starts again from what is
// committed.

// fatalError stops the stage: trying again would give the same.
type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }
func (e *fatalError) Unwrap() error { return e.err }

// bug marks an error as one that trying again cannot cure.
func bug(err error) error {
	if err == nil {
		return nil
	}
	return &fatalError{err}
}

// fatal tells whether the stage must stop.
func fatal(err error) bool {
	var f *fatalError
	if errors.As(err, &f) {
		return true
	}
	for _, e := range []error{
		kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed,
		kerr.ClusterAuthorizationFailed,
		kerr.SaslAuthenticationFailed, kerr.UnsupportedVersion, kerr.InvalidTransactionTimeout,
		kerr.InconsistentGroupProtocol,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// hint adds the way out to errors that have one.
func hint(err error, instance string) error {
	if errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch) {
		return fmt.Errorf("fenced; if this repeats, another process runs with the same instance id %q and one of them "+
			"needs its own: %w", instance, err)
	}
	return err
}

// backoff waits longer after each failure in a row, from 100 ms to 5 s.
type backoff struct{ failures int }

func (b *backoff) reset() { b.failures = 0 }

// wait returns false when ctx ended.
func (b *backoff) wait(ctx context.Context) bool {
	d := min(100*time.Millisecond<<min(b.failures, 6), 5*time.Second)
	b.failures++
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
