package clickhouse

import (
	stdjson "encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/encoding/json"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
)

// pieces are what strings are made of: mostly plain, so that the scan reads most records, with all that may need the
// library.
var pieces = []string{
	"a", "Z", "0", " ", "plain words", "'", "/", "{", "}", ",", ":", "é", "中", "😀", "\x7f", "2025-11-05", "SALARY", "-",
	"", "x", "y", "z", "1",
	`"`, `\`, "<", "\x01", "\n", "\u2028", "\xff", "\xed\xa0\x80",
}

// scramble fills a value with what its type can hold, and keeps awkward strings rare enough.
func scramble(r *rand.Rand, v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		t := time.Date(1960+r.IntN(200), time.Month(1+r.IntN(12)), 1+r.IntN(31), r.IntN(24), r.IntN(60), r.IntN(60),
			[]int{0, 1, 120e6, 123456789}[r.IntN(4)], time.UTC)
		zones := []*time.Location{time.FixedZone("", (r.IntN(28*60)-14*60)*60), schemas.Johannesburg, time.UTC}
		v.Set(reflect.ValueOf(t.In(zones[min(r.IntN(20), len(zones)-1)])))
		return
	}
	if v.Type() == reflect.TypeFor[json.RawMessage]() {
		v.SetBytes([]byte([]string{`{"a":[1,{"b":"x}"}],"c":null}`, `[]`, `{}`, `[{"a": -1.5e3},"]"]`, "null"}[r.IntN(5)]))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			scramble(r, v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(3), 2))
		for i := range v.Len() {
			scramble(r, v.Index(i))
		}
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.String:
		var b strings.Builder
		for range r.IntN(4) {
			b.WriteString(pieces[r.IntN(len(pieces)-8*min(1, r.IntN(20)))])
		}
		v.SetString(b.String())
	case reflect.Pointer:
		if r.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			scramble(r, v.Elem())
		}
	case reflect.Int, reflect.Int64:
		v.SetInt([]int64{0, 1, -1, r.Int64N(1 << 30), -r.Int64N(1 << 30), r.Int64N(2e18)}[r.IntN(6)])
	default:
		panic("no value for a " + v.Type().String())
	}
}

// disturb writes a record as ours never are: other order, keys gone, twice, unknown or null, white space, a byte
// changed, cut or added.
func disturb(r *rand.Rand, b []byte) []byte {
	text := string(b)
	fields := strings.Split(strings.Trim(text, "{}"), `,"`)
	i, j := r.IntN(len(fields)), r.IntN(len(fields))
	switch r.IntN(9) {
	case 0, 1:
		if i > 0 && j > 0 {
			fields[i], fields[j] = fields[j], fields[i]
		}
		text = "{" + strings.Join(fields, `,"`) + "}"
	case 2:
		text = strings.Replace(text, "}", fmt.Sprintf(`,"%s}`, strings.TrimPrefix(fields[i], `"`)), 1)
	case 3:
		text = strings.Replace(text, `"seq":`, []string{
			`"unknown":`, `"SEQ":`, `"seq": `, `"seq":0`, `"seq":null,"x":`,
			`"seq":-`,
		}[r.IntN(6)], 1)
	case 4:
		text = strings.Replace(text, "}", []string{
			"}}", "} ", "", "},", ",}", `,"change":{}}`,
			`,"change":{"kind":"X"}}`,
		}[r.IntN(7)], 1+r.IntN(2))
	default:
		at := r.IntN(len(b))
		text = text[:at] + []string{"", "0", `"`, ",", "}", "e5", ".5", "\x00", "\xff"}[r.IntN(9)] + text[at+r.IntN(2):]
	}
	return []byte(text)
}

// same reads a record in both ways and tells whether the scan took it.
func same[E any](t *testing.T, b []byte, fields []field[E]) bool {
	t.Helper()
	var got, want E
	if !read(new(scan), fields, b, &got) {
		return false
	}
	require.NoError(t, stdjson.Unmarshal(b, &want), "%s", b)
	wantText, err := stdjson.Marshal(want)
	require.NoError(t, err)
	gotText, err := stdjson.Marshal(got)
	require.NoError(t, err)
	require.Equal(t, string(wantText), string(gotText), "%s", b)
	return true
}

