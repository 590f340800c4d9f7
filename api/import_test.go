package api_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/api"
	"github.com/kasi-collections/kasi/schemas"
)

const importHeader = "customer_id,external_customer_ref,policy_number,product_code,collection_amount\n"

func TestImportGoodAndBadRows(t *testing.T) {
	e := newEnv(t)
	a := e.upload(importHeader +
		"CUST001,EXT1,POL001,FUNERAL_01,150.00\n" +
		"CUST002,EXT2,POL002,FUNERAL_01,150.005\n" +
		",EXT3,POL003,FUNERAL_01,0\n" +
		"CUST004,EXT4,POL004\n" +
		"\n" +
		"CUST005,EXT5,POL001,FUNERAL_01,10\n" +
		"CUST006,EXT6,POL0\x01,FUNERAL_01,10\n" +
		"CUST007,EXT\xff,POL007,FUNERAL_01,10\n" +
		"CUST008,\"EXT8\" x,POL008,FUNERAL_01,10\n" +
		" CUST009 ,\"EXT, \"\"9\"\"\", POL009,FUNERAL_01, 99.9 \n").is(http.StatusOK)
	got := decoded[api.ImportResult](a)
	require.Equal(t, 2, got.Imported)
	require.Equal(t, 7, got.Failed)
	var short []string
	for _, e := range got.Errors {
		short = append(short, fmt.Sprintf("%d %s %s", e.Row, e.Column, e.Code))
	}
	require.Equal(t, []string{
		"2 collection_amount INVALID_AMOUNT", "3 customer_id MISSING_VALUE", "3 collection_amount INVALID_AMOUNT",
		"4  WRONG_COLUMN_COUNT",
		"5 policy_number CONFLICT", "6 policy_number INVALID_VALUE", "7 external_customer_ref INVALID_ENCODING",
		"8  MALFORMED_ROW",
	}, short)
	require.Equal(t, []int{5, 7}, []int{got.Errors[3].Line, got.Errors[4].Line}) // a blank line lies between
	require.Equal(t, "POL004", got.Errors[3].PolicyNumber)
	require.Equal(t, "DUPLICATE_ROW", got.Warnings[0].Code)
	p := decoded[api.PolicyList](e.get("/v1/policies?policy_number=POL009")).Data[0]
	require.Equal(t, []string{"CUST009", `EXT, "9"`}, []string{p.CustomerID, p.ExternalCustomerRef})
	require.EqualValues(t, 9990, p.CollectionAmount)
}

func TestImportAgainChangesNothing(t *testing.T) {
	e := newEnv(t)
	file := importHeader + "C1,E1,P1,F,150.00\r\nC2,E2,P2,F,200.00\r\n"
	for _, want := range []string{
		`"created":2,"updated":0,"unchanged":0,"cancelled":0,"warnings":[]}`,
		`"created":0,"updated":0,"unchanged":2,"cancelled":0,"warnings":[]}`,
	} {
		body := string(e.upload(file).is(http.StatusOK).body)
		require.True(t, strings.HasPrefix(body, `{"imported":2,"failed":0,"errors":[],"import_id":"`), body)
		require.True(t, strings.HasSuffix(body, want+"\n"), body)
	}
	p := decoded[api.PolicyList](e.get("/v1/policies")).Data
	require.Len(t, p, 2)
	require.EqualValues(t, 1, p[0].Version)
	// A new premium is taken over; another customer's number is not.
	got := decoded[api.ImportResult](e.upload(importHeader + "C1,E1,P1,F,175.00\nC9,E2,P2,F,200.00\n").is(http.StatusOK))
	require.Equal(t, api.ImportResult{Imported: 1, Failed: 1, Updated: 1, ImportID: got.ImportID, Errors: []api.RowError{{
		Line: 3, Row: 2, PolicyNumber: "P2", Column: "policy_number", Code: "CONFLICT",
		Message: "the policy number belongs to another customer",
	}}, Warnings: []api.RowError{}}, got)
	require.EqualValues(t, 17500, decoded[api.PolicyList](e.get("/v1/policies?policy_number=P1")).Data[0].CollectionAmount)
	// Where no row is good, the file is refused.
	for _, query := range []string{"mode=merge", "dry_run=true"} {
		no := e.uploadAs(query, importHeader+"C9,E2,P2,F,200.00\nC9,E1,P1,F,x\n").is(http.StatusUnprocessableEntity)
		require.Contains(
			t,
			string(no.body),
			"None of the 2 rows can be taken over; the first error is in line 2: the policy "+
				"number belongs to another customer",
		)
		require.Equal(t, 2, strings.Count(string(no.body), `"row":`), string(no.body))
	}
}

