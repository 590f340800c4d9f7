package api_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/api"
	"github.com/kasi-collections/kasi/schemas"
)

// uploadAs uploads a file with options in the query.
func (e *env) uploadAs(query, csv string) *answer {
	e.t.Helper()
	body, contentType := form(e.t, "file", csv)
	return e.request(http.MethodPost, "/v1/policies/import?"+query, acmeKey, contentType, body)
}

func (e *env) imported(query, csv string) api.ImportResult {
	e.t.Helper()
	return decoded[api.ImportResult](e.uploadAs(query, csv).is(http.StatusOK))
}

func (e *env) stored(number string) api.Policy {
	e.t.Helper()
	l := decoded[api.PolicyList](e.get("/v1/policies?policy_number=" + number)).Data
	require.Len(e.t, l, 1, number)
	return l[0]
}

// told is what errors or warnings say: line, policy, column and code.
func told(l []api.RowError) (out []string) {
	for _, w := range l {
		out = append(out, fmt.Sprintf("%d %s %s %s", w.Line, w.PolicyNumber, w.Column, w.Code))
	}
	return out
}

func TestImportLeavesWhatTheFileLacksAndClearsWhatIsBlank(t *testing.T) {
	e := newEnv(t)
	wide := strings.TrimSpace(importHeader) +
		",status,rail,mandate_reference,mandate_max_amount,mandate_fixed,collection_day,bank,account_token\n"
	require.Equal(t, 2, e.imported("", wide+"C1,E,P1,F,100,lapsed,EFT,M1,400,true,25,632005,TOK\n"+
		"C2,E,P2,F,100,,RM,M1,400,true,25,FNB,TOK\n").Created)
	got := e.imported("", importHeader+"C1,E,P1,F,120\nC2,E2,P2,F,100\n")
	require.Equal(t, []int{2, 0}, []int{got.Updated, got.Unchanged})
	p := e.stored("P1")
	require.Equal(
		t,
		"lapsed EFT M1 400.00 true 25 632005 TOK",
		fmt.Sprint(p.Status, " ", p.Rail, " ", *p.MandateReference, " ",
			schemas.Cents(*p.MandateMaxAmount), " ", p.MandateFixed, " ", *p.CollectionDay, " ", *p.Bank, " ", *p.AccountToken),
	)
	require.Equal(t, []string{"2 P1 status POLICY_NOT_ACTIVE"}, told(got.Warnings))
	e.imported("", wide+"C1,E,P1,F,120,,,,,,,,\n")
	p = e.stored("P1")
	require.Equal(t, schemas.PolicyLapsed, p.Status, "a blank status leaves it")
	require.Equal(t, schemas.RailDebiCheck, p.Rail)
	require.True(t, p.MandateReference == nil && p.MandateMaxAmount == nil && !p.MandateFixed && p.CollectionDay == nil &&
		p.Bank == nil && p.AccountToken == nil)
	require.Equal(t, 1, e.imported("", strings.TrimSpace(importHeader)+",status\nC1,E,P1,F,120,cancelled\n").Cancelled)
	refused := e.imported("", importHeader+"C1,E,P1,F,120\nC2,E2,P2,F,100\n")
	require.Equal(t, []string{"2 P1 policy_number CONFLICT"}, told(refused.Errors))
}

