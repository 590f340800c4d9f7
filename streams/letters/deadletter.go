package letters

import (
	"fmt"
	"strconv"
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
	// HeaderOmitted is set where the value was too large to travel as a dead letter; it is still at the topic, partition
	// and offset named.
	HeaderOmitted = "kasi.value.omitted.bytes"
)

// Prefix is what the names of the headers begin with that say why and where a record was refused.
const Prefix = "__connect.errors."

// Classes that the stages themselves reject with; the others are in package processors.
const (
	ClassUnknownKind    = "UNKNOWN_KIND"
	ClassBadCommand     = "BAD_COMMAND"
	ClassWrongPartition = "WRONG_PARTITION"
)

// LargestValue is the largest record value that still fits a dead letter with its headers under Kafka's default limit
// of 1 MiB a record batch.
const LargestValue = 960 << 10

// headerOrigin goes with what intake passes on: where the outsider's record lies, so that a dead letter of a later
// stage names the record its sender knows, not our copy of it.
const headerOrigin = "kasi.origin"

// originOf is what headerOrigin says, or the record's own place. A header that is not of our making is ignored.
func originOf(rec *kgo.Record) Origin {
	own := Origin{rec.Topic, rec.Partition, rec.Offset}
	if rec.Topic != schemas.TopicTimeline {
		return own
	}
	for _, h := range rec.Headers {
		if h.Key != headerOrigin {
			continue
		}
		var o Origin
		if _, err := fmt.Sscanf(string(h.Value), "%s %d %d", &o.Topic, &o.Partition, &o.Offset); err == nil {
			return o
		}
	}
	return own
}

// OriginHeader is the header by which a record that intake passes on names the outsider's record.
func OriginHeader(rec *kgo.Record) kgo.RecordHeader {
	o := originOf(rec)
	return kgo.RecordHeader{Key: headerOrigin, Value: fmt.Appendf(nil, "%s %d %d", o.Topic, o.Partition, o.Offset)}
}

// Of is the dead letter of a record that a stage refused: key, value, headers and timestamp untouched, the reason in
// further headers. The reasons of an earlier rejection are replaced.
func Of(rec *kgo.Record, stage, topic string, why *schemas.Reject) *kgo.Record {
	dead := &kgo.Record{Topic: topic, Key: rec.Key, Value: rec.Value, Timestamp: rec.Timestamp}
	from := originOf(rec)
	for _, h := range rec.Headers {
		if !strings.HasPrefix(h.Key, Prefix) && h.Key != headerOrigin {
			dead.Headers = append(dead.Headers, h)
		}
	}
	add := func(key, value string) {
		dead.Headers = append(dead.Headers, kgo.RecordHeader{Key: key, Value: []byte(value)})
	}
	add(HeaderErrorTopic, from.Topic)
	add(HeaderErrorPartition, strconv.Itoa(int(from.Partition)))
	add(HeaderErrorOffset, strconv.FormatInt(from.Offset, 10))
	add(HeaderErrorConnector, stage)
	add(HeaderErrorClass, why.Class)
	add(HeaderErrorMessage, why.Message)
	if TooLarge(rec) {
		add(HeaderOmitted, strconv.Itoa(len(rec.Value)))
		dead.Key, dead.Value = nil, nil
		dead.Headers = dead.Headers[len(dead.Headers)-7:]
	}
	return dead
}

// TooLarge tells whether a record's value could not travel as a dead letter.
func TooLarge(rec *kgo.Record) bool { return size(rec) > LargestValue }

// size is what of a record counts against the limit of a batch.
func size(rec *kgo.Record) int {
	n := len(rec.Key) + len(rec.Value)
	for _, h := range rec.Headers {
		n += len(h.Key) + len(h.Value) + 10
	}
	return n
}
