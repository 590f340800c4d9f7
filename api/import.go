package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

const (
	importBatch = 1000 // commands sent at once
	// importStretch is how many rows are sent before the answers to as many before them are there. So at most twice as
	// many rows of one import are on their way, and what others ask for waits behind those, not behind a million.
	importStretch   = 25_000
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
	sent         int
	last, before stretch // the rows sent last, and those whose answers are waited for next
	result       ImportResult
}

// stretch is some rows of a file that follow each other, and how many of them were sent.
type stretch struct{ from, to, sent int }

func (i *importing) read(ctx context.Context, rows *policyReader, parts *multipart.Reader) error {
	var batch []schemas.PolicyCommand
	for done := false; !done; {
		cmd, bad, err := rows.next()
		switch {
		case errors.Is(err, io.EOF):
			done = true
		case err != nil:
			return err
		case len(bad) > 0:
			i.result.Failed++
			i.result.Errors = append(i.result.Errors, bad[:min(len(bad), maxListedErrors-len(i.result.Errors))]...)
		default:
			cmd.RequestID, cmd.TenantID = i.command, i.tenant
			batch = append(batch, cmd)
		}
		if len(batch) == importBatch || done && len(batch) > 0 {
			if err := i.Commands.Policies(ctx, batch); err != nil {
				return unavailable(err, "The rows could not be written to Kafka")
			}
			if err := i.pace(ctx, batch); err != nil {
				return err
			}
			batch = make([]schemas.PolicyCommand, 0, importBatch) // not reused: the callee may keep the old one
		}
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

// pace counts a batch that was sent, and waits where too many rows are on their way.
func (i *importing) pace(ctx context.Context, batch []schemas.PolicyCommand) error {
	i.sent += len(batch)
	i.last.sent += len(batch)
	i.last.to = batch[len(batch)-1].Row
	if i.last.sent < importStretch {
		return nil
	}
	err := awaitCount(ctx, i.importWait, uint64(i.before.sent), func(ctx context.Context) (uint64, error) {
		return i.db.AnsweredBetween(ctx, i.before.from, i.before.to)
	})
	i.before, i.last = i.last, stretch{from: i.last.to + 1}
	return i.unanswered(ctx, err)
}

// unheard tells that an answer did not come in time or could not be read.
func unheard(err error) bool { return errors.Is(err, errLate) || errors.As(err, new(*read.Error)) }

// unanswered is the error of a wait for answers that do not come.
func (i *importing) unanswered(ctx context.Context, err error) error {
	if !unheard(err) {
		return err
	}
	counts, _ := i.db.OutcomeCounts(ctx)
	return newError(http.StatusServiceUnavailable,
		"%d rows were accepted, but the answers to only %d of them can be read, and no more came in %s. All of them "+
			"will be carried out; sending the same file again later is safe and tells what became of each",
		i.sent, counts.Answered, i.importWait).because(err)
}

// broken adds to an error how much had been taken over before it.
func (i *importing) broken(err error) error {
	if i.sent == 0 || unheard(err) {
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
	counts, err := awaitOutcomes(ctx, i.importWait, i.sent, i.db.PoliciesOfRequest)
	if err == nil && counts.Unchanged > 0 {
		// Sent again after an answer that was lost, the file changes nothing, but what it did the first time may still be on
		// its way to ClickHouse. Whoever hears "imported" executes next, and would leave out what cannot be read yet.
		err = awaitCount(ctx, i.importWait, counts.Unchanged, i.db.PoliciesUnchanged)
	}
	if err := i.unanswered(ctx, err); err != nil {
		return err
	}
	done := counts.OK + counts.Unchanged
	i.result.Imported = int(done)
	i.result.Failed += int(counts.Answered - done)
	if counts.Answered == done {
		return nil
	}
	refused, err := i.db.Refusals(ctx, maxListedErrors)
	all := i.result.Errors
	for _, f := range refused {
		all = append(all, RowError{Row: int(f.Row), Column: "policy_number", Code: f.Code, Message: f.Message})
	}
	slices.SortStableFunc(all, func(a, b RowError) int { return a.Row - b.Row })
	i.result.Errors = all[:min(len(all), maxListedErrors)]
	return err
}

// maxRowBytes bounds one row, so that a quote which is never closed cannot pull the rest of the file into memory.
const maxRowBytes = 64 << 10

// policyReader reads policies from CSV, row by row, in memory that does not grow with the file but for 12 bytes a row:
// the hash of each accepted policy number, to find a second row of the same number. Two numbers share a hash with a
// chance of n²/2^65 for n rows, below one in ten million for the largest file; the seed is random, so that nobody can
// choose such a pair.
type policyReader struct {
	csv     *csv.Reader
	src     *rowBound
	columns []policyField // in the file's order
	row     int
	maxRows int
	seed    maphash.Seed
	seen    map[uint64]int32
}

// newPolicyReader reads the header. Its errors say what is wrong with the file as a whole.
func newPolicyReader(r io.Reader, maxRows int) (*policyReader, error) {
	src := &rowBound{r: r}
	text := bufio.NewReaderSize(src, 4096)
	start, err := text.Peek(4096)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, readError(err)
	}
	kind := ""
	switch { // what no CSV in UTF-8 begins with
	case bytes.HasPrefix(start, []byte{0xFF, 0xFE}), bytes.HasPrefix(start, []byte{0xFE, 0xFF}):
		kind = "UTF-16"
	case bytes.HasPrefix(start, []byte("PK\x03\x04")):
		kind = "a ZIP archive or Excel workbook"
	case bytes.IndexByte(start, 0) >= 0:
		kind = "binary data or UTF-16"
	}
	if kind != "" {
		return nil, invalid("file", "CSV in UTF-8", kind, "The file is %s; save it as CSV in UTF-8", kind)
	}
	if bytes.HasPrefix(start, []byte("\xEF\xBB\xBF")) {
		_, _ = text.Discard(3)
	}
	p := &policyReader{
		csv: csv.NewReader(text), src: src, maxRows: maxRows, seed: maphash.MakeSeed(), seen: map[uint64]int32{},
	}
	p.csv.FieldsPerRecord, p.csv.ReuseRecord = -1, true
	src.read = 0
	header, err := p.csv.Read()
	if err != nil {
		return nil, readError(err)
	}
	p.columns, err = headerColumns(header)
	return p, err
}

func headerColumns(header []string) ([]policyField, error) {
	names, known := make([]string, len(header)), fieldNames()
	for i, h := range header {
		if !utf8.ValidString(h) {
			return nil, invalid("file", "CSV in UTF-8", "other bytes", "The header is not UTF-8; save the file as CSV in UTF-8")
		}
		names[i] = strings.ToLower(strings.TrimSpace(h))
	}
	var missing []string
	for _, c := range policyFields {
		if c.required && !slices.Contains(names, c.name) {
			missing = append(missing, c.name)
		}
	}
	if len(missing) > 0 {
		hint := ""
		if len(names) == 1 && strings.ContainsAny(names[0], ";\t|") {
			hint = "; columns must be separated by commas"
		}
		return nil, invalid(strings.Join(missing, ","), strings.Join(known[:5], ","), strings.Join(names, ","),
			"The header lacks the column %s%s", strings.Join(missing, ", "), hint)
	}
	var out []policyField
	for i, name := range names {
		at := slices.Index(known, name)
		if at < 0 {
			return nil, invalid(clip(name), strings.Join(known, ","), name, "The column %q is not known; the columns are %s",
				clip(name), strings.Join(known, ", "))
		}
		if slices.Contains(names[:i], name) {
			return nil, invalid(name, "the column once", "twice", "The column %s is there twice", name)
		}
		out = append(out, policyFields[at])
	}
	return out, nil
}

// next reads a row. A bad row comes back with its errors; err is io.EOF at the end, or ends the reading.
func (p *policyReader) next() (cmd schemas.PolicyCommand, bad []RowError, err error) {
	p.src.read = 0
	record, err := p.csv.Read()
	if errors.Is(err, io.EOF) {
		if p.row == 0 {
			err = invalid("file", "at least one row", "a header only", "The file has a header but no rows")
		}
		return cmd, nil, err
	}
	p.row++
	if p.row > p.maxRows {
		return cmd, nil, newError(http.StatusRequestEntityTooLarge, "The file has more than %d rows; split it", p.maxRows).
			at("file", fmt.Sprintf("at most %d rows", p.maxRows), "more")
	}
	var malformed *csv.ParseError
	switch {
	case errors.As(err, &malformed):
		return cmd, p.bad("", rowMalformed, quoteMessage(malformed)), nil
	case errors.Is(err, errRowTooLarge):
		return cmd, nil, invalid("file", fmt.Sprintf("rows of at most %d bytes", maxRowBytes), "a larger one",
			"Row %d is too large; is a quote not closed?", p.row)
	case err != nil:
		return cmd, nil, readError(err)
	case len(record) != len(p.columns):
		return cmd, p.bad("", rowColumnCount,
			fmt.Sprintf("has %d values; the header has %d columns", len(record), len(p.columns))), nil
	}
	cmd = newPolicy(p.row, schemas.PolicyImport)
	for i, c := range p.columns {
		v := strings.TrimSpace(record[i])
		if v == "" && !c.required {
			continue
		}
		if f := c.set(&cmd, v); f != nil {
			quoted := ""
			if v != "" {
				quoted = fmt.Sprintf("%q ", clip(v))
			}
			bad = append(bad, p.bad(c.name, f.code, c.name+" "+quoted+f.message)...)
		}
	}
	if len(bad) > 0 {
		return cmd, bad, nil
	}
	hash := maphash.String(p.seed, cmd.PolicyNumber)
	if first, twice := p.seen[hash]; twice {
		return cmd, p.bad("policy_number", rowDuplicate,
			fmt.Sprintf("policy_number %q occurs before in this file, in row %d", cmd.PolicyNumber, first)), nil
	}
	p.seen[hash] = int32(p.row)
	return cmd, nil, nil
}

// bad is an error of the row just read.
func (p *policyReader) bad(column, code, message string) []RowError {
	return []RowError{{Row: p.row, Column: column, Code: code, Message: message}}
}

func quoteMessage(e *csv.ParseError) string {
	if e.StartLine != e.Line {
		return fmt.Sprintf("quotes do not match: lines %d to %d of the file were read as one row", e.StartLine, e.Line)
	}
	return fmt.Sprintf("quotes do not match in line %d of the file", e.Line)
}

// readError is why the file could not be read to its end.
func readError(err error) error {
	var known *apiError
	var malformed *csv.ParseError
	var large *http.MaxBytesError
	switch slow := tooSlow(err); {
	case errors.As(err, &known), errors.As(err, &large):
		return err
	case slow != nil:
		return slow
	case errors.Is(err, io.EOF):
		return invalid("file", "a header line and rows", "nothing", "The file is empty")
	case errors.As(err, &malformed):
		return invalid("file", "CSV", "other text", "The header cannot be read: %s", quoteMessage(malformed))
	case errors.Is(err, errRowTooLarge):
		return invalid("file", "a header line of at most 64 KiB", "a larger one",
			"The header is too large; is this a CSV file?")
	}
	return invalid("file", "the whole file", "a part of it", "The upload broke off").because(err)
}

var errRowTooLarge = errors.New("row too large")

// rowBound fails a reader that takes more than a row may hold before read is set back to 0.
type rowBound struct {
	r    io.Reader
	read int
}

func (b *rowBound) Read(p []byte) (int, error) {
	if b.read > maxRowBytes {
		return 0, errRowTooLarge
	}
	n, err := b.r.Read(p)
	b.read += n
	return n, err
}
