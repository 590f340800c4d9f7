package api

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kasi-collections/kasi/schemas"
)

const (
	maxListedErrors = 1000
	// multipartOverhead is what the boundaries, part headers and fields may add to the file.
	multipartOverhead = 64 << 10
)

// importOptions is how a file is to be taken.
type importOptions struct {
	full, dryRun bool
	// The control totals and the number of cancellations that the caller allows; nil where none is given.
	rows, maxCancel *int64
	total           *schemas.Cents
}

// ImportPolicies is POST /policies/import. The file is read and checked whole while the caller waits. Once the upload
// is whole, it is checked and carried out whatever becomes of the caller.
func (s *server) ImportPolicies(w http.ResponseWriter, r *http.Request, params ImportPoliciesParams) {
	s.respond(w, r, params, func(ctx context.Context, info *requestInfo) error {
		fields := map[string]string{}
		for name, v := range map[string]*string{
			"mode": params.Mode, "dry_run": params.DryRun, "expected_rows": params.ExpectedRows,
			"expected_total": params.ExpectedTotal, "max_cancel": params.MaxCancel,
		} {
			if v != nil {
				fields[name] = *v
			}
		}
		if _, err := readOptions(fields); err != nil { // before a long upload
			return err
		}
		job, err := s.newImport(ctx, info)
		if err != nil {
			return err
		}
		if err := s.checkUpload(w, r, job, fields); err != nil {
			job.discard()
			return err
		}
		if job.DryRun {
			defer job.discard()
			writeJSON(w, http.StatusOK, job.result())
			return nil
		}
		if err := job.keep(); err != nil {
			job.discard()
			return err
		}
		s.background(job.run)
		if err := job.await(ctx, s.importWait); err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, job.result())
		return nil
	})
}

// checkUpload reads the upload whole and checks it. Its errors mean that nothing is taken over.
func (s *server) checkUpload(w http.ResponseWriter, r *http.Request, job *importJob, fields map[string]string) error {
	parts, err := s.uploadParts(w, r)
	if err != nil {
		return err
	}
	found := false
	for {
		part, err := parts.NextPart()
		switch {
		case errors.Is(err, io.EOF) && !found:
			return invalid("file", "a part named file", "no part", "The part named file is missing")
		case errors.Is(err, io.EOF):
			o, err := readOptions(fields)
			if err != nil {
				return err
			}
			// The upload is whole: from here on it does not matter whether the caller stays.
			return job.check(context.WithoutCancel(r.Context()), o)
		case err != nil:
			return readError(err)
		case part.FormName() == "file" && found:
			return invalid("file", "one part named file", "another part named file",
				"There is another file after the first; send one file at a time")
		case part.FormName() == "file":
			found = true
			rows, err := newPolicyReader(part, s.MaxImportBytes, s.MaxImportRows)
			if err == nil {
				err = job.read(rows)
			}
			if err != nil {
				return err
			}
		default:
			if err := readField(part, fields); err != nil {
				return err
			}
		}
	}
}

// uploadParts opens the parts of the body, which may be packed.
func (s *server) uploadParts(w http.ResponseWriter, r *http.Request) (*multipart.Reader, error) {
	if err := wantMediaType(r, "multipart/form-data"); err != nil {
		return nil, err
	}
	if r.ContentLength > s.MaxImportBytes+multipartOverhead {
		return nil, tooLarge(s.MaxImportBytes)
	}
	r.Body = http.MaxBytesReader(w, r.Body, s.MaxImportBytes+multipartOverhead)
	switch encoding := r.Header.Get("Content-Encoding"); strings.ToLower(encoding) {
	case "", "identity":
	case "gzip", "x-gzip":
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, readError(err)
		}
		limit := s.MaxImportBytes + multipartOverhead
		r.Body = io.NopCloser(&bounded{r: unpacked, left: limit, limit: s.MaxImportBytes})
	default:
		return nil, newError(http.StatusUnsupportedMediaType, "The content encoding must be gzip or none").
			at("Content-Encoding", "gzip", encoding)
	}
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, invalid("Content-Type", "multipart/form-data with a boundary", r.Header.Get("Content-Type"),
			"The multipart boundary is missing")
	}
	return parts, nil
}

// readField reads a part that is an option: what the query may say, a form may say too.
func readField(part *multipart.Part, fields map[string]string) error {
	name := part.FormName()
	switch name {
	case "mode", "dry_run", "expected_rows", "expected_total", "max_cancel":
	default:
		return invalid("file", "one part, named file", name, "The part must be named file, not %q", clip(name))
	}
	value, err := io.ReadAll(io.LimitReader(part, 100))
	if err != nil {
		return readError(err)
	}
	if was, twice := fields[name]; twice && was != string(value) {
		return invalid(name, "the field once", was+", "+string(value), "%s is given twice", name)
	}
	fields[name] = string(value)
	return nil
}

func readOptions(fields map[string]string) (o importOptions, err error) {
	number := func(name string) *int64 {
		v, ok := fields[name]
		if !ok {
			return nil
		}
		n, bad := strconv.ParseInt(v, 10, 64)
		if bad != nil || n < 0 {
			err = invalid(name, "a whole number of 0 or more", v, "%s is not a whole number", name)
		}
		return &n
	}
	o.rows, o.maxCancel = number("expected_rows"), number("max_cancel")
	if v, ok := fields["expected_total"]; ok {
		c, bad := schemas.ParseRands(v)
		if bad != nil {
			err = invalid("expected_total", "rands such as 150.00", v, "expected_total %s", bad)
		}
		o.total = &c
	}
	switch v, ok := fields["mode"]; {
	case !ok || v == "merge":
	case v == "full":
		o.full = true
	default:
		err = invalid("mode", "merge or full", v, "mode is neither merge nor full")
	}
	if v, ok := fields["dry_run"]; ok {
		dry, bad := checkBool(v)
		if bad != nil {
			err = bad.as400("dry_run", v)
		}
		o.dryRun = dry
	}
	if o.maxCancel != nil && !o.full && err == nil {
		err = invalid("max_cancel", "mode=full beside it", fields["max_cancel"], "max_cancel is for mode=full alone")
	}
	return o, err
}

// background runs what goes on after its call was answered.
func (s *server) background(run func(ctx context.Context)) {
	if s.Background != nil {
		s.Background(run)
		return
	}
	go run(context.Background())
}

// shown is an instant as users see it.
func (s *server) shown(at time.Time) time.Time {
	if s.Calendar == nil {
		return at.UTC()
	}
	return s.Calendar.Shown(at)
}

// limit is at most n errors or warnings.
func firstOf(l []RowError, n int) []RowError { return l[:min(len(l), n)] }

// accepted says what was accepted where the answer takes too long.
func (j *importJob) accepted(why string) string {
	return fmt.Sprintf(
		"The file was accepted as import %s and will be carried out, whatever becomes of this call, but %s. "+
			"GET /v1/imports/%s says how far it is",
		j.ImportID,
		why,
		j.ImportID,
	)
}