func TestImportOfTheWholeBook(t *testing.T) {
	e := newEnv(t)
	var book strings.Builder
	book.WriteString(importHeader)
	for i := range 20 {
		fmt.Fprintf(&book, "C%d,E,P%02d,F,100\n", i, i)
	}
	e.imported("", book.String())
	e.request(http.MethodPost, "/v1/policies/import", otherKey, "", nil) // another tenant's book is left alone
	without := func(n int) string {
		lines := strings.SplitAfter(book.String(), "\n")
		return lines[0] + strings.Join(lines[1+n:], "")
	}
	require.Zero(t, e.imported("", without(5)).Cancelled, "merge is the default")
	before := e.pipe.commands
	refused := e.uploadAs("mode=full", without(3)).is(http.StatusConflict).err()
	require.Contains(t, refused.Message, "lacks 3 of your 20 active policies")
	require.Contains(t, refused.Message, "max_cancel=3")
	require.Contains(
		t,
		e.uploadAs("mode=full&max_cancel=2", without(3)).is(http.StatusConflict).err().Message,
		"max_cancel=2",
	)
	require.Equal(t, 3, e.imported("mode=full&max_cancel=3&dry_run=true", without(3)).Cancelled)
	bad := strings.Replace(without(2), ",P05,F,100", ",P05,F,x", 1) // what is in the file badly is in the file
	require.Equal(t, before, e.pipe.commands, "so far nothing was changed")
	got := e.imported("mode=full", bad)
	require.Equal(t, []int{17, 1, 17, 2}, []int{got.Imported, got.Failed, got.Unchanged, got.Cancelled})
	require.Equal(t, schemas.PolicyCancelled, e.stored("P01").Status)
	require.Equal(t, schemas.PolicyActive, e.stored("P05").Status)
	require.Equal(t, 10, e.imported("mode=full&max_cancel=10", without(10)).Unchanged)
	require.Equal(t, "policy_number", e.uploadAs("mode=full", without(10)+"C,E,,F,1\n").is(
		http.StatusUnprocessableEntity).err().Details.Field)
}

func TestImportDryRunAnswersTheSameAndChangesNothing(t *testing.T) {
	e := newEnv(t)
	e.imported("", importHeader+"C1,E,P1,F,100\nC2,E,P2,F,100\nC3,E,P3,F,100\n")
	file := importHeader + "C1,E,P1,F,100\nC2,E,P2,F,150\nC9,E,P3,F,100\nC4,E,P4,F,100\nC5,E,P5,F,x\n"
	before := e.pipe.commands
	dry := e.imported("dry_run=true", file)
	require.Equal(t, before, e.pipe.commands)
	done := e.imported("", file)
	dry.ImportID = done.ImportID
	require.Equal(t, done, dry)
	require.Equal(t, []int{3, 2, 1, 1, 1}, []int{done.Imported, done.Failed, done.Created, done.Updated, done.Unchanged})
}

func TestImportControlTotals(t *testing.T) {
	e := newEnv(t)
	file := importHeader + "C1,E,P1,F,100.50\n,,,,\nC2,E,P2,F,100\n"
	for query, field := range map[string]string{
		"expected_rows=3": "expected_rows", "expected_total=200.00": "expected_total",
		"expected_rows=2&expected_total=200.51": "expected_total",
	} {
		require.Equal(t, field, e.uploadAs(query, file).is(http.StatusUnprocessableEntity).err().Details.Field)
	}
	for query, field := range map[string]string{
		"expected_rows=x": "expected_rows", "expected_total=1.234": "expected_total", "mode=all": "mode",
		"dry_run=2":    "dry_run",
		"max_cancel=1": "max_cancel", "mode=full&max_cancel=-1": "max_cancel",
	} {
		require.Equal(t, field, e.uploadAs(query, file).is(http.StatusBadRequest).err().Details.Field)
	}
	require.Zero(t, e.pipe.commands)
	require.Equal(t, 2, e.imported("expected_rows=2&expected_total=200.50", file).Imported)
	var b bytes.Buffer // the same as fields of the form, in any order
	w := multipart.NewWriter(&b)
	require.NoError(t, w.WriteField("dry_run", "true"))
	f, err := w.CreateFormFile("file", "x.csv")
	require.NoError(t, err)
	_, err = io.WriteString(f, file)
	require.NoError(t, err)
	require.NoError(t, w.WriteField("expected_rows", "9"))
	require.NoError(t, w.Close())
	require.Equal(t, "expected_rows", e.request(http.MethodPost, "/v1/policies/import", acmeKey, w.FormDataContentType(),
		&b).is(http.StatusUnprocessableEntity).err().Details.Field)
}

