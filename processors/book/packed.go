package book

import (
	"encoding/binary"
	"errors"
	"strings"

	"cloud.google.com/go/civil"
	"github.com/google/uuid"

	"github.com/kasi-collections/kasi/schemas"
)

// This file is the format of Past: numbers of as many bytes as they need, days as distances. It can never change for
// what is written; a further field goes behind the last one, where its absence is seen.

// The bits of a packed collection, and of a packed debit above its state.
const (
	packedCancelled = 1 << iota
	packedClosed
	packedUUID // the execution's id is a UUID: 16 bytes
)

const (
	packedState   = 7
	packedCounted = 4 << iota
	packedShown
	packedProved
	packedItem
	packedInFull // its amount is what is due
)

// packedRails are the rails as one byte. Another rail is 0 and its name. The places never change.
var packedRails = [...]schemas.Rail{"", schemas.RailEFT, schemas.RailDebiCheck, schemas.RailRM}

// appendPacked appends what is kept of a collection: the period and the number of debits first, for they lead to the
// debits' ids. Days count from the first of the period, and of a debit from its action date.
func appendPacked(to []byte, k *Collection) []byte {
	first := k.Period.First()
	to = binary.AppendUvarint(to, uint64(first.Year*12+int(first.Month)-1))
	to = binary.AppendUvarint(to, uint64(len(k.Debits)))
	id, err := uuid.Parse(k.Execution)
	isUUID := err == nil && id.String() == k.Execution
	to = append(to, flag(packedCancelled, k.Cancelled)|flag(packedClosed, k.Closed)|flag(packedUUID, isUUID))
	if isUUID {
		to = append(to, id[:]...)
	} else {
		to = appendText(to, k.Execution)
	}
	to = binary.AppendUvarint(to, uint64(k.Version))
	to = binary.AppendUvarint(to, uint64(k.Due))
	to = binary.AppendVarint(to, int64(k.Plan-schemas.DayOf(first)))
	to = binary.AppendUvarint(to, uint64(k.Decisions))
	for i := range k.Debits {
		to = appendPackedDebit(to, k, &k.Debits[i])
	}
	return to
}

func appendPackedDebit(to []byte, k *Collection, d *Debit) []byte {
	to = append(to, byte(d.State)|flag(packedCounted, d.Counted)|flag(packedShown, d.Shown)|flag(packedProved, d.Proved)|
		flag(packedItem, d.Item != nil)|flag(packedInFull, d.Cents == k.Due))
	if d.Cents != k.Due {
		to = binary.AppendUvarint(to, uint64(d.Cents))
	}
	to = binary.AppendVarint(to, int64(d.Action-schemas.DayOf(k.Period.First())))
	for _, day := range [...]schemas.Day{d.Until, d.PaidOn, d.BackOn} {
		after := uint64(0)
		if day != 0 {
			after = uint64(day-d.Action) + 1
		}
		to = binary.AppendUvarint(to, after)
	}
	rail := 0
	for i, name := range packedRails {
		if name == d.Rail {
			rail = i
		}
	}
	if to = append(to, byte(rail)); rail == 0 {
		to = appendText(to, string(d.Rail))
	}
	if d.saysNo() {
		to = appendText(to, d.Code)
	}
	to = binary.AppendUvarint(to, uint64(d.RowBefore))
	if it := d.Item; it != nil {
		to = binary.AppendUvarint(to, uint64(it.Version))
		to = appendText(appendText(to, string(it.Kind)), string(it.State))
		to = binary.AppendUvarint(binary.AppendUvarint(to, uint64(it.Since)), uint64(it.Said))
	}
	to = binary.AppendUvarint(to, uint64(len(d.Results)))
	for _, hash := range d.Results {
		to = binary.LittleEndian.AppendUint64(to, hash)
	}
	return to
}

func flag(bit byte, set bool) byte {
	if set {
		return bit
	}
	return 0
}

func appendText(to []byte, text string) []byte {
	return append(binary.AppendUvarint(to, uint64(len(text))), text...)
}

// unpacker reads what appendPacked wrote. After the first mistake it reads nothing more.
type unpacker struct {
	left string
	err  error
}

var errPacked = errors.New("the bytes are not those of packed collections")