func TestImportOptionalColumnsInAnyOrder(t *testing.T) {
	e := newEnv(t)
	e.upload("\xEF\xBB\xBFpolicy_number,Collection_Amount, " +
		"rail,mandate_fixed,collection_day,mandate_max_amount,mandate_reference," +
		"product_code,external_customer_ref,customer_id\n" +
		"P1,150,rm,TRUE,25,400.00,M1,F,E,C\n" +
		"P2,150,,,,,,F,E,C\n").is(http.StatusOK)
	l := decoded[api.PolicyList](e.get("/v1/policies")).Data
	require.Equal(t, schemas.RailRM, l[0].Rail)
	require.True(t, l[0].MandateFixed)
	require.Equal(t, 25, *l[0].CollectionDay)
	require.EqualValues(t, 40000, *l[0].MandateMaxAmount)
	require.Equal(t, "M1", *l[0].MandateReference)
	require.Equal(t, schemas.RailDebiCheck, l[1].Rail)
	require.Nil(t, l[1].MandateMaxAmount)
	bad := e.upload("policy_number,collection_amount,rail,mandate_fixed," +
		"collection_day,mandate_max_amount,product_code,external_customer_ref,customer_id\n" +
		"P1,150,CARD,maybe,32,-5,F,E,C\n").is(http.StatusUnprocessableEntity).err()
	require.Len(t, *bad.Details.Errors, 4)
}

func TestImportRefusesTheFileAsAWhole(t *testing.T) {
	e := newEnv(t)
	for name, c := range map[string]struct{ file, field, message string }{
		"empty":      {"", "file", "empty"},
		"only a BOM": {"\xEF\xBB\xBF", "file", "empty"},
		"missing columns": {
			"customer_id,policy_number,product_code\nC,P,F\n", "external_customer_ref,collection_amount",
			"external_customer_ref, collection_amount",
		},
		"unknown column":  {strings.TrimSpace(importHeader) + ",phone\n1,2,3,4,5,6\n", "phone", "phone"},
		"column twice":    {strings.TrimSpace(importHeader) + ",rail,rail\n1,2,3,4,5,,\n", "rail", "twice"},
		"UTF-16 unmarked": {"c\x00u\x00s\x00", "file", "UTF-16"},
		"Excel":           {"PK\x03\x04whatever", "file", "Excel"},
		"latin-1 header":  {"customer_id,caf\xe9\n", "file", "UTF-8"},
		"broken header":   {"customer_id,\"x\ny\n", "file", "quotes"},
		"endless header":  {strings.Repeat("x", 200<<10), "file", "too large"},
		"never ending row": {
			importHeader + "C,E,\"P1,F,1\n" + strings.Repeat("C,E,P,F,1\n", 20_000), "file",
			"Row 1 is too large",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := e.upload(c.file).is(http.StatusBadRequest).err()
			require.Equal(t, "VALIDATION_ERROR", got.Code)
			require.Equal(t, c.field, got.Details.Field)
			require.Contains(t, got.Message, c.message)
		})
	}
	require.Zero(t, e.pipe.commands)
}