func testScan[E any](t *testing.T, fields []field[E]) {
	r := rand.New(rand.NewPCG(3, 4))
	const n = 20_000
	taken, disturbed := 0, 0
	for range n {
		var e E
		scramble(r, reflect.ValueOf(&e).Elem())
		b := encode(t, e)
		if same(t, b, fields) {
			taken++
		}
		if same(t, disturb(r, b), fields) {
			disturbed++
		}
	}
	require.Greater(t, taken, n/8, "the scan reads what is ours") // not what needs escapes
	require.Greater(t, disturbed, n/100, "some disturbed records are still read by it")
}

// What the scan accepts the standard library accepts, with the same values.
func TestScanIsWhatTheLibraryReads(t *testing.T) {
	t.Run("transactions", func(t *testing.T) { testScan(t, transactionEventFields()) })
	t.Run("deposits", func(t *testing.T) { testScan(t, depositEventFields()) })
	t.Run("decisions", func(t *testing.T) { testScan(t, decisionEventFields()) })
	t.Run("debits", func(t *testing.T) { testScan(t, debitInstructionFields()) })
	t.Run("policies", func(t *testing.T) { testScan(t, policyEventFields()) })
	t.Run("collections", func(t *testing.T) { testScan(t, collectionEventFields()) })
	t.Run("settlements", func(t *testing.T) { testScan(t, settlementEventFields()) })
	t.Run("outcomes", func(t *testing.T) { testScan(t, outcomeEventFields()) })
	t.Run("calendar", func(t *testing.T) { testScan(t, tickRowFields()) })
}

// The scan reads what stages write, whole: a field that it did not know would cost the library's time without a sign.
func TestScanReadsOurEvents(t *testing.T) {
	require.True(t, same(t, encode(t, sample(schemas.TopicTransactions, 0, 1)), transactionEventFields()))
	require.True(t, same(t, encode(t, sample(schemas.TopicDeposits, 0, 1)), depositEventFields()))
	require.True(t, same(t, encode(t, sample(schemas.TopicDecisions, 0, 1)), decisionEventFields()))
	require.True(t, same(t, encode(t, sample(schemas.TopicDebits, 0, 1)), debitInstructionFields()))
	require.True(t, same(t, encode(t, sample(schemas.TopicPolicies, 0, 1)), policyEventFields()))
	require.True(t, same(t, encode(t, sample(schemas.TopicCollections, 0, 1)), collectionEventFields()))
	require.True(t, same(t, encode(t, sample(schemas.TopicSettlements, 0, 1)), settlementEventFields()))
	require.True(t, same(t, encode(t, sample(schemas.TopicOutcomes, 0, 1)), outcomeEventFields()))
	require.True(t, same(t, encode(t, sample(schemas.TopicCalendar, 0, 1)), tickRowFields()))
	require.True(t, same(t, encode(t, schemas.TransactionEvent{}), transactionEventFields()))
	require.True(t, same(t, encode(t, schemas.CollectionEvent{}), collectionEventFields()))
}

// BenchmarkScan sets the scan beside the library's readers. One operation is one record.
func BenchmarkScan(b *testing.B) {
	benchScan(b, schemas.TopicTransactions, transactionEventFields())
	benchScan(b, schemas.TopicCollections, collectionEventFields())
	benchScan(b, schemas.TopicDecisions, decisionEventFields())
	benchScan(b, schemas.TopicDebits, debitInstructionFields())
}

func benchScan[E any](b *testing.B, topic string, fields []field[E]) {
	record := encode(b, sample(topic, 0, 1))
	var c scan
	for name, do := range map[string]func(e *E) bool{
		"scan":      func(e *E) bool { return read(&c, fields, record, e) },
		"segmentio": func(e *E) bool { return json.Unmarshal(record, e) == nil },
		"standard":  func(e *E) bool { return stdjson.Unmarshal(record, e) == nil },
	} {
		b.Run(schemas.SunkTopics[topic]+"/"+name, func(b *testing.B) {
			b.ReportAllocs()
			var e E
			for b.Loop() {
				e = *new(E)
				if !do(&e) {
					b.Fatal("not read")
				}
			}
		})
	}
}

func FuzzScan(f *testing.F) {
	f.Add(encode(f, sample(schemas.TopicTransactions, 0, 1)))
	for topic := range schemas.SunkTopics {
		f.Add(encode(f, sample(topic, 0, 1)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		same(t, b, transactionEventFields())
		same(t, b, collectionEventFields())
		same(t, b, decisionEventFields())
		same(t, b, debitInstructionFields())
		same(t, b, policyEventFields())
		same(t, b, settlementEventFields())
	})
}
