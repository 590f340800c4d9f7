package feeds

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/kasi-collections/kasi/schemas"
)

// Transactions as CSV: a header line that names columns as the JSON names its fields, then one line a transaction. A
// record holds a file, or a header and one line. A blank cell is an absent field, and a column that nobody knows is
// ignored, as in JSON.

// mark is what some programs write before UTF-8.
var mark = []byte("\xef\xbb\xbf")

// isCSV tells CSV from JSON, which begins with a brace. What is neither is read as JSON, and refused as such.
func isCSV(value []byte) bool {
	header, _, _ := bytes.Cut(bytes.TrimPrefix(value, mark), []byte("\n"))
	return len(header) > 0 && header[0] != '{' && bytes.Contains(header, []byte("transaction_id"))
}

func badCSV(message string) error { return schemas.Refuse(schemas.RejectBadCSV, message) }

func readCSV(r *Reader, value []byte, each func(*Entry) error) error {
	text := bytes.TrimPrefix(value, mark)
	lines := csv.NewReader(bytes.NewReader(text))
	lines.FieldsPerRecord, lines.ReuseRecord = -1, true
	columns, err := header(lines)
	if err != nil {
		return err
	}
	head := append(bytes.TrimRight(text[:lines.InputOffset()], "\r\n"), '\n')
	for no := 1; ; no++ {
		from := lines.InputOffset()
		cells, err := lines.Read()
		if errors.Is(err, io.EOF) {
			if no == 1 {
				return badCSV("no line follows the header")
			}
			return nil
		}
		e := &r.entry
		*e = Entry{No: no, head: head, text: bytes.Trim(text[from:lines.InputOffset()], "\r\n")}
		if r.transaction, e.Err = fromCells(columns, cells, e.text, err); e.Err == nil {
			e.Event = &r.transaction
		}
		if err := each(e); err != nil {
			return err
		}
	}
}

// header is, for each column, the place of its field; -1 where nobody knows it.
func header(lines *csv.Reader) ([]int, error) {
	names, err := lines.Read()
	if err != nil {
		return nil, badCSV("the header line is not CSV")
	}
	columns, named := make([]int, len(names)), [fieldsOfTransaction]bool{}
	for i, name := range names {
		columns[i] = indexTransaction([]byte(name))
		if at := columns[i]; at >= 0 {
			if named[at] {
				return nil, badCSV("the header names a known column twice")
			}
			named[at] = true
		}
	}
	return columns, nil
}

func fromCells(columns []int, cells []string, text []byte, broken error) (schemas.Transaction, error) {
	switch {
	case broken != nil:
		return schemas.Transaction{}, badCSV("the line's quotes are broken")
	case !utf8.Valid(text):
		return schemas.Transaction{}, badCSV("the line is not UTF-8")
	case len(cells) != len(columns):
		return schemas.Transaction{}, badCSV("the line has another number of cells than the header")
	}
	var fields [fieldsOfTransaction]value
	for i, cell := range cells {
		if at := columns[i]; at >= 0 && cell != "" {
			fields[at] = value{raw: []byte(cell), kind: isCell}
		}
	}
	return takeTransaction(fields[:])
}
