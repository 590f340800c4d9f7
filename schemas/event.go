package schemas

import "time"

// Meta is on every event Kasi emits.
type Meta struct {
	// Made from facts: the same event has the same id in every run. The duplicate key.
	EventID string `json:"event_id" cat:"uuid"`
	// Counts the records of this partition of the topic: 1, 2, 3... without a gap.
	Seq int64 `json:"seq" cat:"min=1 after=at"`
	// The calendar's day when it happened.
	BusinessDate string `json:"business_date" cat:"date"`
	// Timestamp of the record that caused it, UTC.
	At time.Time `json:"at"`
}

// Head is the event's head, for whoever fills the sequence number.
func (m *Meta) Head() *Meta { return m }
