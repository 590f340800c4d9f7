package feeds_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kasi-collections/kasi/processors/feeds"
	"github.com/kasi-collections/kasi/schemas"
)

// feed is one of the three feeds with a good record, field by field as raw JSON, and its decoder.
type feed struct {
	topic  string
	good   map[string]string
	decode func([]byte) (any, error)
}

func allFeeds() []feed {
	return []feed{
		{schemas.TopicFeedTransactions, map[string]string{
			"transaction_id": `"T-1"`, "tenant_id": `"acme"`, "customer_id": `"CUST001"`,
			"booked_at":    `"2025-11-25T06:30:00+02:00"`,
			"amount_cents": `850000`, "direction": `"CREDIT"`, "account_id": `"62001"`, "balance_after_cents": `-1250`,
			"currency":    `"ZAR"`,
			"description": `"SALARY NOV"`, "counterparty": `"Mamba Mining"`, "category": `"salary"`, "state": `"BOOKED"`,
			"replaces_transaction_id": `"T-0"`,
		}, func(b []byte) (any, error) { return feeds.Transaction(b) }},
		{schemas.TopicFeedIncomes, map[string]string{
			"income_id": `"I-1"`, "tenant_id": `"acme"`, "customer_id": `"CUST001"`, "kind": `"GRANT"`,
			"pay_date": `"2025-12-02"`,
			"state":    `"ANNOUNCED"`, "amount_cents": `231500`, "source": `"pay list"`,
		}, func(b []byte) (any, error) { return feeds.Income(b) }},
		{schemas.TopicRailResults, map[string]string{
			"result_id": `"R-1"`, "debit_id": `"` + ourDebit + `"`, "status": `"UNPAID"`, "effective_date": `"2025-11-06"`,
			"reason_code":   `"02"`,
			"reason_scheme": `"ZA"`, "amount_cents": `15000`,
		}, func(b []byte) (any, error) { return feeds.Result(b) }},
	}
}

var ourDebit = schemas.DebitID("acme", "CUST001", "some collection", 1)

// record writes the feed's good record with some fields replaced; an empty replacement removes the field.
func (f feed) record(replace map[string]string) []byte {
	fields := maps.Clone(f.good)
	maps.Copy(fields, replace)
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if fields[name] != "" {
			parts = append(parts, fmt.Sprintf("%q: %s", name, fields[name]))
		}
	}
	return []byte("{" + strings.Join(parts, ", ") + "}")
}

func TestGoodRecords(t *testing.T) {
	balance, amount, income := schemas.Cents(-1250), schemas.Cents(15000), schemas.Cents(231500)
	all := allFeeds()
	tx, err := feeds.Transaction(all[0].record(nil))
	require.NoError(t, err)
	require.Equal(t, schemas.Transaction{
		TransactionID: "T-1", TenantID: "acme", CustomerID: "CUST001", BookedAt: time.Date(2025, 11, 25, 4, 30, 0, 0,
			time.UTC),
		AmountCents: 850000, Direction: schemas.Credit, AccountID: "62001", BalanceAfterCents: &balance, Currency: "ZAR",
		Description: "SALARY NOV", Counterparty: "Mamba Mining", Category: "salary", State: schemas.Booked,
		ReplacesTransactionID: "T-0",
	}, tx)
	in, err := feeds.Income(all[1].record(nil))
	require.NoError(t, err)
	require.Equal(t, schemas.Income{
		IncomeID: "I-1", TenantID: "acme", CustomerID: "CUST001", Kind: schemas.Grant, PayDate: "2025-12-02",
		State:       schemas.Announced,
		AmountCents: &income, Source: "pay list",
	}, in)
	res, err := feeds.Result(all[2].record(map[string]string{"debit_id": `"` + strings.ToUpper(ourDebit) +
		`"`}))
	require.NoError(t, err)
	require.Equal(t, schemas.Result{
		ResultID: "R-1", DebitID: ourDebit, Status: schemas.ResultUnpaid, EffectiveDate: "2025-11-06", ReasonCode: "02",
		ReasonScheme: "ZA",
		AmountCents:  &amount,
	}, res)
}

