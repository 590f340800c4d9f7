package book

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kasi-collections/kasi/processors/income"
	"github.com/kasi-collections/kasi/schemas"
)

// fill sets every field of a value to something, so that a field forgotten in a copy or in JSON shows.
func fill(v reflect.Value, n *int64) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 4))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.String:
		v.SetString(fmt.Sprintf("s%06d", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n) % 256)
	default:
		v.SetInt(*n)
	}
}

// apart fails where two values share memory.
func apart(t *testing.T, path string, a, b reflect.Value) {
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			apart(t, path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i))
		}
	case reflect.Slice:
		require.NotEqual(t, a.Pointer(), b.Pointer(), "%s is shared", path)
		for i := range a.Len() {
			apart(t, path, a.Index(i), b.Index(i))
		}
	case reflect.Pointer:
		require.NotEqual(t, a.Pointer(), b.Pointer(), "%s is shared", path)
	}
}

// filled is a customer that has two of everything.
func filled() *Customer {
	c, n := &Customer{}, int64(0)
	for _, rows := range []any{&c.Core, &c.Policies, &c.Collections, &c.Streams, &c.Deposits, &c.Incomes, &c.Past} {
		fill(reflect.ValueOf(rows).Elem(), &n)
	}
	c.Version = stateVersion
	c.Collections[0].Period, c.Collections[1].Period = "2025-11", "2025-12"
	for i := range 2*waitingBlock + 1 {
		var w Waiting
		fill(reflect.ValueOf(&w).Elem(), &n)
		w.At = int64(i % 2 * 86400)
		c.Waiting.add(w)
	}
	for i := range uint64(2*seenBlock + 1) {
		c.Seen.add(i*i, uint32(i), schemas.Day(i))
	}
	return c
}

// rowsOf are the rows of a customer's state, and apply writes those that differ from before into them.
func rowsOf(t *testing.T, c *Customer) map[string]string {
	rows := map[string]string{}
	apply(t, rows, nil, c)
	return rows
}

func apply(t *testing.T, rows map[string]string, before, after *Customer) (changed int) {
	Changed(before, after, func(name string) {
		value, err := AppendRow(nil, after, name)
		require.NoError(t, err)
		changed++
		if delete(rows, name); len(value) > 0 {
			rows[name] = string(value)
		}
	})
	return changed
}

func restored(t *testing.T, rows map[string]string) *Customer {
	c := &Customer{}
	for name, value := range rows { // in any order
		require.NoError(t, LoadRow(c, name, []byte(value)))
	}
	return c
}

func TestCopiesAndRowsHoldEverything(t *testing.T) {
	t.Parallel()
	c := filled()
	require.Equal(t, c, restored(t, rowsOf(t, c)), "rows hold every field")
	copied := c.Clone()
	require.Equal(t, c, copied, "a copy holds every field")
	for _, rows := range [][2]any{
		{c.Core, copied.Core},
		{c.Policies, copied.Policies},
		{c.Collections, copied.Collections},
		{c.Streams, copied.Streams},
		{c.Deposits, copied.Deposits},
		{c.Incomes, copied.Incomes},
		{c.Past, copied.Past},
	} {
		apart(t, "Customer", reflect.ValueOf(rows[0]), reflect.ValueOf(rows[1]))
	}
	var ids []string
	c.DebitsSince(nil, func(id string, now bool) {
		require.True(t, now)
		ids = append(ids, id)
	})
	require.Equal(t, []string{
		c.Collections[0].Debits[0].ID, c.Collections[0].Debits[1].ID, c.Collections[1].Debits[0].ID,
		c.Collections[1].Debits[1].ID,
	}, ids)
}

// leaves calls visit with every value in a row that is not made of others.
func leaves(v reflect.Value, visit func(reflect.Value)) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			leaves(v.Field(i), visit)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			leaves(v.Index(i), visit)
		}
	case reflect.Pointer:
		leaves(v.Elem(), visit)
	default:
		visit(v)
	}
}

