package api

import (
	"regexp"
	"strings"

	"github.com/kasi-collections/kasi/schemas"
)

// What spreadsheets make of numbers is taken where there is one way to read it, and named where there is not.

// rowSpreadsheet is the code of a value that a spreadsheet has spoiled.
const rowSpreadsheet = "SPREADSHEET_VALUE"

var (
	decimalComma = regexp.MustCompile(`^\d+,\d{1,2}$`)
	thousands    = regexp.MustCompile(`^\d{1,3}([ \x{a0}\x{202f},.'’]\d{3})+([.,]\d+)?$`)
	scientific   = regexp.MustCompile(`^\d([.,]\d+)?[eE][+-]?\d+$`)
	shortened    = regexp.MustCompile(`^\d([.,]\d+[eE]|[eE]\+|[.,]\d+[eE]\+)\d+$`)
	aDateCell    = regexp.MustCompile(`^(\d{1,2}[-/ ][A-Za-z]{3}([-/ ]\d{2,4})?|\d{4}[-/]\d{1,2}[-/]\d{1,2}( .*)?|` +
		`\d{1,2}/\d{1,2}/\d{2,4}( .*)?)$`)
	anError = regexp.MustCompile(`^#(REF!|N/A|NAME\?|VALUE!|DIV/0!|NUM!|NULL!|#+)$`)

	// anAmountCell is an amount as a file has it: 150,00 is 150.00.
	anAmountCell = kind[schemas.Cents]{jsonNumber, expectedAmount, func(v string) (schemas.Cents, *fault) {
		if strings.Contains(v, ",") && decimalComma.MatchString(v) {
			v = strings.Replace(v, ",", ".", 1)
		}
		c, bad := checkAmount(v)
		why := ""
		switch {
		case bad == nil:
			return c, nil
		case scientific.MatchString(v):
			why = "is in scientific notation, as a spreadsheet writes it; give the column the format of a number"
		case anError.MatchString(v):
			why = "is an error of a spreadsheet"
		case aDateCell.MatchString(v):
			why = "is a date, which a spreadsheet may have made of it"
		case thousands.MatchString(v):
			why = "has a separator of thousands; expected rands such as 1500.00"
		default:
			return 0, bad
		}
		return 0, &fault{rowAmount, expectedAmount, why}
	}}

	// anIDCell is an id as a file has it.
	anIDCell = kind[string]{jsonString, expectedText, func(v string) (string, *fault) {
		switch {
		case v == "" || v[0] != '#' && (v[0] < '0' || v[0] > '9'):
		case shortened.MatchString(v):
			return "", &fault{
				rowSpreadsheet, expectedText,
				"is a number that a spreadsheet has shortened; give the column the format of text and enter the id again",
			}
		case anError.MatchString(v):
			return "", &fault{rowSpreadsheet, expectedText, "is an error of a spreadsheet"}
		}
		return aText.check(v)
	}}
)