func TestImportRefusesTheRequest(t *testing.T) {
	e := newEnv(t, func(c *api.Config) { c.MaxImportBytes, c.MaxImportRows = 300<<10, 3 })
	const path = "/v1/policies/import"
	upload := func(contentType, body string) *answer {
		return e.request(http.MethodPost, path, acmeKey, contentType, strings.NewReader(body))
	}
	require.Equal(t, "UNSUPPORTED_MEDIA_TYPE",
		upload("text/csv", importHeader).is(http.StatusUnsupportedMediaType).err().Code)
	require.Equal(t, "Content-Type", upload("multipart/form-data",
		importHeader).is(http.StatusBadRequest).err().Details.Field)
	require.Contains(t, upload("multipart/form-data; boundary=x", "--x--\r\n").is(http.StatusBadRequest).err().Message,
		"missing")
	body, contentType := form(t, "upload", importHeader)
	got := e.request(http.MethodPost, path, acmeKey, contentType, body).is(http.StatusBadRequest).err()
	require.Equal(t, "upload", got.Details.Received)

	row := "C,E,P%d,F,1\n"
	many := importHeader + fmt.Sprintf(strings.Repeat(row, 4), 1, 2, 3, 4)
	require.Contains(t, e.upload(many).is(http.StatusRequestEntityTooLarge).err().Message, "more than 3 rows")
	// Told beforehand by Content-Length, or found out while reading.
	large := importHeader + strings.Repeat(strings.Repeat("x", 999)+"\n", 400)
	require.Equal(t, "PAYLOAD_TOO_LARGE", e.upload(large).is(http.StatusRequestEntityTooLarge).err().Code)
	e = newEnv(t, func(c *api.Config) { c.MaxImportBytes = 100 << 10 })
	body, contentType = form(t, "file", importHeader+strings.Repeat("C,E,P,F,1\n", 40<<10))
	a := e.request(http.MethodPost, path, acmeKey, contentType, io.MultiReader(body)).is(http.StatusRequestEntityTooLarge)
	require.Equal(t, "PAYLOAD_TOO_LARGE", a.err().Code)
}

