package stage

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// What tests outside of the package look at.

// OnlyOurs tells whether a batch is compressed for Kasi alone.
func OnlyOurs(batch []byte) bool { return onlyOurs(batch) }

// StateHeaders are a changelog record's.
func StateHeaders() []kgo.RecordHeader { return stateHeaders }

// Reject makes a record a dead letter.
func (b *Batch) Reject(rec *kgo.Record, why *schemas.Reject) { b.reject(rec, why) }

// Out is what the batch would send.
func (b *Batch) Out() []*kgo.Record { return b.out }