// take takes bytes off the front, and nothing where there are fewer.
func (r *unpacker) take(n uint64) string {
	if n > uint64(len(r.left)) {
		r.left, r.err = "", errPacked
		return ""
	}
	text := r.left[:n]
	r.left = r.left[n:]
	return text
}

func (r *unpacker) number() uint64 {
	n, read := uint64(0), uint(0)
	for {
		b := r.take(1)
		if b == "" || read > 63 {
			r.err = errPacked
			return 0
		}
		n |= uint64(b[0]&0x7f) << read
		if b[0] < 0x80 {
			return n
		}
		read += 7
	}
}

// signed is a number that may be negative.
func (r *unpacker) signed() int64 {
	n := r.number()
	return int64(n>>1) ^ -int64(n&1)
}

func (r *unpacker) byte() byte {
	if b := r.take(1); b != "" {
		return b[0]
	}
	return 0
}

func (r *unpacker) text() string { return r.take(r.number()) }

// entry is a reader of the next collection.
func (r *unpacker) entry() *unpacker { return &unpacker{left: r.text()} }

func (r *unpacker) period() schemas.Period {
	months := int(r.number())
	if months < 0 || months >= 10000*12 {
		months, r.err = 0, errPacked
	}
	return schemas.PeriodOf(civil.Date{Year: months / 12, Month: 1, Day: 1}.AddMonths(months % 12))
}

// debits is how many follow.
func (r *unpacker) debits() int {
	n := r.number()
	if n > uint64(len(r.left)) {
		n, r.err = 0, errPacked
	}
	return int(n)
}

// collection reads a whole one, without the policy's number and the debits' ids.
func (r *unpacker) collection() Collection {
	k := Collection{Period: r.period()}
	first := schemas.DayOf(k.Period.First())
	debits := r.debits()
	bits := r.byte()
	k.Cancelled, k.Closed = bits&packedCancelled != 0, bits&packedClosed != 0
	if bits&packedUUID != 0 {
		var id uuid.UUID
		copy(id[:], r.take(16))
		k.Execution = id.String()
	} else {
		k.Execution = strings.Clone(r.text())
	}
	k.Version, k.Due = int64(r.number()), schemas.Cents(r.number())
	k.Plan, k.Decisions = first+schemas.Day(r.signed()), int(r.number())
	for ; debits > 0 && r.err == nil; debits-- {
		k.Debits = append(k.Debits, r.debit(&k, first))
	}
	if n := len(k.Debits); n > 0 {
		k.First, k.Last, k.Attempts = k.Debits[0].Action, k.Debits[n-1].Action, n
	}
	if r.left != "" {
		r.err = errPacked
	}
	return k
}

func (r *unpacker) debit(k *Collection, first schemas.Day) Debit {
	bits := r.byte()
	d := Debit{
		State: DebitState(bits & packedState), Counted: bits&packedCounted != 0, Shown: bits&packedShown != 0,
		Proved: bits&packedProved != 0, Cents: k.Due,
	}
	if bits&packedInFull == 0 {
		d.Cents = schemas.Cents(r.number())
	}
	d.Action = first + schemas.Day(r.signed())
	for _, day := range [...]*schemas.Day{&d.Until, &d.PaidOn, &d.BackOn} {
		if after := r.number(); after > 0 {
			*day = d.Action + schemas.Day(after) - 1
		}
	}
	switch rail := r.byte(); {
	case rail == 0:
		d.Rail = schemas.Rail(strings.Clone(r.text()))
	case int(rail) < len(packedRails):
		d.Rail = packedRails[rail]
	default:
		r.err = errPacked
	}
	if d.saysNo() {
		d.Code = strings.Clone(r.text())
	}
	d.RowBefore = int(r.number())
	if bits&packedItem != 0 {
		d.Item = &Item{
			Version: int64(r.number()), Kind: schemas.OpenItemKind(strings.Clone(r.text())),
			State: schemas.OpenItemState(strings.Clone(r.text())),
		}
		d.Item.Since, d.Item.Said = schemas.Day(r.number()), schemas.Cents(r.number())
	}
	for n := r.number(); n > 0 && r.err == nil; n-- {
		if hash := r.take(8); hash != "" {
			d.Results = append(d.Results, binary.LittleEndian.Uint64([]byte(hash)))
		}
	}
	return d
}
