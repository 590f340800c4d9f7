package api

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/kasi-collections/kasi/schemas"
)

// maxRowBytes bounds one row, so that a quote which is never closed cannot pull the rest of the file into memory.
const maxRowBytes = 64 << 10

// policyReader reads policies from CSV, row by row, in constant memory. Spreadsheets write more than one kind of CSV:
// with semicolons or tabs, with a byte order mark, in UTF-16, packed with gzip. It takes all of them.
type policyReader struct {
	csv     *csv.Reader
	src     *rowBound
	end     *lastByte
	columns []*policyField // in the file's order; nil for a column without a name
	given   []string       // the fields that the file has columns for
	skipped int            // lines before the header
	row     int
	maxRows int
	last    fileRow
	// decimals counts the amounts by their decimals, of the file's last column alone: a file that was cut within it shows.
	decimals [3]int
}

// fileRow is a row of the file, good or bad.
type fileRow struct {
	row, line int
	cmd       schemas.PolicyCommand
	bad       []RowError
	number    string // the policy number, where it can be read
	amount    string // the cell of the last column, where that is an amount
}

// newPolicyReader reads the header. Its errors say what is wrong with the file as a whole.
func newPolicyReader(r io.Reader, maxBytes int64, maxRows int) (*policyReader, error) {
	text, err := asUTF8(r, maxBytes)
	if err != nil {
		return nil, err
	}
	p := &policyReader{src: &rowBound{}, end: &lastByte{r: text}, maxRows: maxRows}
	p.src.r = p.end
	lines := bufio.NewReaderSize(p.src, 4096)
	start, err := lines.Peek(4096)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, readError(err)
	}
	comma := rune(0)
	if named := regexp.MustCompile(`^(?i)sep=([,;|\t])\r?\n`).FindSubmatch(start); named != nil { // Excel's own line
		comma, p.skipped = rune(named[1][0]), 1
		_, _ = lines.Discard(len(named[0]))
		start = start[len(named[0]):]
	}
	p.csv = csv.NewReader(lines)
	if p.csv.Comma = comma; comma == 0 {
		p.csv.Comma = separatorOf(start)
	}
	p.csv.FieldsPerRecord, p.csv.ReuseRecord = -1, true
	p.src.read = 0
	header, err := p.csv.Read()
	if err != nil {
		return nil, readError(err)
	}
	p.columns, err = headerColumns(header)
	for _, c := range p.columns {
		if c != nil && c.given != "" {
			p.given = append(p.given, c.given)
		}
	}
	return p, err
}

// asUTF8 unpacks and decodes a file, bounded by its unpacked size.
func asUTF8(r io.Reader, maxBytes int64) (io.Reader, error) {
	text := bufio.NewReaderSize(r, 4096)
	start, err := text.Peek(4096)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, readError(err)
	}
	if bytes.HasPrefix(start, []byte{0x1f, 0x8b}) {
		unpacked, err := gzip.NewReader(text)
		if err != nil {
			return nil, readError(err)
		}
		return asUTF8(&bounded{r: unpacked, left: maxBytes, limit: maxBytes}, maxBytes)
	}
	kind := ""
	switch { // what no CSV in UTF-8 begins with
	case bytes.HasPrefix(start, []byte{0xFF, 0xFE}), bytes.HasPrefix(start, []byte{0xFE, 0xFF}):
		decoder := unicode.UTF16(unicode.BigEndian, unicode.ExpectBOM).NewDecoder()
		return &bounded{r: transform.NewReader(text, decoder), left: 2 * maxBytes, limit: maxBytes}, nil
	case bytes.HasPrefix(start, []byte("PK\x03\x04")), bytes.HasPrefix(start, []byte{0xD0, 0xCF, 0x11, 0xE0}):
		kind = "a ZIP archive or Excel workbook"
	case bytes.IndexByte(start, 0) >= 0:
		kind = "binary data, or UTF-16 without a byte order mark"
	}
	if kind != "" {
		return nil, invalid("file", "CSV in UTF-8", kind, "The file is %s; save it as CSV in UTF-8", kind)
	}
	if bytes.HasPrefix(start, []byte("\xEF\xBB\xBF")) {
		_, _ = text.Discard(3)
	}
	return text, nil
}

