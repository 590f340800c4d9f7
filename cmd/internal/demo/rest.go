package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/kasi-collections/kasi/api/client"
	"github.com/kasi-collections/kasi/schemas"
)

// insurer calls the REST API as an insurer's back office does. It waits out 429 answers as they ask, and repeats what
// found nobody, was cut off or was answered with 503: every call may be repeated.
type insurer struct {
	*client.Client
	key      string
	patience time.Duration
	http     http.Client
}

func newInsurer(base, key string, patience time.Duration) *insurer {
	i := &insurer{key: key, patience: patience, http: http.Client{Timeout: 2 * time.Minute}}
	i.Client = &client.Client{Server: strings.TrimSuffix(base, "/") + "/v1/", Client: i}
	return i
}

// importPolicies uploads a policies.csv; a row that was not imported is an error here.
func (i *insurer) importPolicies(ctx context.Context, csv []byte) (client.ImportResult, error) {
	var upload bytes.Buffer
	form := multipart.NewWriter(&upload)
	part, err := form.CreateFormFile("file", "policies.csv")
	if err == nil {
		_, err = part.Write(csv)
	}
	if err := errors.Join(err, form.Close()); err != nil {
		return client.ImportResult{}, fmt.Errorf("demo: build the upload: %w", err)
	}
	reply, err := answer[client.ImportResult](i.ImportPoliciesWithBody(ctx, nil, form.FormDataContentType(), &upload))
	if err == nil && reply.Failed > 0 {
		err = fmt.Errorf("demo: %d of %d policies were not imported, the first error is %+v", reply.Failed,
			reply.Failed+reply.Imported, reply.Errors[:min(1, len(reply.Errors))])
	}
	return reply, err
}

// execute starts the collections of a period: of the policies with these numbers, of all active ones where none is
// named.
func (i *insurer) execute(ctx context.Context, p schemas.Period, numbers ...string) (client.ExecutionAccepted, error) {
	in := client.ExecuteInput{PeriodMonth: p}
	if len(numbers) > 0 {
		in.PolicyIds = &numbers
	}
	return answer[client.ExecutionAccepted](i.ExecuteCollections(ctx, nil, in))
}

func (i *insurer) report(ctx context.Context, p schemas.Period) ([]client.ReportRow, error) {
	format := "json"
	reply, err := answer[client.Report](i.ReportCollections(ctx,
		&client.ReportCollectionsParams{PeriodMonth: string(p), Format: &format}))
	return reply.Results, err
}

// patch changes the policy that has the number.
func (i *insurer) patch(ctx context.Context, number string, change client.PolicyPatch) error {
	found, err := answer[client.PolicyList](i.ListPolicies(ctx, &client.ListPoliciesParams{PolicyNumber: &number}))
	if err != nil {
		return err
	}
	if len(found.Data) != 1 {
		return fmt.Errorf("demo: the API knows %d policies numbered %s; expected one", len(found.Data), number)
	}
	_, err = content(i.PatchPolicy(ctx, found.Data[0].ID, nil, change))
	return err
}

// content is what a call was answered with.
func content(resp *http.Response, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(resp.Body)
	return b, errors.Join(err, resp.Body.Close())
}

// answer reads what a call was answered with from JSON.
func answer[T any](resp *http.Response, err error) (out T, _ error) {
	b, err := content(resp, err)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(b, &out); err != nil {
		return out, fmt.Errorf("demo: %s %s: the answer is not what the API promises: %w", resp.Request.Method,
			resp.Request.URL.RequestURI(), err)
	}
	return out, nil
}

// Do sends a request of the client until it succeeds, and holds the whole answer then.
func (i *insurer) Do(req *http.Request) (*http.Response, error) {
	req.Header.Set("X-API-Key", i.key)
	began := time.Now()
	resp, err := backoff.Retry(req.Context(), func() (*http.Response, error) {
		if req.GetBody != nil {
			req.Body, _ = req.GetBody() // from memory: it does not fail
		}
		resp, err := i.http.Do(req)
		b, err := content(resp, err)
		again := true
		switch {
		case err != nil:
		case resp.StatusCode == http.StatusTooManyRequests:
			seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // 0 where it says none
			return nil, backoff.RetryAfter(max(seconds, 1))
		case resp.StatusCode < 300:
			resp.Body = io.NopCloser(bytes.NewReader(b))
			return resp, nil
		default:
			err, again = fmt.Errorf("HTTP %d: %s", resp.StatusCode, b), resp.StatusCode == http.StatusServiceUnavailable
		}
		if !again || time.Since(began) >= i.patience {
			err = backoff.Permanent(err)
		}
		return nil, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(retryPause)), backoff.WithMaxElapsedTime(0))
	if err != nil {
		return nil, fmt.Errorf("demo: %s %s: %w", req.Method, req.URL.RequestURI(), err)
	}
	return resp, nil
}

// retryPause is the pause before a call is repeated.
const retryPause = 250 * time.Millisecond
