package book

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors/income"
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
		v.SetString(fmt.Sprint("s", *n))
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

func appended(t *testing.T, c *Customer) []byte {
	b, err := Append(nil, c)
	require.NoError(t, err)
	return b
}

func TestCloneAndJSONHoldEverything(t *testing.T) {
	t.Parallel()
	c := &Customer{}
	n := int64(0)
	fill(reflect.ValueOf(c).Elem(), &n)
	c.Version = stateVersion
	read, err := Unmarshal(appended(t, c))
	require.NoError(t, err)
	require.Equal(t, c, read, "JSON holds every field")
	copied := c.Clone()
	require.Equal(t, c, copied, "a copy holds every field")
	apart(t, "Customer", reflect.ValueOf(c).Elem(), reflect.ValueOf(copied).Elem())
	var ids []string
	for id := range c.Debits() {
		ids = append(ids, id)
		if len(ids) == 3 {
			break
		}
	}
	require.Equal(t, []string{c.Collections[0].Debits[0].ID, c.Collections[0].Debits[1].ID, c.Collections[1].Debits[0].ID},
		ids)
}

// TestTheLegendIsComplete reads the table of short keys in the package's comment.
func TestTheLegendIsComplete(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("customer.go")
	require.NoError(t, err)
	legend, _, _ := strings.Cut(string(source), "package book")
	legend = regexp.MustCompile(`\n//\t +`).ReplaceAllString(legend, " ")
	for name, row := range map[string]any{
		"customer": Customer{}, "policy": Policy{}, "collection": Collection{}, "debit": Debit{}, "stream": income.Stream{},
		"deposit": Deposit{}, "waiting": Waiting{}, "income": Income{}, "balance": Balance{},
	} {
		line := regexp.MustCompile(`//\t` + name + ` .*`).FindString(legend)
		for _, f := range reflect.VisibleFields(reflect.TypeOf(row)) {
			key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			require.Regexp(t, `[ ,(]`+key+` `, line, "%s.%s", name, f.Name)
		}
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	t.Parallel()
	_, err := Unmarshal([]byte(`{"v":1`))
	require.ErrorContains(t, err, "read the state")
	_, err = Unmarshal([]byte(`{"v":99,"t":"T","c":"C"}`))
	require.ErrorContains(t, err, "layout 99")
	_, err = Unmarshal([]byte(`{"v":1,"t":"T","c":"C"}`))
	require.ErrorContains(t, err, "layout 1; this program reads 2")
}

// A restored customer takes no more room than it needs: there are millions of them.
func TestRestoredCustomerIsCompact(t *testing.T) {
	t.Parallel()
	c, err := Unmarshal([]byte(`{"v":2,"t":"acme","c":"C1","p":[{"n":"P1","v":1,"c":1,"s":"active","r":"EFT","a":1}],` +
		`"k":[{"n":"P1","p":"2025-11","v":1,"d":1,"g":1,"w":{},"b":[{"i":"x","c":1,"a":1,"r":"EFT"}]}],` +
		`"s":[{"k":1,"n":"GIG","h":[[1,2]]}],"d":[{"n":1,"t":1,"c":1,"f":1}],"n":1}`))
	require.NoError(t, err)
	for what, room := range map[string]int{
		"policies": cap(c.Policies), "collections": cap(c.Collections), "debits": cap(c.Collections[0].Debits),
		"streams": cap(c.Streams),
		"history": cap(c.Streams[0].History), "deposits": cap(c.Deposits),
	} {
		require.LessOrEqual(t, room, 2, what)
	}
}
