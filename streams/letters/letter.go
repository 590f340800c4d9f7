// Package letters makes dead letters of the records that stages refuse, looks at them, and sends them back to where
// they came from.
package letters

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The headers by which a replayed record says that it is one. A record that is refused again keeps them.
const (
	HeaderReplayedBy = "kasi.replayed.by"
	HeaderReplayedAt = "kasi.replayed.at" // RFC 3339, UTC
	HeaderReplayedID = "kasi.replayed.id" // the dead letter it was taken from
)

const prefixReplayed = "kasi.replayed."

// ID names a dead letter by its place on kasi.deadletters.v1; it reads partition-offset.
type ID struct {
	Partition int32
	Offset    int64
}

// ParseID reads an ID as String writes it.
func ParseID(s string) (ID, error) {
	p, o, ok := strings.Cut(s, "-")
	partition, err1 := strconv.ParseUint(p, 10, 31)
	offset, err2 := strconv.ParseUint(o, 10, 63)
	if !ok || err1 != nil || err2 != nil {
		return ID{}, fmt.Errorf("%q is not the id of a dead letter, such as 0-17; `kasi dlq list` shows them", s)
	}
	return ID{int32(partition), int64(offset)}, nil
}

// String is the id as commands take it.
func (id ID) String() string { return fmt.Sprintf("%d-%d", id.Partition, id.Offset) }

// MarshalText writes the id as String does.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// Origin is where a refused record lies.
type Origin struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// Letter is one dead letter.
type Letter struct {
	ID ID `json:"id"`
	// Time is the refused record's own timestamp.
	Time    time.Time `json:"time"`
	Origin  Origin    `json:"origin"`
	Stage   string    `json:"stage"`
	Class   string    `json:"class"`
	Message string    `json:"message"`
	// Bytes is the size of the value. Where it was too large to travel, Omitted is true and it lies at the origin only.
	Bytes   int  `json:"bytes"`
	Omitted bool `json:"omitted,omitempty"`
	// ReplayedID, ReplayedBy and ReplayedAt are set where the refused record was itself the replay of a dead letter.
	ReplayedID string `json:"replayed_id,omitempty"`
	ReplayedBy string `json:"replayed_by,omitempty"`
	ReplayedAt string `json:"replayed_at,omitempty"`

	record *kgo.Record
	broken error // why it cannot be replayed
}

// Key and Value are the refused record's, untouched. Both may hold personal data.
func (l *Letter) Key() []byte { return l.record.Key }

// Value is the refused record's value.
func (l *Letter) Value() []byte { return l.record.Value }

// Headers are all headers, in order, as name and text.
func (l *Letter) Headers() [][2]string {
	var all [][2]string
	for _, h := range l.record.Headers {
		all = append(all, [2]string{h.Key, string(h.Value)})
	}
	return all
}

// read understands a record of the dead-letter topic. Whatever it holds, it can be listed.
func read(rec *kgo.Record) *Letter {
	l := &Letter{
		ID: ID{rec.Partition, rec.Offset}, Time: rec.Timestamp.UTC(), Bytes: len(rec.Value), record: rec,
		Origin: Origin{Partition: -1, Offset: -1},
	}
	for _, h := range rec.Headers {
		v := string(h.Value)
		switch h.Key {
		case HeaderErrorTopic:
			l.Origin.Topic = v
		case HeaderErrorPartition:
			if n, err := strconv.ParseInt(v, 10, 32); err == nil {
				l.Origin.Partition = int32(n)
			}
		case HeaderErrorOffset:
			if n, err := strconv.ParseInt(v, 10, 64); err == nil {
				l.Origin.Offset = n
			}
		case HeaderErrorConnector:
			l.Stage = v
		case HeaderErrorClass:
			l.Class = v
		case HeaderErrorMessage:
			l.Message = v
		case HeaderOmitted:
			l.Omitted = true
			l.Bytes, _ = strconv.Atoi(v) // 0 where the header is damaged: it is only shown
		case HeaderReplayedID:
			l.ReplayedID = v
		case HeaderReplayedBy:
			l.ReplayedBy = v
		case HeaderReplayedAt:
			l.ReplayedAt = v
		}
	}
	if l.Origin.Topic == "" || l.Origin.Partition < 0 || l.Origin.Offset < 0 {
		l.broken = fmt.Errorf("dead letter %s does not say where it came from", l.ID)
	}
	return l
}