// Every instant that Go writes, in whatever zone, is read back to the nanosecond.
func TestInstantsRoundTrip(t *testing.T) {
	f := allFeeds()[0]
	rapid.Check(t, func(t *rapid.T) {
		zone := time.FixedZone("", 60*rapid.IntRange(-23*60-59, 23*60+59).Draw(t, "minutes"))
		want := time.Unix(rapid.Int64Range(0, 5650000000).Draw(t, "seconds"), rapid.Int64Range(0, 999999999).Draw(t,
			"nanos")).In(zone)
		text := want.Format(time.RFC3339Nano)
		if want.Year() <= schemas.FirstYear || want.Year() >= schemas.LastYear {
			return
		}
		got, err := f.decode(f.record(map[string]string{"booked_at": `"` + text + `"`}))
		require.NoError(t, err, text)
		require.Equal(t, want.UTC(), got.(schemas.Transaction).BookedAt, text)
	})
}

// Ids are compared in NFC: two ways to write one letter are one customer, and one that grows beyond the bound in NFC is
// refused.
func TestIDsAreInNFC(t *testing.T) {
	f := allFeeds()[0]
	tx, err := feeds.Transaction(f.record(map[string]string{"customer_id": `"Zoe\u0308"`}))
	require.NoError(t, err)
	require.Equal(t, "Zo\u00eb", tx.CustomerID)
	_, err = feeds.Transaction(f.record(map[string]string{
		"customer_id": `"` + strings.Repeat("\u0958", schemas.MaxName/3) + `"`,
	}))
	requireClass(t, schemas.RejectBadID, err, "grows")
}

// Optional fields may be absent, null or empty; required ones may be none of these.
func TestRequiredAndOptionalFields(t *testing.T) {
	required := map[string]string{
		schemas.TopicFeedTransactions: "transaction_id tenant_id customer_id booked_at amount_cents direction",
		schemas.TopicFeedIncomes:      "income_id tenant_id customer_id kind pay_date state",
		schemas.TopicRailResults:      "result_id debit_id status effective_date",
	}
	for _, f := range allFeeds() {
		for name, raw := range f.good {
			none := []string{"", "null"}
			if raw[0] == '"' {
				none = append(none, `""`)
			}
			for _, value := range none {
				_, err := f.decode(f.record(map[string]string{name: value}))
				if strings.Contains(" "+required[f.topic]+" ", " "+name+" ") {
					requireClass(t, schemas.RejectMissingField, err, "%s: %s = %q", f.topic, name, value)
					require.ErrorContains(t, err, name)
				} else {
					require.NoError(t, err, "%s: %s = %q", f.topic, name, value)
				}
			}
		}
	}
}

func requireClass(t require.TestingT, class string, err error, format string, args ...any) {
	var reject *schemas.Reject
	require.True(t, errors.As(err, &reject), "%s: %v", fmt.Sprintf(format, args...), err)
	require.Equal(t, class, reject.Class, fmt.Sprintf(format, args...))
}

// One line a case: field, raw value, and the class of its refusal ("" where it is good). The schema must say the same,
// except where stricter is set: a JSON Schema cannot tell 150.0 from 150, nor count bytes.
type fieldCase struct {
	topic, field, raw, class string
	stricter                 bool
}