// bounded fails a reader that brings more than it may.
type bounded struct {
	r           io.Reader
	left, limit int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, tooLarge(b.limit)
	}
	return n, err
}

// lastByte remembers the last byte that was read.
type lastByte struct {
	r  io.Reader
	is byte
}

func (l *lastByte) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if n > 0 {
		l.is = p[n-1]
	}
	return n, err
}

// separatorOf is what separates the names of the header: of the usual ones the one that gives most columns we know.
func separatorOf(start []byte) rune {
	line, _, _ := bytes.Cut(start, []byte("\n"))
	best, most := ',', 0
	for _, sep := range []rune{',', ';', '\t', '|'} {
		known := 0
		for name := range strings.SplitSeq(string(line), string(sep)) {
			if slices.Contains(fieldNames(), columnName(strings.Trim(strings.TrimSpace(name), `"`))) {
				known++
			}
		}
		if known > most {
			best, most = sep, known
		}
	}
	return best
}

func columnName(cell string) string { return strings.ToLower(strings.TrimSpace(cell)) }

func headerColumns(header []string) ([]*policyField, error) {
	names, known := make([]string, len(header)), fieldNames()
	for i, h := range header {
		if !utf8.ValidString(h) {
			return nil, invalid("file", "CSV in UTF-8", "other bytes", "The header is not UTF-8; save the file as CSV in UTF-8")
		}
		names[i] = columnName(h)
	}
	var missing []string
	for _, c := range policyFields {
		if c.required && !slices.Contains(names, c.name) {
			missing = append(missing, c.name)
		}
	}
	if len(missing) > 0 {
		return nil, invalid(strings.Join(missing, ","), strings.Join(known[:5], ","), strings.Join(names, ","),
			"The header lacks the column %s", strings.Join(missing, ", "))
	}
	out := make([]*policyField, len(names))
	for i, name := range names {
		at := slices.Index(known, name)
		switch {
		case name == "": // a spreadsheet's empty column
		case at < 0:
			return nil, invalid(clip(name), strings.Join(known, ","), name, "The column %q is not known; the columns are %s",
				clip(name), strings.Join(known, ", "))
		case slices.Contains(names[:i], name):
			return nil, invalid(name, "the column once", "twice", "The column %s is there twice", name)
		default:
			out[i] = &policyFields[at]
		}
	}
	return out, nil
}

// next reads a row; rows of separators only are passed over. err is io.EOF at the end, or ends the reading.
func (p *policyReader) next() (fileRow, error) {
	for {
		p.src.read = 0
		record, err := p.csv.Read()
		if errors.Is(err, io.EOF) {
			return fileRow{}, p.atEnd()
		}
		var malformed *csv.ParseError
		if err == nil && blank(record) {
			continue
		}
		p.row++
		if p.row > p.maxRows {
			return fileRow{}, newError(http.StatusRequestEntityTooLarge, "The file has more than %d rows; split it", p.maxRows).
				at("file", fmt.Sprintf("at most %d rows", p.maxRows), "more")
		}
		row := fileRow{row: p.row}
		switch {
		case errors.As(err, &malformed):
			row.line = malformed.StartLine + p.skipped
			row.fail("", rowMalformed, quoteMessage(malformed, p.skipped))
		case errors.Is(err, errRowTooLarge):
			return row, invalid("file", fmt.Sprintf("rows of at most %d bytes", maxRowBytes), "a larger one",
				"Row %d is too large; is a quote not closed?", p.row)
		case err != nil:
			return row, readError(err)
		default:
			line, _ := p.csv.FieldPos(0)
			row.line = line + p.skipped
			p.take(&row, record)
		}
		p.count(&p.last)
		p.last = row
		return row, nil
	}
}

func blank(record []string) bool {
	return !slices.ContainsFunc(record, func(v string) bool { return strings.TrimSpace(v) != "" })
}

// fail notes an error of the row.
func (r *fileRow) fail(column, code, message string) {
	r.bad = append(r.bad, RowError{
		Line: r.line, Row: r.row, PolicyNumber: r.number, Column: column, Code: code, Message: message,
	})
}