func TestImportWarns(t *testing.T) {
	e := newEnv(t)
	e.imported(
		"",
		strings.TrimSpace(importHeader)+",mandate_max_amount\nC1,E,000777,F,150.00,200\nC2,E,P2,F,10,\nC3,E,Pol3,F,9,\n",
	)
	got := e.imported("", importHeader+"C1,E,777,F,150.00\nC2,E,P2,F,50.01\nC2,E,P2,F,50.00\nC3,E,ＰＯＬ３,F,9.00\n"+
		"C1,E,000777,F,200.01\nC4,E,01-Nov,F,1\nC5,E,pol3,F,1\n")
	require.Equal(t, []string{
		"2 777 policy_number SIMILAR_NUMBER", "3 P2 collection_amount PREMIUM_CHANGE", "4 P2 policy_number DUPLICATE_ROW",
		"7 01-Nov policy_number LOOKS_LIKE_DATE",
	}, subset(told(got.Warnings), "2 ", "3 ", "4 ", "7 "))
	text := strings.Join(told(got.Warnings), "\n")
	require.Contains(t, text, "000777 collection_amount MAXIMUM_BELOW_PREMIUM")
	require.Contains(t, text, "SIMILAR_NUMBER")
	require.Equal(t, 7, got.Imported)
	require.EqualValues(t, 5000, e.stored("P2").CollectionAmount, "the later line counts")
	wide := strings.TrimSpace(importHeader) + ",mandate_max_amount\nC9,E,P9,F,100,99.99\n"
	require.Equal(t, []string{"2 P9 mandate_max_amount MAXIMUM_BELOW_PREMIUM"}, told(e.imported("", wide).Warnings))
	quiet := importHeader + "C10,E,A10,F,50\nC11,E,A100,F,50\n"
	require.Empty(t, e.imported("", quiet).Warnings)
	require.Empty(
		t,
		e.imported("", strings.ReplaceAll(quiet, ",50\n", ",250\n")).Warnings,
		"fivefold is not more than that",
	)
}

func subset(l []string, prefixes ...string) (out []string) {
	for _, s := range l {
		for _, p := range prefixes {
			if strings.HasPrefix(s, p) {
				out = append(out, s)
			}
		}
	}
	return out
}

// TestImportTakesWhatSpreadsheetsMake: each of these is the same two rows.
func TestImportTakesWhatSpreadsheetsMake(t *testing.T) {
	e := newEnv(t)
	plain := importHeader + "C1,E,P1,F,150.50\nC2,E,P2,F,99.00\n"
	utf16le := func(s string) string {
		out := []byte{0xFF, 0xFE}
		for _, u := range utf16.Encode([]rune(s)) {
			out = append(out, byte(u), byte(u>>8))
		}
		return string(out)
	}
	semicolons := strings.NewReplacer(",", ";", "150.50", "150,50", "99.00", "99,00").Replace(plain)
	for name, file := range map[string]string{
		"plain": plain, "byte order mark": "\xEF\xBB\xBF" + plain, "CRLF": strings.ReplaceAll(plain, "\n", "\r\n"),
		"semicolons and decimal commas": semicolons, "sep=": "sep=;\r\n" + semicolons, "UTF-16": utf16le(plain),
		"UTF-16 with tabs": utf16le(strings.ReplaceAll(plain, ",", "\t")), "gzip": packed(plain),
		"quotes": strings.NewReplacer("C1", `"C1"`, "150.50", `"150,50"`, "customer_id",
			`"Customer_ID"`).Replace(plain),
		"trailing commas": strings.ReplaceAll(plain, "\n", ",,\n") + strings.Repeat(",,,,,,\n", 300),
		"empty rows first": importHeader + strings.Repeat(",,,,\n\"\", ,,,\n", 150) +
			strings.TrimPrefix(plain, importHeader),
	} {
		got := e.imported("dry_run=true&expected_rows=2&expected_total=249.50", file)
		require.Equal(t, 2, got.Created, name)
		require.Empty(t, got.Warnings, name)
	}
	body, contentType := form(t, "file", plain)
	all, err := io.ReadAll(body)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url+"/v1/policies/import",
		strings.NewReader(packed(string(all))))
	require.NoError(t, err)
	req.Header.Set("X-API-Key", acmeKey)
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Content-Encoding", "gzip")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

func packed(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.String()
}

