package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/kasi-collections/kasi/schemas"
)

// The codes of warnings.
const (
	warnPremium   = "PREMIUM_CHANGE"
	warnSimilar   = "SIMILAR_NUMBER"
	warnTwice     = "DUPLICATE_ROW"
	warnMaximum   = "MAXIMUM_BELOW_PREMIUM"
	warnDate      = "LOOKS_LIKE_DATE"
	warnLineEnd   = "NO_LINE_END"
	warnNotActive = "POLICY_NOT_ACTIVE"
	warnOnHold    = "POLICY_ON_HOLD"
)

// bookShare is the part of the active policies beyond which cancelling what a file lacks needs the caller's word.
const bookShare = 10 // percent

// inFile is what the check remembers of a row, 64 bytes: hashes where it only compares. Two texts share a hash with a
// chance of n²/2^65 for n rows, below one in ten million for the largest file; the seed is random.
type inFile struct {
	fold, number, customer, terms uint64
	premium                       schemas.Cents
	at                            int64 // of its command among the commands; -1 where it has none
	row, line                     int32
	status                        schemas.PolicyStatus
	stored                        bool
	alike                         bool // warned of as like another
}

var importSeed = maphash.MakeSeed()

func hashOf(v string) uint64 { return maphash.String(importSeed, v) }

// folded is a number without what people do not tell apart: leading zeros, case and width.
func folded(number string) string {
	var out strings.Builder
	zeros := true // at the start of a run of digits
	for _, r := range strings.ToLower(norm.NFKC.String(number)) {
		switch {
		case unicode.IsSpace(r):
			continue
		case r == '0' && zeros:
			continue
		case unicode.IsDigit(r):
			zeros = false
		default:
			zeros = true
		}
		out.WriteRune(r)
	}
	return out.String()
}

// read reads the file whole. It writes down a command for each good row, and the errors of the bad ones.
func (j *importJob) read(rows *policyReader) error {
	var at int64
	j.given = rows.given
	for {
		row, err := rows.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		j.Counts.Rows++
		if row.cmd.Terms != nil {
			j.total += row.cmd.Terms.PremiumCents
		}
		if len(row.bad) > 0 {
			j.Counts.Failed++
			for _, e := range row.bad {
				if err := j.fault(schemas.ImportError, e); err != nil {
					return err
				}
			}
			if row.number == "" {
				j.noNumber++
			} else {
				j.index = append(j.index, inFile{
					fold: hashOf(folded(row.number)), number: hashOf(norm.NFC.String(row.number)), row: int32(row.row),
					line: int32(row.line), at: -1,
				})
			}
			continue
		}
		cmd := &row.cmd
		cmd.RequestID, cmd.TenantID, cmd.KeyID = j.ImportID, j.TenantID, j.KeyID
		n, err := j.write(cmd)
		if err != nil {
			return err
		}
		j.index = append(j.index, inFile{
			fold: hashOf(folded(cmd.PolicyNumber)), number: hashOf(cmd.PolicyNumber), customer: hashOf(cmd.CustomerID),
			terms: hashOf(termsText(cmd.Terms, cmd.Given)), premium: cmd.Terms.PremiumCents, row: int32(row.row),
			line: int32(row.line), status: cmd.Terms.Status, at: at,
		})
		at += n
		if err := j.warnOfRow(&row); err != nil {
			return err
		}
	}
	if rows.noLineEnd() {
		return j.warn(rows.last.line, rows.last.row, rows.last.number, "", warnLineEnd,
			"the last line has no line end; if the file was cut off there, send it again")
	}
	return nil
}

// write writes a command down and counts it.
func (j *importJob) write(cmd *schemas.PolicyCommand) (int64, error) {
	text, err := json.Marshal(cmd)
	if err == nil {
		_, err = j.toCommands.Write(append(text, '\n'))
	}
	j.Sent++
	return int64(len(text)) + 1, err
}

// fault writes an error or a warning down.
func (j *importJob) fault(kind schemas.ImportKind, e RowError) error {
	list := &j.errors
	if kind == schemas.ImportWarning {
		list = &j.warnings
		j.Counts.Warnings++
	}
	if len(*list) < maxListedErrors {
		*list = append(*list, e)
	}
	j.Entries++
	text, err := json.Marshal(importFault{kind, e})
	if err == nil {
		_, err = j.toFaults.Write(append(text, '\n'))
	}
	return err
}

func (j *importJob) warn(line, row int, number, column, code, message string) error {
	return j.fault(schemas.ImportWarning, RowError{
		Line: line, Row: row, PolicyNumber: number, Column: column, Code: code, Message: message,
	})
}

// warnOfRow warns of what the row alone shows.
func (j *importJob) warnOfRow(row *fileRow) error {
	t := row.cmd.Terms
	if t.MandateMaxCents > 0 && t.MandateMaxCents < t.PremiumCents {
		if err := j.warn(row.line, row.row, row.number, "mandate_max_amount", warnMaximum, belowPremium(t.MandateMaxCents,
			t.PremiumCents)); err != nil {
			return err
		}
	}
	for _, id := range [][2]string{{"policy_number", row.cmd.PolicyNumber}, {"customer_id", row.cmd.CustomerID}} {
		if column, v := id[0], id[1]; v[0] >= '0' && v[0] <= '9' && aDateCell.MatchString(v) {
			if err := j.warn(row.line, row.row, row.number, column, warnDate,
				column+" looks like a date, which a spreadsheet may have made of another id"); err != nil {
				return err
			}
		}
	}
	return nil
}

func belowPremium(most, premium schemas.Cents) string {
	return fmt.Sprintf(
		"the mandate's maximum %s is below the premium %s: no debit may take the whole premium at once",
		most,
		premium,
	)
}

