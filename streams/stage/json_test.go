package stage

import (
	stdjson "encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/encoding/json"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/processors/income"
	"github.com/kasi-collections/kasi/schemas"
)

// awkward is what strings are made of: everything that an encoder may treat in a way of its own.
var awkward = []string{
	"a", "Z", "0", " ", "plain words of some length", `"`, `\`, "/", "<", ">", "&", "'", "\x00", "\x01", "\b", "\f", "\n",
	"\r", "\t", "\x1f", "\x7f", "é", "ß", "中", "😀",
	"\u2028", "\u2029", "\ufeff", "\ufffd", "\xff", "\xc3", "\xed\xa0\x80", "\xf0\x9f",
}

// scramble fills a value with anything that its type can hold and the decoders let in.
func scramble(r *rand.Rand, v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		t := time.Date(1970+r.IntN(200), time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60),
			[]int{0, 1, 120e6, 123456789}[r.IntN(4)], time.UTC)
		v.Set(reflect.ValueOf(t.In(time.FixedZone("", (r.IntN(28*60)-14*60)*60))))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() || v.Type().Field(i).Anonymous {
				scramble(r, f)
			}
		}
	case reflect.String:
		var b strings.Builder
		for range r.IntN(6) {
			b.WriteString(awkward[r.IntN(len(awkward))])
		}
		v.SetString(b.String())
	case reflect.Pointer:
		if r.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			scramble(r, v.Elem())
		}
	case reflect.Slice:
		if n := r.IntN(4); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n-1, n))
			for i := range v.Len() {
				scramble(r, v.Index(i))
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			scramble(r, v.Index(i))
		}
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt([]int64{0, 1, -1, r.Int64N(1 << 30), -r.Int64N(1 << 30)}[r.IntN(5)])
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(r.Uint32() >> 24 * uint32(r.IntN(2))))
	default:
		panic("no value for a " + v.Type().String())
	}
}

// written is what a stage would write.
func written(v any) ([]byte, error) {
	if out, ok := v.(Outgoing); ok {
		return out.AppendJSON(nil)
	}
	return JSONCodec[any](nil).Append(nil, &v, "")
}

// What stages write is, to the byte, what the standard library would write: outputs are compared by their bytes, across
// versions too.
func TestFastJSON(t *testing.T) {
	t.Parallel()
	for _, sample := range []any{
		schemas.TransactionEvent{},
		schemas.DepositEvent{},
		schemas.DecisionEvent{},
		schemas.DebitInstruction{},
		schemas.PolicyEvent{},
		schemas.CollectionEvent{},
		schemas.SettlementEvent{},
		schemas.OutcomeEvent{},
		book.Core{},
		book.Policy{},
		book.Collection{},
		income.Stream{},
		book.Deposit{},
		book.Income{},
		book.Waiting{},
	} {
		typ := reflect.TypeOf(sample)
		t.Run(typ.Name(), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(1, 2))
			for range 2_000 {
				v := reflect.New(typ)
				scramble(r, v.Elem())
				want, err := stdjson.Marshal(v.Interface())
				require.NoError(t, err)
				got, err := written(v.Interface())
				require.NoError(t, err)
				require.Equal(t, string(want), string(got))
				back := reflect.New(typ)
				require.NoError(t, json.Unmarshal(got, back.Interface()))
				again, err := stdjson.Marshal(back.Interface())
				require.NoError(t, err)
				wantBack := reflect.New(typ)
				require.NoError(t, stdjson.Unmarshal(got, wantBack.Interface()))
				want, err = stdjson.Marshal(wantBack.Interface())
				require.NoError(t, err)
				require.Equal(t, string(want), string(again))
			}
		})
	}
}
