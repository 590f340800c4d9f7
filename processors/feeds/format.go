package feeds

import (
	"fmt"
	"slices"

	"github.com/kasi-collections/kasi/schemas"
)

// Format is a way in which the records of a topic are written. To take in another one, add a row to formats.
type Format struct {
	Name string
	// holds tells from its beginning whether a record is in the format.
	holds func(value []byte) bool
	// read calls each for the record's entries, in their order. Its own error, a *schemas.Reject, is of the whole record,
	// of which no entry was given.
	read func(r *Reader, value []byte, each func(*Entry) error) error
}

// formats are those of each topic; the first that holds a record reads it.
var formats = map[string][]Format{
	schemas.TopicFeedTransactions: {
		{"CSV", isCSV, readCSV},
		jsonOf(Transaction, func(r *Reader) *schemas.Transaction { return &r.transaction }),
	},
	schemas.TopicFeedIncomes: {jsonOf(Income, func(r *Reader) *schemas.Income { return &r.income })},
	schemas.TopicRailResults: {jsonOf(Result, func(r *Reader) *schemas.Result { return &r.result })},
	schemas.TopicPayoutResults: {
		jsonOf(PayoutResult, func(r *Reader) *schemas.PayoutResult { return &r.payout }),
	},
}

// Entry is one entry of a record: an event, or why it is refused. One does not hinder another.
type Entry struct {
	// No counts the entries of a record from 1. It is 0 where the format knows one only, which is the record.
	No int
	// Event is a *schemas.Transaction, *schemas.Income, *schemas.Result or *schemas.PayoutResult. The next entry uses its
	// memory again.
	Event Event
	// Err is the *schemas.Reject of an entry without an event.
	Err error

	head, text []byte
}

// Event is what an entry becomes on the timeline: our canonical JSON, whatever it came as.
type Event interface {
	AppendJSON(to []byte) ([]byte, error)
}

// Text is what a dead letter of the entry holds: a record of its own, which can be mended and sent again.
func (e *Entry) Text() []byte { return slices.Concat(e.head, e.text) }

// Reader reads the records of the outside topics, one after the other.
type Reader struct {
	transaction schemas.Transaction
	income      schemas.Income
	result      schemas.Result
	payout      schemas.PayoutResult
	entry       Entry
}

// Read calls each for the entries of a record's value, in their order, until it returns an error. An error of Read's
// own is a *schemas.Reject of the whole record.
func (r *Reader) Read(topic string, value []byte, each func(*Entry) error) error {
	for _, f := range formats[topic] {
		if f.holds(value) {
			return f.read(r, value, each)
		}
	}
	return fmt.Errorf("feeds: no format reads records of topic %s", topic)
}

// jsonOf is one JSON object a record.
func jsonOf[T any, P interface {
	*T
	Event
}](decode func([]byte) (T, error), room func(*Reader) P) Format {
	return Format{"JSON", func([]byte) bool { return true }, func(r *Reader, value []byte, each func(*Entry) error) error {
		event, err := decode(value)
		if err != nil {
			return err
		}
		to := room(r)
		*to = event
		r.entry = Entry{Event: to, text: value}
		return each(&r.entry)
	}}
}
