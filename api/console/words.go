package console

import (
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kasi-collections/kasi/schemas"
)

// words are what templates can say.
var words = template.FuncMap{
	"rands": rands, "count": thousands[uint64], "percent": percent, "tone": tone, "plain": plain, "query": query,
	"instant": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" },
	"args":    func(v ...any) []any { return v },
	"sub":     func(a, b schemas.Cents) schemas.Cents { return a - b },
}

// rands writes an amount for people: R 1,234.50.
func rands(c schemas.Cents) string {
	sign := ""
	if c < 0 {
		sign, c = "-", -c
	}
	whole, cents, _ := strings.Cut(c.String(), ".")
	n, _ := strconv.ParseUint(whole, 10, 64) // String writes digits
	return sign + "R\u00a0" + thousands(n) + "." + cents
}

// thousands writes a number with a comma before each three digits.
func thousands[T uint64 | int64 | int](n T) string {
	text := strconv.FormatInt(int64(n), 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// percent writes part of whole in percent with one decimal, rounded down; of nothing it is a dash.
func percent(part, whole any) string {
	if number(whole) == 0 {
		return "–"
	}
	tenths := number(part) * 1000 / number(whole)
	return strconv.FormatInt(tenths/10, 10) + "." + strconv.FormatInt(tenths%10, 10) + " %"
}

func number(v any) int64 {
	switch v := v.(type) {
	case schemas.Cents:
		return int64(v)
	case uint64:
		return int64(v)
	}
	return 0
}

// tone is the class of a status's colour.
func tone(status any) string {
	switch s := text(status); s {
	case "PAID_FULL", "DEBIT_PAID", "paid", "CLOSED", "COUNTED":
		return "good"
	case "UNPAID", "DEBIT_UNPAID", "LATE_UNPAID", "DEBIT_REJECTED", "DEBIT_DISPUTED", "PAID_DISPUTED", "disputed", "STOP",
		"unpaid", "rejected":
		return "bad"
	case "PAID_PARTIAL", "pending", "carried_forward", "DEBIT", "DEBIT_INSTRUCTED":
		return "busy"
	}
	return "calm"
}

// plain writes a status or a code for people: PAID_FULL is paid full.
func plain(status any) string { return strings.ToLower(strings.ReplaceAll(text(status), "_", " ")) }

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case schemas.CollectionStatus:
		return string(v)
	case schemas.ChangeKind:
		return string(v)
	case schemas.DecisionAction:
		return string(v)
	case schemas.SettlementStatus:
		return string(v)
	case schemas.PolicyStatus:
		return string(v)
	}
	return ""
}

// query writes name and value pairs as a query string; empty values are left out.
func query(pairs ...string) template.URL {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	return template.URL("?" + values.Encode())
}
