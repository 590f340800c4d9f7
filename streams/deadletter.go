package streams

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

const headerErrors = "__connect.errors."

// Classes that the stages themselves reject with; the others are in package processors.
const (
	ClassUnknownKind    = "UNKNOWN_KIND"
	ClassBadCommand     = "BAD_COMMAND"
	ClassWrongPartition = "WRONG_PARTITION"
)

// largestValue is the largest record value that still fits a dead letter with its headers under Kafka's default limit
// of 1 MiB a record batch.
const largestValue = 960 << 10

// headerOrigin goes with what intake passes on: where the outsider's record lies, so that a dead letter of a later
// stage names the record its sender knows, not our copy of it.
const headerOrigin = "kasi.origin"

// origin is a place in a topic.
type origin struct {
	topic     string
	partition int32
	offset    int64
}

// originOf is what headerOrigin says, or the record's own place. A header that is not of our making is ignored.
func originOf(rec *kgo.Record) origin {
	own := origin{rec.Topic, rec.Partition, rec.Offset}
	if rec.Topic != schemas.TopicTimeline {
		return own
	}
	for _, h := range rec.Headers {
		if h.Key != headerOrigin {
			continue
		}
		var o origin
		if _, err := fmt.Sscanf(string(h.Value), "%s %d %d", &o.topic, &o.partition, &o.offset); err == nil {
			return o
		}
	}
	return own
}

func (o origin) header() kgo.RecordHeader {
	return kgo.RecordHeader{Key: headerOrigin, Value: fmt.Appendf(nil, "%s %d %d", o.topic, o.partition, o.offset)}
}

// reject appends the record as a dead letter: key, value, headers and timestamp untouched, the reason in further
// headers. The reasons of an earlier rejection are replaced. It is written in the transaction that consumes the record,
// so it is there exactly once.
func (b *batch) reject(rec *kgo.Record, why *schemas.Reject) {
	dead := &kgo.Record{Topic: schemas.TopicDeadLetters, Key: rec.Key, Value: rec.Value, Timestamp: rec.Timestamp}
	from := originOf(rec)
	for _, h := range rec.Headers {
		if !strings.HasPrefix(h.Key, headerErrors) && h.Key != headerOrigin {
			dead.Headers = append(dead.Headers, h)
		}
	}
	add := func(key, value string) {
		dead.Headers = append(dead.Headers, kgo.RecordHeader{Key: key, Value: []byte(value)})
	}
	add(HeaderErrorTopic, from.topic)
	add(HeaderErrorPartition, strconv.Itoa(int(from.partition)))
	add(HeaderErrorOffset, strconv.FormatInt(from.offset, 10))
	add(HeaderErrorConnector, b.stage.Name)
	add(HeaderErrorClass, why.Class)
	add(HeaderErrorMessage, why.Message)
	if size(rec) > largestValue {
		add(HeaderOmitted, strconv.Itoa(len(rec.Value)))
		dead.Key, dead.Value = nil, nil
		dead.Headers = dead.Headers[len(dead.Headers)-7:]
	}
	b.out = append(b.out, dead)
}

// size is what of a record counts against the limit of a batch.
func size(rec *kgo.Record) int {
	n := len(rec.Key) + len(rec.Value)
	for _, h := range rec.Headers {
		n += len(h.Key) + len(h.Value) + 10
	}
	return n
}
