package webhooks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/kasi-collections/kasi/schemas"
)

const (
	requestMost  = 15 * time.Second // a whole request, with its answer
	answerMost   = 64 << 10         // bytes of an answer that are read
	retryMost    = time.Hour        // of a Retry-After that is believed
	sayMost      = 200              // bytes of an error that are kept
	headersMost  = 16 << 10
	perHostIdle  = 4
	dialMost     = 5 * time.Second
	idleMost     = 30 * time.Second
	userAgent    = "kasi-webhooks/1"
	tooManyCalls = http.StatusTooManyRequests
)

// sender makes requests. It connects to public addresses only, unless an operator allows others, asks no proxy, and
// follows no redirect.
type sender struct {
	seal         seal
	allowPrivate bool
	http         http.Client
}

func newSender(cfg Config, seal seal) *sender {
	dialer := &net.Dialer{Timeout: dialMost}
	if !cfg.AllowPrivate {
		dialer.Control = guard
	}
	return &sender{seal: seal, allowPrivate: cfg.AllowPrivate, http: http.Client{
		Timeout: requestMost,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: dialMost, MaxResponseHeaderBytes: headersMost,
			MaxIdleConnsPerHost: perHostIdle, IdleConnTimeout: idleMost, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// outcome is what became of an attempt.
type outcome struct {
	delivered bool
	status    int    // 0 where no answer came
	why       string // empty where it was delivered
	// whole says that it is the webhook that fails, not this one delivery.
	whole bool
	after time.Duration // what the answer asked to wait
}

// try makes one attempt.
func (s *sender) try(ctx context.Context, w *schemas.Webhook, id, payload string) outcome {
	now := time.Now()
	signature, err := s.seal.sign(w, id, now, payload)
	if err != nil {
		return outcome{why: err.Error(), whole: true}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, strings.NewReader(payload))
	if err != nil || req.URL.Scheme != "https" && !s.allowPrivate {
		return outcome{why: "the webhook's url is not https", whole: true}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", userAgent)
	// The specification writes them in lower case; names of headers know no case.
	req.Header.Set(standardwebhooks.HeaderWebhookID, id)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	res, err := s.http.Do(req)
	if err != nil {
		return outcome{why: clip(cause(err)), whole: true}
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, answerMost) // so that the connection can be used again
	out := outcome{status: res.StatusCode, delivered: res.StatusCode >= 200 && res.StatusCode < 300}
	if !out.delivered {
		out.why, out.whole = fmt.Sprintf("answered %d", res.StatusCode), isWhole(res.StatusCode)
		if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
			out.after = min(time.Duration(min(seconds, int(retryMost/time.Second)))*time.Second, retryMost)
		}
	}
	return out
}

// isWhole tells whether an answer speaks of the webhook and not of what was sent: it is overloaded, moved, gone or
// closed to us.
func isWhole(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusRequestTimeout, http.StatusGone, http.StatusTooEarly, tooManyCalls:
		return true
	}
	return status >= 500 || status < 400
}

// cause is what a request failed of, without the address, which may hold a secret.
func cause(err error) string {
	var timeout net.Error
	var dns *net.DNSError
	switch {
	case errors.Is(err, errPrivate):
		return errPrivate.Error()
	case errors.As(err, &dns):
		return "the name is not known, or cannot be asked for"
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("no answer within %v", requestMost)
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err.Error()
}

func clip(text string) string {
	if len(text) > sayMost {
		text = strings.ToValidUTF8(text[:sayMost], "")
	}
	return text
}
