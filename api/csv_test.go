package api

import (
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// FuzzPolicyReader: whatever the file holds, reading it ends, rows are numbered 1, 2, 3..., and a row without errors is
// one that the pipeline can take.
func FuzzPolicyReader(f *testing.F) {
	const header = "customer_id,external_customer_ref,policy_number,product_code,collection_amount"
	for _, seed := range []string{
		"", header, header + "\n", header + "\nC,E,P,F,150.00\n", "\xEF\xBB\xBF" + header + "\r\nC,E,P,F,1\r\n", header +
			"\n\"C\",\"E\n\",P,F,1\nC,E,P,F,1",
		header + ",rail,collection_day\nC,E,P,F,1,EFT,31\nC,E,P,F,1,,\n", header + "\n\"C,E,P,F,1\n", header +
			"\n\xff,\x00,\x1f, ,1e3\n", "a;b;c\n1;2;3\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := newPolicyReader(strings.NewReader(string(file)), 1<<20, 50)
		if err != nil {
			requireRefusal(t, err)
			return
		}
		for row := 1; ; row++ {
			got, err := r.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				requireRefusal(t, err)
				return
			}
			cmd, bad := got.cmd, got.bad
			for _, e := range bad {
				require.Equal(t, row, e.Row)
				require.NotEmpty(t, e.Code)
				require.NotEmpty(t, e.Message)
				require.True(t, utf8.ValidString(e.Message))
			}
			if len(bad) == 0 {
				require.Equal(t, row, cmd.Row)
				require.Nil(t, checkText(cmd.CustomerID))
				require.Nil(t, checkText(cmd.PolicyNumber))
				require.Positive(t, int64(cmd.Terms.PremiumCents))
			}
		}
	})
}

// requireRefusal wants an error that maps to a 4xx with a message.
func requireRefusal(t *testing.T, err error) {
	t.Helper()
	e := asAPIError(err)
	require.GreaterOrEqual(t, e.status, 400)
	require.Less(t, e.status, 500)
	require.NotEmpty(t, e.message)
}

// FuzzReadObject: the strict reader takes nothing that encoding/json would not take, and no field twice.
func FuzzReadObject(f *testing.F) {
	for _, seed := range []string{
		"", "{}", `{"a":1}`, `{"a":1,"a":2}`, `{"a":[1,{"b":2}]}`, `{"a":1}{}`, `{"a"}`, "[]",
		"nul", "\x00", `{"a":"\ud800"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		fields, err := readObject(body, []string{"a", "b"})
		if err != nil {
			requireRefusal(t, err)
			return
		}
		in := &input{fields: fields}
		check(in, "a", false, aText)
		check(in, "a", false, anAmount)
		check(in, "b", false, aDay)
		check(in, "b", false, aBool)
		in.texts("b")
		if in.err != nil {
			requireRefusal(t, in.err)
		}
	})
}

func BenchmarkPolicyReader(b *testing.B) {
	file := "customer_id,external_customer_ref,policy_number,product_code,collection_amount\n" +
		strings.Repeat("CUST000001,EXT123456,POL001,FUNERAL_01,150.00\n", 10_000)
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		r, err := newPolicyReader(strings.NewReader(file), 1<<30, 100_000)
		require.NoError(b, err)
		for err == nil {
			_, err = r.next()
		}
		require.ErrorIs(b, err, io.EOF)
	}
}