func TestImportThatBreaksOffChangesNothing(t *testing.T) {
	e := newEnv(t)
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	f, err := w.CreateFormFile("file", "x.csv")
	require.NoError(t, err)
	_, err = io.WriteString(f, importHeader)
	require.NoError(t, err)
	for i := range 1500 {
		fmt.Fprintf(f, "C,E,P%d,F,1\n", i)
	}
	got := e.request(http.MethodPost, "/v1/policies/import", acmeKey, w.FormDataContentType(),
		&b).is(http.StatusBadRequest).err()
	require.Contains(t, got.Message, "The upload broke off. Nothing was taken over")

	b.Reset()
	w = multipart.NewWriter(&b)
	for range 2 {
		f, err = w.CreateFormFile("file", "x.csv")
		require.NoError(t, err)
		_, err = io.WriteString(f, importHeader+"C,E,P1,F,1\n")
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	got = e.request(http.MethodPost, "/v1/policies/import", acmeKey, w.FormDataContentType(),
		&b).is(http.StatusBadRequest).err()
	require.Contains(t, got.Message, "another file")
	require.Zero(t, e.pipe.commands)
}

func TestImportWithoutAnAnswerSaysHowFarItGot(t *testing.T) {
	e := newEnv(t, func(c *api.Config) { c.Wait = 500 * time.Millisecond })
	e.pipe.deaf = true
	got := e.upload(importHeader + "C,E,P1,F,1\n").is(http.StatusServiceUnavailable).err()
	require.Contains(t, got.Message, "the answers to only 0 of its 1 rows")
	e.pipe.fail = errKafka
	got = e.upload(importHeader + "C,E,P1,F,1\n").is(http.StatusServiceUnavailable).err()
	require.Contains(t, got.Message, "was accepted as import")
}

// TestImportDoesNotRunAhead: no more rows are on their way than others may have to wait for.
func TestImportDoesNotRunAhead(t *testing.T) {
	e := newEnv(t, func(c *api.Config) { c.Wait = 2 * time.Second })
	e.pipe.deaf = true
	var file strings.Builder
	file.WriteString(importHeader)
	for i := range 60_000 {
		fmt.Fprintf(&file, "C,E,P%d,F,1\n", i)
	}
	got := e.upload(file.String()).is(http.StatusServiceUnavailable).err()
	require.Contains(t, got.Message, "the answers to only 0 of its 60000 rows")
	require.Equal(t, 50_000, e.pipe.commands)
}

// A file is sent again because its first answer was lost. It counts as imported only once the policies can be read: an
// execution that follows must find them.
func TestImportAgainWaitsForTheFirstOne(t *testing.T) {
	e := newEnv(t, func(c *api.Config) { c.Wait = 2 * time.Second })
	known := schemas.PolicyEvent{
		PolicyID: schemas.PolicyID("acme", "P1"), TenantID: "acme", PolicyNumber: "P1", CustomerID: "C1", Version: 1,
		PolicyTerms: schemas.PolicyTerms{
			ExternalCustomerRef: "E1", ProductCode: "F", PremiumCents: 15000,
			Status: schemas.PolicyActive, Rail: schemas.RailDebiCheck,
		},
	}
	e.pipe.policies[known.PolicyID] = known // the engine has it, ClickHouse does not
	file := importHeader + "C1,E1,P1,F,150.00\n"
	require.Contains(t, e.upload(file).is(http.StatusServiceUnavailable).err().Message, "will be carried out")
	e.pipe.insert("policies_log", policyColumns, [][]any{policyRow(known)})
	require.Equal(t, 1, decoded[api.ImportResult](e.upload(file).is(http.StatusOK)).Unchanged)
	require.Equal(t, 1, e.execute(`{"period_month":"2025-11"}`).PoliciesQueued)
}

func TestImportListsTheFirstThousandErrors(t *testing.T) {
	e := newEnv(t)
	var b strings.Builder
	b.WriteString(importHeader)
	for i := range 1200 {
		fmt.Fprintf(&b, "C,E,P%d,F,%d\n", i, i%2-1)
		fmt.Fprintf(&b, "C,E,Q%d,,\n", i)
	}
	b.WriteString("C,E,GOOD,F,1\n")
	got := decoded[api.ImportResult](e.upload(b.String()).is(http.StatusOK))
	require.Len(t, got.Errors, 1000)
	require.Equal(t, 1, got.Imported)
	require.Equal(t, 2400, got.Failed)
	all := e.get("/v1/imports/" + got.ImportID + "/errors").is(http.StatusOK)
	lines := strings.Split(strings.TrimSpace(string(all.body)), "\n")
	require.Equal(t, "line,row,policy_number,column,code,message", lines[0])
	require.Len(t, lines, 1+1200+2*1200) // two of each second row
	require.True(t, strings.HasPrefix(lines[1], "2,1,P0,collection_amount,INVALID_AMOUNT,"), lines[1])
	require.True(t, strings.HasPrefix(lines[len(lines)-1], "2401,2400,Q1199,collection_amount,MISSING_VALUE,"))
}

// TestImportInConstantMemory sends 100,000 rows through a pipe, so that no side ever holds the file, and looks at the
// heap with each batch.
func TestImportInConstantMemory(t *testing.T) {
	const rows = 100_000
	e := newEnv(t, func(c *api.Config) { c.Wait = 30 * time.Second })
	var before, now runtime.MemStats
	var most uint64
	e.pipe.forget = true
	e.pipe.every = func() {
		if e.pipe.commands%10_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&before)
	r, out := io.Pipe()
	w := multipart.NewWriter(out)
	go func() {
		f, _ := w.CreateFormFile("file", "policies.csv")
		_, _ = io.WriteString(f, importHeader)
		for i := range rows {
			_, _ = fmt.Fprintf(f, "CUST%06d,EXT%06d,POL%06d,FUNERAL_01,150.00\n", i, i, i)
		}
		_ = w.Close()
		_ = out.Close()
	}()
	start := time.Now()
	a := e.request(http.MethodPost, "/v1/policies/import", acmeKey, w.FormDataContentType(), r).is(http.StatusOK)
	require.Equal(t, rows, decoded[api.ImportResult](a).Created)
	grown := int64(most) - int64(before.HeapAlloc)
	t.Logf("%d rows in %s, heap grew by %d KiB at most", rows, time.Since(start).Round(time.Millisecond), grown>>10)
	require.Less(t, grown, int64(16<<20))
	require.Equal(t, rows, e.pipe.commands)
	var n uint64
	require.NoError(
		t,
		e.db.QueryRow(t.Context(), "SELECT uniqExact(policy_id) FROM policies_log WHERE tenant_id = 'acme'").Scan(&n),
	)
	require.EqualValues(t, rows, n)
}