func TestImportNamesWhatSpreadsheetsSpoil(t *testing.T) {
	e := newEnv(t)
	got := decoded[api.ImportResult](e.upload(importHeader +
		"C1,E,1.23457E+11,F,1\n1.5E+2,E,P2,F,1\nC3,E,P3,F,1.5E+2\nC4,E,P4,F,\"1,500.00\"\nC5,E,P5,F,2025-11-01\n" +
		"C6,E,#N/A,F,1\nC7,E,P7,F,#REF!\nC8,E,P\u200b8,F,1\nC9,E,P\u00a09,F,1\nC10\u00a0,E,P10,F,1\nC11,E,P11,F,R150\n" +
		"C12,E,P12,F,\"1,50,0\"\nC13,E,Z\u0065\u0301,F,1\n").is(http.StatusOK))
	require.Equal(t, []string{
		"2 1.23457E+11 policy_number SPREADSHEET_VALUE", "3 P2 customer_id SPREADSHEET_VALUE",
		"4 P3 collection_amount INVALID_AMOUNT", "5 P4 collection_amount INVALID_AMOUNT",
		"6 P5 collection_amount INVALID_AMOUNT", "7 #N/A policy_number SPREADSHEET_VALUE",
		"8 P7 collection_amount INVALID_AMOUNT", "9 P\u200b8 policy_number INVALID_VALUE",
		"10 P\u00a09 policy_number INVALID_VALUE", "11 P10 customer_id INVALID_VALUE",
		"12 P11 collection_amount INVALID_AMOUNT", "13 P12 collection_amount INVALID_AMOUNT",
	}, told(got.Errors))
	require.Contains(t, got.Errors[2].Message, "scientific notation")
	require.Contains(t, got.Errors[3].Message, "thousands")
	require.Contains(t, got.Errors[4].Message, "date")
	require.Equal(t, "Z\u00e9", e.stored("Z%C3%A9").PolicyNumber, "ids are kept in NFC")
}

// TestImportRefusesAFileThatWasCut: cut anywhere within its last line, a file is refused, or else warned of.
func TestImportRefusesAFileThatWasCut(t *testing.T) {
	e := newEnv(t)
	file := importHeader + "C1,E,P1,F,150.00\nC2,E,P2,F,1150.00\n"
	start := strings.LastIndex(strings.TrimSpace(file), "\n") + 2
	for at := start; at < len(file)-1; at++ {
		got := e.uploadAs("dry_run=true", file[:at])
		require.Equal(t, http.StatusBadRequest, got.status, "cut at %q: %s", file[start-1:at], got.body)
	}
	whole := e.imported("dry_run=true", strings.TrimSpace(file))
	require.Equal(t, []string{"3 P2  NO_LINE_END"}, told(whole.Warnings))
	require.Equal(t, 2, whole.Created)
	cut := packed(importHeader + strings.Repeat("C1,E,P1,F,150.00\n", 1000))
	require.Equal(t, http.StatusBadRequest, e.uploadAs("dry_run=true", cut[:len(cut)-20]).status)
}

func TestImportOfBombsIsBounded(t *testing.T) {
	e := newEnv(t, func(c *api.Config) { c.MaxImportBytes = 1 << 20 })
	bomb := packed(importHeader + strings.Repeat("C1,E,P1,F,150.00\n", 200_000))
	require.Less(t, len(bomb), 1<<20)
	require.Equal(t, "PAYLOAD_TOO_LARGE", e.upload(bomb).is(http.StatusRequestEntityTooLarge).err().Code)
	require.Equal(t, "PAYLOAD_TOO_LARGE", e.upload(packed(bomb)).is(http.StatusRequestEntityTooLarge).err().Code)
}

// TestImportGoesOnWithoutItsCaller: whoever hangs up has been heard.
func TestImportGoesOnWithoutItsCaller(t *testing.T) {
	e := newEnv(t)
	e.pipe.deaf = true
	body, contentType := form(t, "file", importHeader+"C1,E,P1,F,150.00\n")
	ctx, hangUp := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url+"/v1/policies/import", body)
	require.NoError(t, err)
	req.Header.Set("X-API-Key", acmeKey)
	req.Header.Set("Content-Type", contentType)
	e.pipe.every = func() {
		e.pipe.fail, e.pipe.deaf = errKafka, false // the first try fails
		hangUp()
		e.pipe.every = func() { e.pipe.fail = nil }
	}
	_, err = http.DefaultClient.Do(req) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, context.Canceled)
	require.Eventually(t, func() bool {
		return len(decoded[api.PolicyList](e.get("/v1/policies?policy_number=P1")).Data) == 1
	}, 10*time.Second, 20*time.Millisecond)
}