func fieldCases() []fieldCase {
	tx, in, res := schemas.TopicFeedTransactions, schemas.TopicFeedIncomes, schemas.TopicRailResults
	quoted := func(n int, s string) string { return `"` + strings.Repeat(s, n) + `"` }
	return []fieldCase{
		{tx, "amount_cents", `1`, "", false},
		{tx, "amount_cents", `1000000000000`, "", false},
		{tx, "amount_cents", `1000000000001`, "BAD_AMOUNT", false},
		{tx, "amount_cents", `9999999999999999999999`, "BAD_AMOUNT", false},
		{tx, "amount_cents", `0`, "BAD_AMOUNT", false},
		{tx, "amount_cents", `-0`, "BAD_AMOUNT", false},
		{tx, "amount_cents", `-1`, "BAD_AMOUNT", false},
		{tx, "amount_cents", `150.5`, "BAD_AMOUNT", false},
		{tx, "amount_cents", `150.0`, "BAD_AMOUNT", true},
		{tx, "amount_cents", `1e3`, "BAD_AMOUNT", true},
		{tx, "amount_cents", `1E+3`, "BAD_AMOUNT", true},
		{tx, "amount_cents", `"150"`, "BAD_AMOUNT", false},
		{tx, "amount_cents", `true`, "BAD_AMOUNT", false},
		{tx, "amount_cents", `[150]`, "BAD_AMOUNT", false},
		{tx, "amount_cents", `{"cents":150}`, "BAD_AMOUNT", false},
		{tx, "balance_after_cents", `0`, "", false},
		{tx, "balance_after_cents", `-0`, "", false},
		{tx, "balance_after_cents", `-1000000000000`, "", false},
		{tx, "balance_after_cents", `-1000000000001`, "BAD_AMOUNT", false},
		{tx, "balance_after_cents", `-1.5`, "BAD_AMOUNT", false},
		{tx, "balance_after_cents", `"-1"`, "BAD_AMOUNT", false},
		{tx, "direction", `"DEBIT"`, "", false},
		{tx, "direction", `"credit"`, "BAD_VALUE", false},
		{tx, "direction", `"CREDIT "`, "BAD_VALUE", false},
		{tx, "direction", `1`, "BAD_FIELD", false},
		{tx, "currency", `"USD"`, "BAD_VALUE", false},
		{tx, "currency", `"zar"`, "BAD_VALUE", false},
		{tx, "booked_at", `"2025-11-05T23:59:59.123456789Z"`, "", false},
		{tx, "booked_at", `"2025-11-05T23:59:59.1234567891Z"`, "BAD_TIME", false},
		{tx, "booked_at", `"2025-11-05T10:00:00-05:30"`, "", false},
		{tx, "booked_at", `"2024-02-29T00:00:00Z"`, "", false},
		{tx, "booked_at", `"2025-02-29T00:00:00Z"`, "BAD_TIME", false},
		{tx, "booked_at", `"2025-11-05T10:00:00"`, "BAD_TIME", false},
		{tx, "booked_at", `"2025-11-05 10:00:00Z"`, "BAD_TIME", false},
		{tx, "booked_at", `"2025-11-05t10:00:00z"`, "BAD_TIME", false},
		{tx, "booked_at", `"2025-11-05T24:00:00Z"`, "BAD_TIME", false},
		{tx, "booked_at", `"2016-12-31T23:59:60Z"`, "BAD_TIME", false},
		{tx, "booked_at", `"2025-11-05T1:00:00Z"`, "BAD_TIME", false},
		{tx, "booked_at", `"2025-11-05T10:00:00,5Z"`, "BAD_TIME", false},
		{tx, "booked_at", `"2025-11-05T10:00:00.Z"`, "BAD_TIME", false},
		{tx, "booked_at", `"2025-11-05T10:00:00+24:00"`, "BAD_TIME", false},
		{tx, "booked_at", `"2025-11-05T10:00:00+02:60"`, "BAD_TIME", false},
		{tx, "booked_at", `"2025-11-05T10:00:00+0200"`, "BAD_TIME", false},
		{tx, "booked_at", `"0001-01-01T00:00:00Z"`, "BAD_TIME", false},
		{tx, "booked_at", `"2200-01-01T00:00:00Z"`, "BAD_TIME", false},
		{tx, "booked_at", `"1900-01-01T00:00:00+02:00"`, "BAD_TIME", false},
		{tx, "booked_at", `"1970-12-31T23:59:59Z"`, "BAD_TIME", false},
		{tx, "booked_at", `"1971-01-01T00:00:00+02:00"`, "", false}, // 1970 in UTC
		{tx, "booked_at", `"2147-12-31T23:59:59.9-12:00"`, "", false},
		{tx, "booked_at", `"2148-01-01T00:00:00Z"`, "BAD_TIME", false},
		{tx, "booked_at", `"2025-13-05T10:00:00Z"`, "BAD_TIME", false},
		{tx, "booked_at", `"2025-00-05T10:00:00Z"`, "BAD_TIME", false},
		{tx, "booked_at", `"2025-11-00T10:00:00Z"`, "BAD_TIME", false},
		{tx, "booked_at", `"2025-11-05T10:60:00Z"`, "BAD_TIME", false},
		{tx, "booked_at", `"2025-11-05T10:00:00*02:00"`, "BAD_TIME", false},
		{tx, "booked_at", `"2025-11-05"`, "BAD_TIME", false},
		{tx, "booked_at", `1762329600`, "BAD_FIELD", false},
		{tx, "transaction_id", quoted(128, "x"), "", false},
		{tx, "transaction_id", quoted(129, "x"), "BAD_ID", false},
		{tx, "transaction_id", quoted(64, "é"), "", false},
		{tx, "transaction_id", quoted(65, "é"), "BAD_ID", true},
		{tx, "transaction_id", `42`, "BAD_FIELD", false},
		{tx, "transaction_id", `"caf\u00e9 \ud83d\ude00 \"q\" \\ \/"`, "", false},
		{tx, "tenant_id", `"a\u001fb"`, "BAD_ID", false},
		{tx, "customer_id", `"a\nb"`, "BAD_ID", false},
		{tx, "customer_id", `"a\u0000"`, "BAD_ID", false},
		{tx, "customer_id", `" "`, "BAD_ID", false},
		{tx, "customer_id", `"c1 "`, "BAD_ID", false},
		{tx, "customer_id", `"\u00a0c1"`, "BAD_ID", false},
		{tx, "customer_id", `"c1\u3000"`, "BAD_ID", false},
		{tx, "customer_id", `"c\u00a01 x"`, "", false},
		{tx, "customer_id", `"c\u200b1"`, "BAD_ID", false},
		{tx, "customer_id", `"\ufeffc1"`, "BAD_ID", false},
		{tx, "customer_id", `"c\u00ad1"`, "BAD_ID", false},
		{tx, "customer_id", `"c1\u0085"`, "BAD_ID", false},
		{tx, "customer_id", `"c\u007f"`, "BAD_ID", false},
		{tx, "customer_id", `"c\u20281"`, "BAD_ID", false},
		{tx, "customer_id", `"c\udb40\udc41"`, "BAD_ID", true}, // a tag character
		{tx, "tenant_id", `"\u0430cme\u0301"`, "", false},
		{tx, "account_id", `"a\tb"`, "BAD_ID", false},
		{tx, "account_id", quoted(129, "x"), "BAD_ID", false},
		{tx, "description", `"two\nlines"`, "", false},
		{tx, "description", quoted(4096, "x"), "", false},
		{tx, "description", quoted(4097, "x"), "TOO_LONG", false},
		{tx, "description", quoted(2049, "é"), "TOO_LONG", true},
		{tx, "description", `["x"]`, "BAD_FIELD", false},
		{tx, "counterparty", `false`, "BAD_FIELD", false},
		{tx, "category", `7`, "BAD_FIELD", false},
		{tx, "state", `"PENDING"`, "", false},
		{tx, "state", `"BOOKED"`, "", false},
		{tx, "state", `"pending"`, "BAD_VALUE", false},
		{tx, "state", `"REVERSED"`, "BAD_VALUE", false},
		{tx, "replaces_transaction_id", `"T-0 "`, "BAD_ID", false},
		{tx, "something_else", `{"deep":[1,{"x":[]},null,true,"\u00e9"],"e":{}}`, "", false},
		{tx, "Amount_Cents", `-5`, "", false},
		{in, "kind", `"SALARY"`, "", false},
		{in, "kind", `"PENSION"`, "", false},
		{in, "kind", `"BONUS"`, "BAD_VALUE", false},
		{in, "state", `"PAID"`, "", false},
		{in, "state", `"DONE"`, "BAD_VALUE", false},
		{in, "pay_date", `"2024-02-29"`, "", false},
		{in, "pay_date", `"2025-02-29"`, "BAD_DATE", false},
		{in, "pay_date", `"2025-2-9"`, "BAD_DATE", false},
		{in, "pay_date", `"25/12/2025"`, "BAD_DATE", false},
		{in, "pay_date", `"2025-12-02T00:00:00Z"`, "BAD_DATE", false},
		{in, "pay_date", `"1899-12-31"`, "BAD_DATE", false},
		{in, "pay_date", `"1900-01-01"`, "BAD_DATE", false},
		{in, "pay_date", `"1970-12-31"`, "BAD_DATE", false},
		{in, "pay_date", `"1971-01-01"`, "", false},
		{in, "pay_date", `"2147-12-31"`, "", false},
		{in, "pay_date", `"2148-01-01"`, "BAD_DATE", false},
		{in, "pay_date", `20251202`, "BAD_FIELD", false},
		{in, "amount_cents", `0`, "BAD_AMOUNT", false},
		{in, "amount_cents", `12.00`, "BAD_AMOUNT", true},
		{in, "source", quoted(4097, "x"), "TOO_LONG", false},
		{res, "status", `"PAID"`, "", false},
		{res, "status", `"DISPUTED"`, "", false},
		{res, "status", `"paid"`, "BAD_VALUE", false},
		{res, "debit_id", `"nobody-knows-it"`, "UNKNOWN_DEBIT", false},
		{res, "debit_id", quoted(32, "0"), "UNKNOWN_DEBIT", false},
		{res, "debit_id", `"` + ourDebit[:12] + "4" + ourDebit[13:] + `"`, "UNKNOWN_DEBIT", false},
		{res, "debit_id", `"` + ourDebit[:16] + "c" + ourDebit[17:] + `"`, "UNKNOWN_DEBIT", false},
		{res, "debit_id", `"` + ourDebit + `0"`, "UNKNOWN_DEBIT", false},
		{res, "debit_id", `"` + strings.ToUpper(ourDebit) + `"`, "", false},
		{res, "effective_date", `"2025-11-31"`, "BAD_DATE", false},
		{res, "effective_date", `"1900-01-01"`, "BAD_DATE", false},
		{res, "result_id", `"r1\t"`, "BAD_ID", false},
		{res, "reason_code", `2`, "BAD_FIELD", false},
		{res, "reason_code", quoted(35, "A"), "", false},
		{res, "reason_code", quoted(36, "A"), "TOO_LONG", false},
		{res, "reason_code", `"\u0007"`, "BAD_ID", false},
		{res, "reason_scheme", `"ISO"`, "", false},
		{res, "reason_scheme", `"SWIFT"`, "BAD_VALUE", false},
		{res, "amount_cents", `15000.00`, "BAD_AMOUNT", true},
	}
}

