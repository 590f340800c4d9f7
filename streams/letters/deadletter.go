// Package letters makes dead letters of the records that stages refuse, looks at them, and sends them back to where
// they came from.
package letters

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// The headers of a dead letter: Kafka Connect's, so that its tools read ours.
const (
	HeaderErrorTopic     = "__connect.errors.topic"
	HeaderErrorPartition = "__connect.errors.partition"
	HeaderErrorOffset    = "__connect.errors.offset"
	HeaderErrorConnector = "__connect.errors.connector.name" // our stage
	HeaderErrorClass     = "__connect.errors.class.name"     // a Reject class
	HeaderErrorMessage   = "__connect.errors.exception.message"
	// HeaderErrorEntry is the number of the entry, from 1, where a record holds several; the dead letter holds that entry
	// alone.
	HeaderErrorEntry = "__connect.errors.entry"
	// HeaderOmitted is set where the value was too large to travel as a dead letter; it is still at the topic, partition
	// and offset named.
	HeaderOmitted = "kasi.value.omitted.bytes"
)

// The headers by which a replayed record says that it is one. A record that is refused again keeps them.
const (
	HeaderReplayedBy = "kasi.replayed.by"
	HeaderReplayedAt = "kasi.replayed.at" // RFC 3339, UTC
	HeaderReplayedID = "kasi.replayed.id" // the dead letter it was taken from
)

const prefixReplayed = "kasi.replayed."

// Prefix is what the names of the headers begin with that say why and where a record was refused.
const Prefix = "__connect.errors."

// Classes that the stages themselves reject with; the others are in package processors.
const (
	ClassUnknownKind    = "UNKNOWN_KIND"
	ClassBadCommand     = "BAD_COMMAND"
	ClassWrongPartition = "WRONG_PARTITION"
	ClassBug            = "ENGINE_ERROR" // a mistake of the program
	ClassStray          = "STRAY"        // no record that a stage of ours writes on a topic of ours
	ClassUnstorable     = "UNSTORABLE"   // an event of ours that no column of ClickHouse holds
)

// LargestValue is the largest record value that still fits a dead letter with its headers under Kafka's default limit
// of 1 MiB a record batch.
const LargestValue = 960 << 10

// headerOrigin goes with what intake passes on: where the outsider's record lies, so that a dead letter of a later
// stage names the record its sender knows, not our copy of it.
const headerOrigin = "kasi.origin"

// headerSent goes with it too, where our event is not the outsider's bytes: what a later stage refuses becomes a dead
// letter of what was sent. A record of more than LargestSent bytes goes without: it stays on its own topic.
const headerSent = "kasi.sent"

// LargestSent is the largest outside record that travels beside the event that intake made of it.
const LargestSent = 32 << 10

// originOf is what headerOrigin says, or the record's own place.
func originOf(rec *kgo.Record) Origin {
	if o, ok := passedOn(rec); ok {
		return o
	}
	return Origin{Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset}
}

// passedOn is the outsider's record of which intake has made one on the timeline. A header that is not of our making is
// ignored.
func passedOn(rec *kgo.Record) (o Origin, ok bool) {
	for _, h := range rec.Headers {
		if h.Key != headerOrigin || !fromIntake(rec.Topic) {
			continue
		}
		if n, _ := fmt.Sscan(string(h.Value), &o.Topic, &o.Partition, &o.Offset, &o.Entry); n >= 3 {
			return o, true
		}
	}
	return Origin{}, false
}

// fromIntake tells whether intake writes to a topic.
func fromIntake(topic string) bool {
	return topic == schemas.TopicTimeline || topic == schemas.TopicSettlementCommands
}

// OriginOf is the outsider's record that became an event of the timeline or a dead letter.
func OriginOf(rec *kgo.Record) (o Origin, ok bool) {
	if rec.Topic != schemas.TopicDeadLetters {
		return passedOn(rec)
	}
	l := read(rec)
	return l.Origin, l.Origin.Topic != ""
}

// OriginHeaders go with ours, the event that intake makes of a record or of one entry of it (from 1; 0 where the record
// is one): where the record lies, and its bytes where ours are others.
func OriginHeaders(rec *kgo.Record, entry int, ours []byte) []kgo.RecordHeader {
	o := originOf(rec)
	value := fmt.Appendf(nil, "%s %d %d", o.Topic, o.Partition, o.Offset)
	if entry > 0 {
		value = fmt.Appendf(value, " %d", entry)
	}
	headers := []kgo.RecordHeader{{Key: headerOrigin, Value: value}}
	if entry == 0 && len(rec.Value) <= LargestSent && !bytes.Equal(rec.Value, ours) {
		headers = append(headers, kgo.RecordHeader{Key: headerSent, Value: rec.Value})
	}
	return headers
}

// OfEntry is the dead letter of one entry of a record: the record's, with the entry's own text and its number.
func OfEntry(rec *kgo.Record, entry int, text []byte, stage, topic string, why *schemas.Reject) *kgo.Record {
	one := *rec
	one.Value = text
	dead := Of(&one, stage, topic, why)
	dead.Headers = append(dead.Headers, header(HeaderErrorEntry, entry))
	return dead
}

// Of is the dead letter of a record that a stage refused: key, value, headers and timestamp untouched, the reason in
// further headers. The reasons of an earlier rejection are replaced. Of an event that intake made, the value is what
// was sent, where that travels along.
func Of(rec *kgo.Record, stage, topic string, why *schemas.Reject) *kgo.Record {
	dead := &kgo.Record{Topic: topic, Key: rec.Key, Value: rec.Value, Timestamp: rec.Timestamp}
	from := originOf(rec)
	for _, h := range rec.Headers {
		switch {
		case h.Key == headerSent && fromIntake(rec.Topic):
			dead.Value = h.Value
		case !strings.HasPrefix(h.Key, Prefix) && h.Key != headerOrigin:
			dead.Headers = append(dead.Headers, h)
		}
	}
	reasons := []kgo.RecordHeader{
		header(HeaderErrorTopic, from.Topic), header(HeaderErrorPartition, from.Partition),
		header(HeaderErrorOffset, from.Offset), header(HeaderErrorConnector, stage), header(HeaderErrorClass, why.Class),
		header(HeaderErrorMessage, why.Message),
	}
	if from.Entry > 0 {
		reasons = append(reasons, header(HeaderErrorEntry, from.Entry))
	}
	if TooLarge(rec) {
		dead.Key, dead.Value = nil, nil
		dead.Headers, reasons = nil, append(reasons, header(HeaderOmitted, len(rec.Value)))
	}
	dead.Headers = append(dead.Headers, reasons...)
	return dead
}

func header(key string, value any) kgo.RecordHeader {
	return kgo.RecordHeader{Key: key, Value: fmt.Append(nil, value)}
}

// TooLarge tells whether a record's value could not travel as a dead letter.
func TooLarge(rec *kgo.Record) bool {
	size := len(rec.Key) + len(rec.Value)
	for _, h := range rec.Headers {
		size += len(h.Key) + len(h.Value) + 10
	}
	return size > LargestValue
}