// take reads the cells of a row.
func (p *policyReader) take(row *fileRow, record []string) {
	for i, c := range p.columns {
		if c != nil && c.name == "policy_number" && i < len(record) {
			row.number = clip(trimCell(record[i]))
		}
	}
	if len(record) < len(p.columns) || !blank(record[len(p.columns):]) {
		row.fail("", rowColumnCount, fmt.Sprintf("has %d values; the header has %d columns", len(record), len(p.columns)))
		return
	}
	row.cmd = newPolicy(row.row, schemas.PolicyImport)
	row.cmd.Line, row.cmd.Given = row.line, p.given
	for i, c := range p.columns {
		v := trimCell(record[i])
		switch {
		case c == nil && v == "", v == "" && c != nil && !c.required && c.given != schemas.GivenStatus:
			continue
		case c == nil:
			row.fail("", rowColumnCount, fmt.Sprintf("has a value in column %d, which has no name in the header", i+1))
			continue
		case v == "" && !c.required: // a policy always has a status: there is nothing to clear
			row.cmd.Given = slices.DeleteFunc(slices.Clone(p.given), func(f string) bool { return f == schemas.GivenStatus })
			continue
		}
		if f := c.setCell(&row.cmd, v); f != nil {
			quoted := ""
			if v != "" {
				quoted = fmt.Sprintf("%q ", clip(v))
			}
			row.fail(c.name, f.code, c.name+" "+quoted+f.message)
		}
	}
	if c := p.columns[len(p.columns)-1]; c != nil && c.json == jsonNumber {
		row.amount = trimCell(record[len(p.columns)-1])
	}
	if len(row.bad) == 0 {
		row.number = row.cmd.PolicyNumber
	}
}

// trimCell cuts off the blanks that people type. Others are part of the value, and are refused there.
func trimCell(v string) string { return strings.Trim(v, " \t") }

// atEnd looks at how the file ends. One that was cut must not pass for a whole one: 150.0 is not 150.00.
func (p *policyReader) atEnd() error {
	if p.row == 0 {
		return newError(http.StatusUnprocessableEntity, "The file has a header but no rows").
			at("file", "at least one row", "a header only")
	}
	if p.end.is == '\n' || p.end.is == '\r' {
		return io.EOF
	}
	decimals := func(v string) int {
		_, after, _ := strings.Cut(strings.ReplaceAll(v, ",", "."), ".")
		return min(len(after), 2)
	}
	last := decimals(p.last.amount)
	if len(p.last.bad) > 0 || p.last.amount != "" && p.decimals[last] == 0 && (last == 1 || p.row > 1) {
		return invalid("file", "a whole file, whose last line has a line end", "a file that ends within its last line",
			"The file ends within line %d, without a line end, and that line differs from the others: it was cut off there. "+
				"Nothing was taken over; send the whole file", p.last.line)
	}
	return io.EOF
}

// noLineEnd tells that the last line has no line end, and is therefore perhaps not whole.
func (p *policyReader) noLineEnd() bool { return p.end.is != '\n' && p.end.is != '\r' }

// count notes the decimals of a row's last amount, of all rows but the last.
func (p *policyReader) count(row *fileRow) {
	if row.amount != "" {
		_, after, _ := strings.Cut(strings.ReplaceAll(row.amount, ",", "."), ".")
		p.decimals[min(len(after), 2)]++
	}
}

func quoteMessage(e *csv.ParseError, skipped int) string {
	if e.StartLine != e.Line {
		return fmt.Sprintf("quotes do not match: lines %d to %d of the file were read as one row", e.StartLine+skipped,
			e.Line+skipped)
	}
	return fmt.Sprintf("quotes do not match in line %d of the file", e.Line+skipped)
}

// readError is why the file could not be read to its end.
func readError(err error) error {
	var known *apiError
	var malformed *csv.ParseError
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &known), errors.As(err, &large):
		return err
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum):
		return invalid("file", "gzip", "other bytes", "The file is not whole gzip").because(err)
	case errors.Is(err, io.EOF):
		return invalid("file", "a header line and rows", "nothing", "The file is empty")
	case errors.As(err, &malformed):
		return invalid("file", "CSV", "other text", "The header cannot be read: %s", quoteMessage(malformed, 0))
	case errors.Is(err, errRowTooLarge):
		return invalid("file", "a header line of at most 64 KiB", "a larger one",
			"The header is too large; is this a CSV file?")
	}
	if slow := tooSlow(err); slow != nil {
		return slow
	}
	return invalid("file", "the whole file", "a part of it", "The upload broke off. Nothing was taken over").because(err)
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