// TestEveryChangeIsWritten changes each field of each row by itself: the rows that Changed names are all that the
// changelog lacks. A field that a comparison forgets would be lost at the next restart.
func TestEveryChangeIsWritten(t *testing.T) {
	t.Parallel()
	before, n := filled(), 0
	for i := 0; i == 0 || i < n; i++ {
		after := before.Clone()
		for j := range after.Waiting {
			after.Waiting[j].List = slices.Clone(after.Waiting[j].List)
			for k := range after.Waiting[j].List {
				w := &after.Waiting[j].List[k]
				w.Balance = cloneCents(w.Balance)
			}
		}
		n = 0
		what := ""
		for _, rows := range []any{
			&after.Core, &after.Policies, &after.Collections, &after.Streams, &after.Deposits, &after.Incomes,
			&after.Waiting[0].List, &after.Past,
		} {
			leaves(reflect.ValueOf(rows).Elem(), func(v reflect.Value) {
				if n++; n-1 != i {
					return
				}
				what = fmt.Sprintf("%T %s %v", rows, v.Type(), v)
				switch v.Kind() {
				case reflect.String:
					v.SetString(v.String()[:len(v.String())-1] + "_")
				case reflect.Bool:
					v.SetBool(!v.Bool())
				case reflect.Uint32, reflect.Uint64:
					v.SetUint(v.Uint() + 1)
				default:
					v.SetInt(v.Int() + 1)
				}
			})
		}
		if after.Version != stateVersion {
			continue
		}
		rows := rowsOf(t, before)
		require.Positive(t, apply(t, rows, before, after), what)
		require.Equal(t, rowsOf(t, after), rows, what)
	}
	require.Greater(t, n, 100)
}

// A log that is not compacted holds each row as it was at every time: the last one counts, also of a collection whose
// planned day has changed since, and which stands elsewhere among the others by that.
func TestRowsOfALogReplaceOneAnother(t *testing.T) {
	t.Parallel()
	c := filled()
	for name, value := range rowsOf(t, c) {
		require.NoError(t, LoadRow(c, name, []byte(value)))
	}
	require.Equal(t, filled(), c, "each row once more")
	moved := c.Clone()
	moved.Collections[0].Plan += 9
	rows := map[string]string{}
	require.Positive(t, apply(t, rows, c, moved))
	for name, value := range rows {
		require.NoError(t, LoadRow(c, name, []byte(value)))
	}
	require.Equal(t, moved, c, "a collection is there once")
}

// TestTheLegendIsComplete reads the table of short keys in the package's comment.
func TestTheLegendIsComplete(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("customer.go")
	require.NoError(t, err)
	legend, _, _ := strings.Cut(string(source), "package book")
	legend = regexp.MustCompile(`\n//\t +`).ReplaceAllString(legend, " ")
	for name, row := range map[string]any{
		"core": Core{}, "policy": Policy{}, "collection": Collection{}, "debit": Debit{}, "item": Item{},
		"stream":  income.Stream{},
		"deposit": Deposit{}, "waiting": Waiting{}, "income": Income{}, "balance": Balance{},
	} {
		line := regexp.MustCompile(`//\t` + name + ` .*`).FindString(legend)
		for _, f := range reflect.VisibleFields(reflect.TypeOf(row)) {
			key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			require.Regexp(t, `[ ,(]`+key+` `, line, "%s.%s", name, f.Name)
		}
	}
}

func TestLoadRowRefuses(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		`{"v":3`:                   "read the state",
		`{"v":99,"t":"T","c":"C"}`: "layout 99",
		`{"v":1,"t":"T","c":"C"}`:  "layout 1; this program reads 2 and 3",
		`{"v":2,"t":"T","c":"C",`:  "read the state",
	} {
		require.ErrorContains(t, LoadRow(&Customer{}, "", []byte(value)), want)
	}
	require.ErrorContains(t, LoadRow(&Customer{}, "?1", []byte("{}")), `called "?1"`)
	require.ErrorContains(t, LoadRow(&Customer{}, "x0", []byte("short")), "has 5 bytes")
	require.ErrorContains(t, LoadRow(&Customer{}, "dx", []byte("[]")), "row of deposits")
	require.ErrorContains(t, LoadRow(&Customer{}, "w1", []byte("[]")), "row of waiting")
}

