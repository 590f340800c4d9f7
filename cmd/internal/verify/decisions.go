package verify

import (
	"bytes"

	"github.com/twmb/franz-go/pkg/kgo"
)

// situation marks the decisions that were priced.
var situation = []byte(`"situation":`)

// priceAgain prices a decision again when it is read: there are too many to keep.
func (b *books) priceAgain(r *kgo.Record, e *event) {
	if b.o.Again == nil || !bytes.Contains(r.Value, situation) {
		return
	}
	b.again.Counted++
	judged, err := b.o.Again(r.Value)
	switch {
	case !judged:
		b.again.Unchecked++
	case err != nil:
		b.again.differ("decision %s about policy %s: %v", e.EventID, e.Policy, err)
	}
}

// pricedAgain is what came of it. A decision that was priced with another build's table is not judged.
func (b *books) pricedAgain(c *Check) {
	c.Counted, c.Unchecked, c.Differences, c.Examples = b.again.Counted, b.again.Unchecked, b.again.Differences,
		b.again.Examples
}
