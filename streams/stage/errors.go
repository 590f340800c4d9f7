package stage

import (
	"errors"
	"fmt"

	"github.com/cenkalti/backoff/v5"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Three classes of error: a bad record is a *schemas.Reject and goes to the dead letters; a fatal one is a
// programmer's or an operator's and stops the stage; everything else is transient: the stage starts again from what is
// committed.

// Fatal marks an error as one that trying again cannot cure. Nil stays nil.
func Fatal(err error) error {
	if err == nil {
		return nil
	}
	return backoff.Permanent(err)
}

// IsFatal tells whether the stage must stop.
func IsFatal(err error) bool {
	if errors.As(err, new(*backoff.PermanentError)) {
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