// A restored customer takes no more room than it needs: there are millions of them.
func TestRestoredCustomerIsCompact(t *testing.T) {
	t.Parallel()
	c := restored(t, map[string]string{
		"":           `{"v":3,"t":"acme","c":"C1","n":1,"b":[{"t":1,"c":1}]}`,
		"pP1":        `{"n":"P1","v":1,"c":1,"s":"active","r":"EFT","a":1}`,
		"k2025-11P1": `{"n":"P1","p":"2025-11","v":1,"d":1,"g":1,"w":{},"b":[{"i":"x","c":1,"a":1,"r":"EFT"}]}`,
		"s":          `[{"k":1,"n":"GIG","h":[[1,2]]}]`, "d0": `[{"n":1,"t":1,"c":1,"f":1}]`, "w1.0": `[{"t":86400}]`,
	})
	for what, room := range map[string]int{
		"policies": cap(c.Policies), "collections": cap(c.Collections), "debits": cap(c.Collections[0].Debits),
		"streams": cap(c.Streams), "history": cap(c.Streams[0].History), "deposits": cap(c.Deposits),
		"balances": cap(c.Balances), "waiting": cap(c.Waiting[0].List),
	} {
		require.LessOrEqual(t, room, 2, what)
	}
}

// layout2State is a state as the last build before rows wrote it.
const layout2State = `{"v":2,"t":"acme","c":"C1","p":[{"n":"P1","v":1,"c":15000,"s":"active","r":"DEBICHECK","a":1}],` +
	`"k":[{"n":"P1","p":"2025-11","v":2,"d":15000,"g":20397,"f":20397,"l":20397,"a":1,"i":1,` +
	`"w":{"r":"FIRST_ATTEMPT","a":15000},"b":[{"i":"x","c":15000,"a":20397,"r":"DEBICHECK"}]}],` +
	`"s":[{"k":1,"n":"GIG","h":[[20394,200]]}],"d":[{"n":1,"t":1762150000,"c":200,"r":200,"f":1,"x":"t1"}],"n":1,` +
	`"w":[{"i":"t2","t":1764000000,"c":5}],"i":[{"i":"i2","n":"SALARY","d":20400,"s":"PAID"},` +
	`{"i":"i1","n":"SALARY","d":20400,"s":"PAID"}],"x":"AQAAAAAAAACqTwAAAgAAAAAAAACrTwAA","y":20394,"z":20400}`

// TestLayout2IsTakenOver reads a state of the layout before. Once it is edited, all its rows are written, and its old
// record stands no more.
func TestLayout2IsTakenOver(t *testing.T) {
	t.Parallel()
	old := &Customer{}
	require.NoError(t, LoadRow(old, "", []byte(layout2State)))
	require.Equal(t, layout2, old.Version)
	require.Len(t, old.Policies, 1)
	require.Equal(t, "i1", old.Incomes[0].ID)
	_, known := old.Seen.find(2)
	require.True(t, known)
	after := old.Clone()
	after.Incomes = after.Incomes[:1]
	rows := map[string]string{"": layout2State}
	require.Equal(t, 8, apply(t, rows, old, after))
	require.Equal(t, after, restored(t, rows))
	again := &Customer{}
	require.NoError(t, LoadRow(again, "", []byte(layout2State)))
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		require.NoError(t, LoadRow(again, name, []byte(rows[name])))
	}
	require.Equal(t, after, again, "a log that still holds the old record")
}

// TestSeenIDs plays ids against a plain map, in copies that go apart, and restores at any time.
func TestSeenIDs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		type kept struct {
			content uint32
			day     schemas.Day
		}
		var s seenIDs
		model := map[uint64]kept{}
		today, next := schemas.Day(20000), uint64(0)
		for range rapid.IntRange(1, 10).Draw(t, "batches") {
			was, wasModel, wasToday, wasNext := s.clone(), maps.Clone(model), today, next
			for range rapid.SampledFrom([]int{0, 1, 5, 40, 1100}).Draw(t, "ids") {
				s.forget(today-120, 0)
				hash := next * 0x9E3779B97F4A7C15
				content, known := s.find(hash)
				require.False(t, known)
				require.Zero(t, content)
				s.add(hash, uint32(next), today)
				model[hash] = kept{uint32(next), today}
				next++
			}
			today += schemas.Day(rapid.SampledFrom([]int{0, 1, 30, 121}).Draw(t, "days"))
			if rapid.Bool().Draw(t, "dropped") {
				s, model, today, next = was, wasModel, wasToday, wasNext
			}
			if rapid.Bool().Draw(t, "restored") {
				var r seenIDs
				for no := s.first + len(s.blocks) - 1; no >= s.first; no-- {
					r.put(no, s.block(no))
				}
				require.Equal(t, s.blocks, r.blocks)
				require.Equal(t, s.first, r.first)
				s = r
			}
			for hash, want := range model {
				content, known := s.find(hash)
				if want.day >= today-120 {
					require.True(t, known)
				}
				if known {
					require.Equal(t, want.content, content)
				}
			}
		}
	})
}
