package feeds_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	segmentio "github.com/segmentio/encoding/json"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"

	"github.com/kasi-collections/kasi/processors/feeds"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/schemas/schematest"
)

func FuzzDecodeTransaction(f *testing.F) { fuzzFeed(f, allFeeds()[0]) }

func FuzzDecodeIncome(f *testing.F) { fuzzFeed(f, allFeeds()[1]) }

func FuzzDecodeResult(f *testing.F) { fuzzFeed(f, allFeeds()[2]) }

// fuzzFeed: whatever comes, a decoder does not panic; it refuses with a class of the table; and what it accepts, the
// schema accepts too, and the standard decoder reads the same from it.
func fuzzFeed(f *testing.F, feed feed) {
	f.Add(feed.record(nil))
	for _, c := range fieldCases() {
		if c.topic == feed.topic {
			f.Add(feed.record(map[string]string{c.field: c.raw}))
		}
	}
	for _, text := range brokenTexts() {
		f.Add([]byte(text))
	}
	classes := map[string]bool{}
	for _, c := range schemas.RejectClasses() {
		classes[c.Class] = true
	}
	schema := schematest.Of(f, feed.topic)
	f.Fuzz(func(t *testing.T, text []byte) {
		decoded, err := feed.decode(text)
		if err != nil {
			var reject *schemas.Reject
			require.True(t, errors.As(err, &reject))
			require.True(t, classes[reject.Class], reject.Class)
			return
		}
		require.True(t, schematest.Accepts(schema, text), "the schema refuses it")
		again, err := json.Marshal(decoded)
		require.NoError(t, err)
		fields, read := standard(t, text), standard(t, again)
		for name := range feed.good {
			require.Equal(t, plain(name, fields[name]), plain(name, read[name]), name)
		}
	})
}

// standard reads an object with the standard decoder; numbers stay as they are written.
func standard(t *testing.T, text []byte) (fields map[string]any) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	require.NoError(t, dec.Decode(&fields))
	return fields
}

// plain evens out what the decoder may change: an absent optional text is empty, instants are in UTC, debit ids in
// lower case, other ids in NFC.
func plain(name string, v any) any {
	s, isText := v.(string)
	switch {
	case v == json.Number("-0"):
		return json.Number("0")
	case v == nil && !strings.HasSuffix(name, "_cents"):
		return ""
	case isText && name == "debit_id":
		return strings.ToLower(s)
	case isText && (strings.HasSuffix(name, "_id") || name == "reason_code"):
		return norm.NFC.String(s)
	case isText && name == "booked_at":
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return err.Error()
		}
		return t.UTC()
	}
	return v
}

// BenchmarkDecode sets the strict decoders beside the library's lenient one. One operation is one record.
func BenchmarkDecode(b *testing.B) {
	benchDecode(b, allFeeds()[0], feeds.Transaction)
	benchDecode(b, allFeeds()[1], feeds.Income)
	benchDecode(b, allFeeds()[2], feeds.Result)
}

func benchDecode[T any](b *testing.B, f feed, strict func([]byte) (T, error)) {
	text := f.record(nil)
	for name, read := range map[string]func() error{
		"strict":    func() error { _, err := strict(text); return err },
		"segmentio": func() error { var v T; return segmentio.Unmarshal(text, &v) },
	} {
		b.Run(f.topic+"/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := read(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
