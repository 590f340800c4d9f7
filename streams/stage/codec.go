package stage

import (
	"fmt"

	"github.com/segmentio/encoding/json"
)

// RowMark stands between the key of a state and the name of a row in a changelog key. Neither may hold it. The row
// without a name has the state's key.
const RowMark = "\x1e"

// Codec is how a stage copies its states and keeps them in rows. A row has a name, which holds no control character;
// every state has the row "". The same row must always give the same bytes, and what Load has read, Append writes.
type Codec[S any] struct {
	Clone func(*S) *S
	// Changed calls row with the name of each row in which two states may differ, and of all rows where before is nil.
	Changed func(before, after *S, row func(name string))
	// Append appends the value of a row. It appends nothing where the state has no such row.
	Append func(to []byte, s *S, name string) ([]byte, error)
	// Load puts a row in its place. Without a value the row is gone.
	Load func(s *S, name string, value []byte) error
}

// JSONCodec is the codec of a small struct that is one row.
func JSONCodec[T any](clone func(*T) *T) Codec[T] {
	return Codec[T]{
		Clone:   clone,
		Changed: func(_, _ *T, row func(string)) { row("") },
		Append: func(to []byte, s *T, _ string) ([]byte, error) {
			return json.Append(to, s, json.EscapeHTML|json.SortMapKeys)
		},
		Load: func(s *T, name string, value []byte) error {
			if name != "" || value == nil {
				return fmt.Errorf("a state of one row has no row %q without it", name)
			}
			*s = *new(T)
			return json.Unmarshal(value, s)
		},
	}
}
