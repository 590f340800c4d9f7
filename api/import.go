package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"slices"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

const (
	importBatch     = 1000 // commands sent at once
	maxListedErrors = 1000
	// multipartOverhead is what the boundaries and part headers may add to the file.
	multipartOverhead = 64 << 10
)

// ImportPolicies is POST /policies/import.
func (s *server) ImportPolicies(w http.ResponseWriter, r *http.Request) {
	s.respond(w, r, nil, func(ctx context.Context, info *requestInfo) error {
		file, parts, err := s.filePart(w, r)
		if err != nil {
			return err
		}
		rows, err := newPolicyReader(file, s.MaxImportRows)
		if err != nil {
			return err
		}
		imp := &importing{server: s, requestInfo: info, result: ImportResult{Errors: []RowError{}}}
		if err := imp.read(ctx, rows, parts); err != nil {
			return imp.broken(err)
		}
		if err := imp.finish(ctx); err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, imp.result)
		return nil
	})
}

// filePart finds the part named file, which must be the first.
func (s *server) filePart(w http.ResponseWriter, r *http.Request) (*multipart.Part, *multipart.Reader, error) {
	if err := wantMediaType(r, "multipart/form-data"); err != nil {
		return nil, nil, err
	}
	if r.ContentLength > s.MaxImportBytes+multipartOverhead {
		return nil, nil, tooLarge(s.MaxImportBytes)
	}
	r.Body = http.MaxBytesReader(w, r.Body, s.MaxImportBytes+multipartOverhead)
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, nil, invalid("Content-Type", "multipart/form-data with a boundary", r.Header.Get("Content-Type"),
			"The multipart boundary is missing")
	}
	part, err := parts.NextPart()
	switch {
	case errors.Is(err, io.EOF):
		err = invalid("file", "a part named file", "no part", "The part named file is missing")
	case err != nil:
		err = readError(err)
	case part.FormName() != "file":
		err = invalid("file", "one part, named file", part.FormName(), "The part must be named file, not %q",
			clip(part.FormName()))
	}
	return part, parts, err
}

// importing is one import under way: good rows go out in batches, errors are kept up to a limit.
type importing struct {
	*server
	*requestInfo
	batch  []schemas.PolicyCommand
	sent   int
	result ImportResult
}

func (i *importing) read(ctx context.Context, rows *policyReader, parts *multipart.Reader) error {
	for {
		cmd, bad, err := rows.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if len(bad) > 0 {
			i.result.Failed++
			i.result.Errors = append(i.result.Errors, bad[:min(len(bad), maxListedErrors-len(i.result.Errors))]...)
			continue
		}
		cmd.RequestID, cmd.TenantID = i.requestID, i.tenant
		if i.batch = append(i.batch, cmd); len(i.batch) == importBatch {
			if err := i.flush(ctx); err != nil {
				return err
			}
		}
	}
	if err := i.flush(ctx); err != nil {
		return err
	}
	switch part, err := parts.NextPart(); {
	case err == nil:
		return invalid("file", "one part", "another part "+part.FormName(),
			"There is another part after the file; send one file at a time")
	case !errors.Is(err, io.EOF):
		return readError(err)
	}
	return nil
}

func (i *importing) flush(ctx context.Context) error {
	if len(i.batch) == 0 {
		return nil
	}
	if err := i.Commands.Policies(ctx, i.batch); err != nil {
		return unavailable(err, "The rows could not be written to Kafka")
	}
	i.sent += len(i.batch)
	i.batch = make([]schemas.PolicyCommand, 0, importBatch) // not reused: the callee may keep the old one
	return nil
}

// broken adds to an error how much had been taken over before it.
func (i *importing) broken(err error) error {
	if i.sent == 0 {
		return err
	}
	e := asAPIError(err)
	e.message += fmt.Sprintf(". %d rows before that were taken over; sending the mended file again is safe", i.sent)
	return e
}

// finish waits for what became of the rows sent.
func (i *importing) finish(ctx context.Context) error {
	if i.sent == 0 {
		return nil
	}
	counts, err := i.awaitOutcomes(ctx, i.importWait, i.sent)
	if err == nil {
		err = awaitCount(ctx, i.importWait, counts.OK, func() (uint64, error) {
			return i.db.PoliciesOfRequest(ctx, i.tenant, i.requestID)
		})
	}
	if err == nil && counts.Unchanged > 0 {
		// Sent again after an answer that was lost, the file changes nothing, but what it did the first time may still be on
		// its way to ClickHouse. Whoever hears "imported" executes next, and would leave out what cannot be read yet.
		err = awaitCount(ctx, i.importWait, counts.Unchanged, func() (uint64, error) {
			return i.db.PoliciesUnchanged(ctx, i.tenant, i.requestID)
		})
	}
	if errors.Is(err, errLate) || errors.As(err, new(*read.Error)) {
		return newError(http.StatusServiceUnavailable,
			"%d rows were accepted, but the answers to only %d of them can be read, and no more came in %s. All of them "+
				"will be carried out; sending the same file again later is safe and tells what became of each",
			i.sent, counts.Answered, i.importWait).because(err)
	}
	done := counts.OK + counts.Unchanged
	i.result.Imported = int(done)
	i.result.Failed += int(counts.Answered - done)
	if err != nil || counts.Answered == done {
		return err
	}
	refused, err := i.db.Refusals(ctx, i.tenant, i.requestID, maxListedErrors)
	all := i.result.Errors
	for _, f := range refused {
		all = append(all, RowError{Row: int(f.Row), Column: "policy_number", Code: f.Code, Message: f.Message})
	}
	slices.SortStableFunc(all, func(a, b RowError) int { return a.Row - b.Row })
	i.result.Errors = all[:min(len(all), maxListedErrors)]
	return err
}
