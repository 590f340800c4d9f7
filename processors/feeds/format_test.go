package feeds_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors/feeds"
	"github.com/kasi-collections/kasi/schemas"
)

// read gives what a record holds: for each entry its number and its event as our JSON, or the class of its refusal with
// the text of its dead letter.
func read(t *testing.T, topic, value string) (entries []string) {
	t.Helper()
	var r feeds.Reader
	err := r.Read(topic, []byte(value), func(e *feeds.Entry) error {
		if e.Err != nil {
			entries = append(entries, fmt.Sprintf("%d %s %s", e.No, classOf(t, e.Err), e.Text()))
			return nil
		}
		text, err := e.Event.AppendJSON(nil)
		entries = append(entries, fmt.Sprintf("%d %s", e.No, text))
		return err
	})
	if err != nil {
		entries = append(entries, classOf(t, err))
	}
	return entries
}

func classOf(t *testing.T, err error) string {
	t.Helper()
	var reject *schemas.Reject
	require.ErrorAs(t, err, &reject)
	return reject.Class
}

const csvHeader = "transaction_id,tenant_id,customer_id,booked_at,amount_cents,direction,description"

func csvLine(id, amount string) string {
	return id + ",acme,C1,2025-11-01T09:00:00+02:00," + amount + `,CREDIT,"SALARY, NOV"`
}

func ours(id string, cents int) string {
	return fmt.Sprintf(`{"transaction_id":%q,"tenant_id":"acme","customer_id":"C1","booked_at":"2025-11-01T07:00:00Z",`+
		`"amount_cents":%d,"direction":"CREDIT","description":"SALARY, NOV"}`, id, cents)
}

// A record holds a file of transactions, or a header and one line. Each line is accepted or refused by itself, and the
// dead letter of one is a record that can be sent again.
func TestTransactionsAsCSV(t *testing.T) {
	t.Parallel()
	join := func(lines ...string) string { return strings.Join(lines, "\n") }
	bad := func(no int, class, line string) string {
		return fmt.Sprintf("%d %s %s\n%s", no, class, csvHeader, line)
	}
	for _, c := range []struct {
		name, value string
		want        []string
	}{
		{"one line", join(csvHeader, csvLine("t1", "100")), []string{"1 " + ours("t1", 100)}},
		{
			"a file with bad lines",
			join(csvHeader, csvLine("t1", "100"), csvLine("t2 ", "100"), csvLine("t3", "1.50"), "t4,acme", csvLine("t5", "7"),
				""),
			[]string{
				"1 " + ours("t1", 100), bad(2, "BAD_ID", csvLine("t2 ", "100")), bad(3, "BAD_AMOUNT", csvLine("t3", "1.50")),
				bad(4, "BAD_CSV", "t4,acme"), "5 " + ours("t5", 7),
			},
		},
		{
			"a mark, carriage returns and blank lines",
			"\ufeff" + strings.ReplaceAll(join(csvHeader, "", csvLine("t1", "100"), ""), "\n", "\r\n"),
			[]string{"1 " + ours("t1", 100)},
		},
		{
			"a broken quote hinders no other line", join(csvHeader, `t1,acme,C1,2025-11-01T09:00:00+02:00,1,CREDIT,a"b`,
				csvLine("t2", "100")),
			[]string{bad(1, "BAD_CSV", `t1,acme,C1,2025-11-01T09:00:00+02:00,1,CREDIT,a"b`), "2 " + ours("t2", 100)},
		},
		{
			"broken UTF-8", join(csvHeader, csvLine("t\xff", "1"), csvLine("t2", "100")),
			[]string{bad(1, "BAD_CSV", csvLine("t\xff", "1")), "2 " + ours("t2", 100)},
		},
		{"a missing field", join("transaction_id,note", "t1,x"), []string{"1 MISSING_FIELD transaction_id,note\nt1,x"}},
		{"a column twice", join("transaction_id,transaction_id", "t1,t1"), []string{"BAD_CSV"}},
		{"a broken header", join(`transaction_id,a"b`, "t1"), []string{"BAD_CSV"}},
		{"a header alone", csvHeader + "\n", []string{"BAD_CSV"}},
		{"neither CSV nor JSON", "transaction,amount\nt1,100", []string{"BAD_JSON"}},
		{"JSON", ours("t1", 100), []string{"0 " + ours("t1", 100)}},
	} {
		require.Equal(t, c.want, read(t, schemas.TopicFeedTransactions, c.value), c.name)
	}
	require.Equal(t, []string{"BAD_JSON"}, read(t, schemas.TopicFeedIncomes, join(csvHeader, csvLine("t1", "100"))),
		"a format of one topic is none of another's")
}

// A dead letter's text, mended, is a record again.
func TestADeadLettersTextIsARecord(t *testing.T) {
	t.Parallel()
	var r feeds.Reader
	var texts []string
	value := csvHeader + "\n" + csvLine("t1", "100") + "\n" + csvLine("t2", "x")
	require.NoError(t, r.Read(schemas.TopicFeedTransactions, []byte(value), func(e *feeds.Entry) error {
		texts = append(texts, string(e.Text()))
		return nil
	}))
	require.Equal(t, []string{"1 " + ours("t2", 100)}, read(t, schemas.TopicFeedTransactions,
		strings.Replace(texts[1], ",x,", ",100,", 1)))
}

// What intake writes, the strict readers give back as it was: every field of every feed.
func TestOurOwnJSONIsReadBack(t *testing.T) {
	t.Parallel()
	for _, f := range allFeeds() {
		want, err := f.decode(f.record(nil))
		require.NoError(t, err)
		entries := read(t, f.topic, string(f.record(nil)))
		require.Len(t, entries, 1)
		text := strings.TrimPrefix(entries[0], "0 ")
		got, err := f.decode([]byte(text))
		require.NoError(t, err)
		require.Equal(t, want, got, f.topic)
		standard, err := json.Marshal(want)
		require.NoError(t, err)
		require.Equal(t, string(standard), text, f.topic)
	}
}

// BenchmarkRead sets the reader of formats beside the decoder that it calls: what the seam costs a record.
func BenchmarkRead(b *testing.B) {
	f := allFeeds()[0]
	value := f.record(nil)
	b.Run("decoder", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := feeds.Transaction(value); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("format", func(b *testing.B) {
		b.ReportAllocs()
		var r feeds.Reader
		for b.Loop() {
			if err := r.Read(f.topic, value, func(*feeds.Entry) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("format and our JSON", func(b *testing.B) {
		b.ReportAllocs()
		var r feeds.Reader
		room := make([]byte, 0, 4096)
		for b.Loop() {
			err := r.Read(f.topic, value, func(e *feeds.Entry) error {
				_, err := e.Event.AppendJSON(room)
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