func TestFieldCases(t *testing.T) {
	for _, f := range allFeeds() {
		for _, c := range fieldCases() {
			if c.topic != f.topic {
				continue
			}
			_, err := f.decode(f.record(map[string]string{c.field: c.raw}))
			if c.class == "" {
				require.NoError(t, err, "%s: %s = %.60s", c.topic, c.field, c.raw)
				continue
			}
			requireClass(t, c.class, err, "%s: %s = %.60s", c.topic, c.field, c.raw)
			require.ErrorContains(t, err, c.field)
			require.NotContains(t, err.Error(), strings.Trim(c.raw, `"`)+" ", "a message holds no values")
		}
	}
}

// Texts that are not one JSON object, or not an unambiguous one.
func brokenTexts() []string {
	good := string(allFeeds()[0].record(nil))
	return []string{
		"", " ", "null", "true", "42", `"text"`, "[]", "[" + good + "]", "\x00\x00\x00\x00\x01avro", "\xef\xbb\xbf" + good,
		good + good, good + "x", good + ",",
		good[:len(good)-1], "{", `{"a"`, `{"a":`, `{"a":}`, `{"a":1,}`, `{,}`, `{"a" 1}`, `{a:1}`, `{'a':1}`, `{"a":1 "b":2}`,
		`{"a":01}`, `{"a":+1}`, `{"a":1.}`,
		`{"a":.5}`, `{"a":1e}`, `{"a":-}`, `{"a":NaN}`, `{"a":nul}`, `{"a":tru}`, `{"a":"\x"}`, `{"a":"\u12"}`,
		`{"a":"\u12g4"}`, `{"a":"\ud800"}`,
		`{"a":"\ud800\u0041"}`, `{"a":"\udc00"}`, `{"\ud800":1}`, "{\"a\":\"\xff\"}", "{\"a\":\"line\nbreak\"}",
		"{\"a\":\"tab\t\"}", `{"a":"x`, `{"a":"x\"}`,
		`{"a":[1,]}`, `{"a":[1 2]}`, `{"a":[}`, `{"a":{"b"}}`, `{"a":{"b":1,}}`, `{"a":{"b":"\q"}}`, `{"a":{"\q":1}}`,
		`{"a":["\q"]}`,
		`{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`,
		`{"amount_cents":1,"amount_cents":2}`, `{"amount_cents":null,"amount_cents":2}`,
		`{"amount_cents":1,"amount\u005fcents":2}`,
	}
}

func TestBrokenTexts(t *testing.T) {
	for _, text := range brokenTexts() {
		_, err := feeds.Transaction([]byte(text))
		requireClass(t, schemas.RejectBadJSON, err, "%q", text)
	}
	for _, text := range []string{`{"amount\u005fcents": 5}`, " \t\r\n{ } \n", `{"a":` + strings.Repeat("[", 100) +
		strings.Repeat("]", 100) + `}`, `{"x":1,"x":2}`} {
		_, err := feeds.Transaction([]byte(text))
		requireClass(t, schemas.RejectMissingField, err, "%q", text)
	}
}

// The table explains every class that the package uses, each once.
func TestRejectTable(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range schemas.RejectClasses() {
		require.False(t, seen[c.Class], c.Class)
		require.NotEmpty(t, c.Meaning)
		seen[c.Class] = true
	}
	for _, c := range fieldCases() {
		require.True(t, c.class == "" || seen[c.class], c.class)
	}
	require.Equal(t, "BAD_DATE: x", schemas.Refuse(schemas.RejectBadDate, "x").Error())
}