// termsText is the terms that are given, for comparing.
func termsText(t *schemas.PolicyTerms, given []string) string {
	out := make([]byte, 0, 128)
	for _, field := range given {
		switch field {
		case schemas.GivenReference:
			out = append(out, t.ExternalCustomerRef...)
		case schemas.GivenProduct:
			out = append(out, t.ProductCode...)
		case schemas.GivenPremium:
			out = strconv.AppendInt(out, int64(t.PremiumCents), 10)
		case schemas.GivenStatus:
			out = append(out, t.Status...)
		case schemas.GivenRail:
			out = append(out, cmp.Or(t.Rail, schemas.RailDebiCheck)...)
		case schemas.GivenMandate:
			out = append(out, t.MandateReference...)
		case schemas.GivenMaximum:
			out = strconv.AppendInt(out, int64(t.MandateMaxCents), 10)
		case schemas.GivenFixed:
			out = strconv.AppendBool(out, t.MandateFixed)
		case schemas.GivenDay:
			out = strconv.AppendInt(out, int64(t.CollectionDay), 10)
		case schemas.GivenBank:
			out = append(out, t.Bank...)
		case schemas.GivenToken:
			out = append(out, t.AccountToken...)
		}
		out = append(out, '\x1f')
	}
	return string(out)
}

// check compares the file with the control totals and with the book, and refuses it or leaves it ready.
func (j *importJob) check(ctx context.Context, o importOptions) error {
	if j.DryRun = o.dryRun; o.full {
		j.Mode = "full"
	}
	switch {
	case o.rows != nil && *o.rows != j.Counts.Rows:
		return differs("expected_rows", fmt.Sprint(*o.rows), fmt.Sprint(j.Counts.Rows))
	case o.total != nil && *o.total != j.total:
		return differs("expected_total", o.total.String(), j.total.String())
	case j.Sent == 0:
		return j.noGoodRow()
	case o.full && j.noNumber > 0:
		return newError(
			http.StatusUnprocessableEntity,
			"The policy number of %d rows cannot be read (the first error is in "+
				"line %d), so nobody can tell which policies the file lacks; mend them, or send the file with mode=merge",
			j.noNumber,
			j.errors[0].Line,
		).at("policy_number", "a policy number in each row", "rows without one")
	}
	slices.SortFunc(j.index, func(a, b inFile) int {
		return cmp.Or(cmp.Compare(a.fold, b.fold), cmp.Compare(a.number, b.number), cmp.Compare(a.row, b.row))
	})
	if err := j.flush(); err != nil {
		return err
	}
	if err := j.compareRows(); err != nil {
		return err
	}
	active, err := j.compareBook(ctx, o)
	if err != nil {
		return err
	}
	if int64(j.refusals) == j.Sent-j.Counts.LeftOut {
		return j.noGoodRow()
	}
	if err := j.mayCancel(o, active); err != nil {
		return err
	}
	if j.DryRun {
		j.foresee()
	}
	slices.SortStableFunc(j.errors, func(a, b RowError) int { return a.Row - b.Row })
	slices.SortStableFunc(j.warnings, func(a, b RowError) int { return a.Row - b.Row })
	return j.flush()
}

// noGoodRow is the answer to a file of which no row can be taken over.
func (j *importJob) noGoodRow() error {
	faults := append(slices.Clone(j.errors), j.refused...)
	slices.SortStableFunc(faults, func(a, b RowError) int { return a.Row - b.Row })
	faults = faults[:min(len(faults), maxListedErrors)]
	first := faults[0]
	e := newError(
		http.StatusUnprocessableEntity,
		"None of the %d rows can be taken over; the first error is in line %d: %s",
		j.Counts.Rows,
		first.Line,
		first.Message,
	)
	e.details = ErrorDetails{Field: first.Column, Received: "no good row", Errors: &faults}
	return e
}

func (j *importJob) flush() error { return errors.Join(j.toCommands.Flush(), j.toFaults.Flush()) }

func differs(field, expected, received string) error {
	return newError(
		http.StatusUnprocessableEntity,
		"%s is %s, and the file has %s; nothing was taken over",
		field,
		expected,
		received,
	).at(field, expected, received)
}

// numberAt is the policy number of a row, read back from its command.
func (j *importJob) numberAt(e *inFile) string {
	if e.at < 0 {
		return ""
	}
	var cmd schemas.PolicyCommand
	_ = json.NewDecoder(io.NewSectionReader(j.commands, e.at, 1<<20)).Decode(&cmd)
	return cmd.PolicyNumber
}

// compareRows warns of rows of one policy, and of numbers that look alike.
func (j *importJob) compareRows() error {
	for i := range j.index[1:] {
		a, b := &j.index[i], &j.index[i+1]
		if a.fold != b.fold || b.at < 0 || a.at < 0 {
			continue
		}
		if len(j.warnings) >= maxListedErrors {
			j.Counts.Warnings++
			continue
		}
		code, message := warnTwice, fmt.Sprintf("the policy is in line %d too; the later line counts", a.line)
		if a.number != b.number {
			code, b.alike = warnSimilar, true
			message = fmt.Sprintf("differs from %q of line %d in leading zeros, case or width only", j.numberAt(a), a.line)
		}
		if err := j.warn(int(b.line), int(b.row), j.numberAt(b), "policy_number", code, message); err != nil {
			return err
		}
	}
	return nil
}

// rowsLike are the rows whose number looks like a given one.
func (j *importJob) rowsLike(fold uint64) []inFile {
	i, _ := slices.BinarySearchFunc(j.index, fold, func(e inFile, f uint64) int { return cmp.Compare(e.fold, f) })
	n := i
	for n < len(j.index) && j.index[n].fold == fold {
		n++
	}
	return j.index[i:n]
}
