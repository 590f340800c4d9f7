package processors

import (
	"time"

	"cloud.google.com/go/civil"
)

// Moment is when something happens, in business time. It comes from the records, never from a clock.
type Moment struct {
	// Date is the business date and Cutoff the last tick of the partition on that date (0: the day is open).
	Date   civil.Date
	Cutoff int
	// At is the timestamp of the record being processed.
	At time.Time
}