// TestImportGoesOnInTheNextProcess: a process is killed with an import under way. The next one sends what has no
// answer.
func TestImportGoesOnInTheNextProcess(t *testing.T) {
	dir := t.TempDir()
	var stop context.CancelFunc
	killed := func(c *api.Config) {
		ctx, cancel := context.WithCancel(context.Background())
		stop, c.ImportDir, c.Wait = cancel, dir, 200*time.Millisecond
		c.Background = func(run func(context.Context)) { go run(ctx) }
	}
	e := newEnv(t, killed)
	answered := 0
	e.pipe.every = func() { // the second batch is lost with the process
		if answered++; answered > 1 {
			stop()
			e.pipe.fail = errors.New("killed")
		}
	}
	var file strings.Builder
	file.WriteString(importHeader)
	for i := range 1500 {
		fmt.Fprintf(&file, "C%d,E,P%d,F,1\n", i, i)
	}
	id := strings.Fields(strings.SplitAfter(e.upload(file.String()+"C,E,BAD,F,x\n").is(
		http.StatusServiceUnavailable).err().Message, "as import ")[1])[0]
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, left, 3)
	require.Eventually(t, func() bool { // a killed process holds no lock
		f, err := os.OpenFile(filepath.Join(dir, "import-"+id+".json"), os.O_RDWR, 0)
		require.NoError(t, err)
		defer f.Close()
		return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
	}, 10*time.Second, 10*time.Millisecond)

	e.pipe.every, e.pipe.fail = nil, nil
	before := e.pipe.commands
	next := e.again(func(c *api.Config) { c.ImportDir, c.Wait = dir, time.Second })
	require.Eventually(t, func() bool {
		i := decoded[api.Import](next.get("/v1/imports/" + id))
		return i.Status == "completed" && i.Imported == 1500 && i.Failed == 1 && i.Created == 1500
	}, 20*time.Second, 50*time.Millisecond)
	require.Equal(t, before+500, e.pipe.commands, "what was answered is not sent again")
	left, err = filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// fifth is a manual calendar that stands at 2025-11-05.
type fifth struct{ api.Calendar }

func (fifth) Shown(at time.Time) time.Time {
	return schemas.Meta{BusinessDate: "2025-11-05", At: at}.Shown()
}

func TestImportTellsHowFarItIs(t *testing.T) {
	e := newEnv(t, func(c *api.Config) { c.Calendar = fifth{} })
	got := e.imported("", importHeader+"C1,E,P1,F,150.00\nC2,E,P2,F,\n")
	i := decoded[api.Import](e.get("/v1/imports/" + got.ImportID).is(http.StatusOK))
	require.Equal(t, []any{"completed", "merge", false, 2, 2, 1, 1, 1}, []any{
		i.Status, i.Mode, i.DryRun, i.Rows, i.RowsDone, i.Imported, i.Failed, i.Created,
	})
	require.Equal(t, "2025-11-05", i.CreatedAt.In(schemas.Johannesburg).Format(time.DateOnly), "on the business date")
	csv := string(e.get("/v1/imports/" + got.ImportID + "/errors").is(http.StatusOK).body)
	require.Equal(t, "line,row,policy_number,column,code,message\n"+
		"3,2,P2,collection_amount,MISSING_VALUE,collection_amount is empty\n", csv)
	for _, path := range []string{"", "/errors"} {
		e.request(http.MethodGet, "/v1/imports/"+got.ImportID+path, otherKey, "", nil).is(http.StatusNotFound)
		e.get("/v1/imports/x" + path).is(http.StatusNotFound)
	}
	require.Equal(t, http.StatusUnprocessableEntity, e.upload(importHeader).status)
}
