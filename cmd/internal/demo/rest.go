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
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/kasi-collections/kasi/schemas"
)

// insurer calls the REST API as an insurer's back office does. It waits out 429 answers as they ask, and repeats what
// found nobody, was cut off or was answered with 503: every call may be repeated.
type insurer struct {
	base, key string
	patience  time.Duration
	http      *http.Client
}

func newInsurer(base, key string, patience time.Duration) *insurer {
	return &insurer{
		base: strings.TrimSuffix(base, "/"), key: key, patience: patience,
		http: &http.Client{Timeout: 2 * time.Minute},
	}
}

// importReply is the answer to an import (CONTRACT 3).
type importReply struct {
	Imported int `json:"imported"`
	Failed   int `json:"failed"`
	Errors   []struct {
		Row     int    `json:"row"`
		Column  string `json:"column"`
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"errors"`
}

// importPolicies uploads a policies.csv; a row that was not imported is an error here.
func (i *insurer) importPolicies(ctx context.Context, csv []byte) (importReply, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "policies.csv")
	if err == nil {
		_, err = part.Write(csv)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		return importReply{}, fmt.Errorf("demo: build the upload: %w", err)
	}
	var reply importReply
	if err := i.call(ctx, http.MethodPost, "/v1/policies/import", form.FormDataContentType(), body.Bytes(),
		&reply); err != nil {
		return importReply{}, err
	}
	if reply.Failed > 0 {
		return reply, fmt.Errorf("demo: %d of %d policies were not imported, the first error is %+v", reply.Failed,
			reply.Failed+reply.Imported, reply.Errors[:min(1, len(reply.Errors))])
	}
	return reply, nil
}

// executeReply is the answer to an execution.
type executeReply struct {
	ExecutionID    string `json:"execution_id"`
	PoliciesQueued int    `json:"policies_queued"`
}

// execute starts the collections of a period: of the policies with these numbers, of all active ones where none is
// named.
func (i *insurer) execute(ctx context.Context, p schemas.Period, numbers ...string) (executeReply, error) {
	body := map[string]any{"period_month": p}
	if len(numbers) > 0 {
		body["policy_ids"] = numbers
	}
	var reply executeReply
	return reply, i.json(ctx, http.MethodPost, "/v1/collections/execute", body, &reply)
}

// reportRow is one collection of the report: the 13 fields, less those not needed here.
type reportRow struct {
	CustomerID   string                   `json:"customer_id"`
	PolicyNumber string                   `json:"policy_number"`
	Due          schemas.Rands            `json:"collection_amount_due"`
	Collected    schemas.Rands            `json:"collection_amount_collected"`
	Status       schemas.CollectionStatus `json:"collection_status"`
	Attempts     int                      `json:"number_of_attempts"`
}

func (i *insurer) report(ctx context.Context, p schemas.Period) ([]reportRow, error) {
	var reply struct {
		Results []reportRow `json:"results"`
	}
	return reply.Results, i.json(ctx, http.MethodGet, "/v1/reports/collections?format=json&period_month="+string(p), nil,
		&reply)
}

// settlement is a statement as the API shows it.
type settlement struct {
	ID               string        `json:"id"`
	Number           string        `json:"settlement_number"`
	TotalCollections schemas.Rands `json:"total_collections"`
	DistributionFee  schemas.Rands `json:"distribution_fee"`
	CollectionsFee   schemas.Rands `json:"collections_fee"`
	TotalFees        schemas.Rands `json:"total_fees"`
	VAT              schemas.Rands `json:"vat"`
	NetAmount        schemas.Rands `json:"net_amount"`
	PaymentDate      string        `json:"payment_date"`
	PaymentReference string        `json:"payment_reference"`
	Status           string        `json:"status"`
}

func (i *insurer) settle(ctx context.Context, p schemas.Period) (settlement, error) {
	var s settlement
	return s, i.json(ctx, http.MethodPost, "/v1/settlements", map[string]any{"period_month": p}, &s)
}

func (i *insurer) settlement(ctx context.Context, id string) (settlement, error) {
	var s settlement
	return s, i.json(ctx, http.MethodGet, "/v1/settlements/"+url.PathEscape(id), nil, &s)
}

// export is the statement's CSV.
func (i *insurer) export(ctx context.Context, id string) ([]byte, error) {
	var b []byte
	return b, i.call(ctx, http.MethodGet, "/v1/settlements/"+url.PathEscape(id)+"/export", "", nil, &b)
}

// patch changes the policy that has the number.
func (i *insurer) patch(ctx context.Context, number string, change map[string]any) error {
	var found struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := i.json(ctx, http.MethodGet, "/v1/policies?policy_number="+url.QueryEscape(number), nil, &found); err != nil {
		return err
	}
	if len(found.Data) != 1 {
		return fmt.Errorf("demo: the API knows %d policies numbered %s; expected one", len(found.Data), number)
	}
	return i.json(ctx, http.MethodPatch, "/v1/policies/"+url.PathEscape(found.Data[0].ID), change, nil)
}

func (i *insurer) json(ctx context.Context, method, path string, in, out any) error {
	if in == nil {
		return i.call(ctx, method, path, "", nil, out)
	}
	b, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("demo: encode the request: %w", err)
	}
	return i.call(ctx, method, path, "application/json", b, out)
}

// call sends one request and reads the answer into out: bytes as they are, anything else as JSON.
func (i *insurer) call(ctx context.Context, method, path, contentType string, body []byte, out any) error {
	began := time.Now()
	answer, err := backoff.Retry(ctx, func() ([]byte, error) {
		status, seconds, b, err := i.once(ctx, method, path, contentType, body)
		switch {
		case err == nil && status == http.StatusTooManyRequests:
			return nil, backoff.RetryAfter(seconds)
		case err == nil && status < 300:
			return b, nil
		case err == nil:
			err = fmt.Errorf("HTTP %d: %s", status, b)
		}
		if status != 0 && status != http.StatusServiceUnavailable || time.Since(began) >= i.patience {
			err = backoff.Permanent(err)
		}
		return nil, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(retryPause)), backoff.WithMaxElapsedTime(0))
	if err != nil {
		return fmt.Errorf("demo: %s %s: %w", method, path, err)
	}
	if raw, isRaw := out.(*[]byte); isRaw {
		*raw = answer
	} else if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			return fmt.Errorf("demo: %s %s: the answer is not what the API promises: %w", method, path, err)
		}
	}
	return nil
}

// once sends the request once. seconds is how long a caller who asks too often shall wait; status is 0 where the answer
// did not come whole.
func (i *insurer) once(ctx context.Context, method, path, contentType string, body []byte) (status, seconds int,
	answer []byte, err error,
) {
	req, err := http.NewRequestWithContext(ctx, method, i.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, 0, nil, err
	}
	req.Header.Set("X-API-Key", i.key)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := i.http.Do(req)
	if err != nil {
		return 0, 0, nil, err
	}
	answer, err = io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return 0, 0, nil, err
	}
	seconds, numErr := strconv.Atoi(resp.Header.Get("Retry-After"))
	if numErr != nil {
		seconds = 1
	}
	return resp.StatusCode, max(seconds, 1), answer, nil
}

// retryPause is the pause before a call is repeated.
const retryPause = 250 * time.Millisecond
