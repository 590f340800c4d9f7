package processors

import (
	"slices"

	"github.com/kasi-collections/kasi/schemas"
)

// maxStreams bounds the streams of a customer; beyond it the one that has been silent for longest is forgotten.
const maxStreams = 16

// The statuses of a stream.
const (
	streamEarly  = "EARLY_DETECTION" // fewer than three deposits, or no pattern explains them
	streamMature = "MATURE"
	streamEnded  = "ENDED" // a mature stream that missed its payments
)

// stream is one source of income of a customer.
type stream struct {
	Key     uint32             `json:"k"`
	Kind    schemas.IncomeKind `json:"n"`
	History []entry            `json:"h"` // by schemas.Day, one entry a schemas.Day, the latest StreamHistory days
	pattern
	Next schemas.Day `json:"x,omitempty"` // first payday after the latest deposit, where there is a pattern
}

func (s *stream) last() schemas.Day {
	if len(s.History) == 0 {
		return 0
	}
	return s.History[len(s.History)-1].day()
}

// stream is the customer's stream of that key, or nil.
func (c *Customer) stream(key uint32) *stream {
	for i := range c.Streams {
		if c.Streams[i].Key == key {
			return &c.Streams[i]
		}
	}
	return nil
}

// record puts a deposit into its stream's history, made if need be, and finds the stream's pattern anew.
func (e *Engine) record(c *Customer, key uint32, kind schemas.IncomeKind, d schemas.Day, cents schemas.Cents,
	keep int,
) *stream {
	s := c.stream(key)
	if s == nil {
		if len(c.Streams) == maxStreams {
			c.forgetSilentest()
		}
		c.Streams = append(c.Streams, stream{Key: key, Kind: kind})
		s = &c.Streams[len(c.Streams)-1]
	}
	i := len(s.History)
	for i > 0 && s.History[i-1].day() > d {
		i--
	}
	if i > 0 && s.History[i-1].day() == d {
		s.History[i-1][1] += int64(cents)
	} else {
		s.History = slices.Insert(s.History, i, entry{int64(d), int64(cents)})
	}
	if over := len(s.History) - keep; over > 0 {
		s.History = slices.Delete(s.History, 0, over)
	}
	e.learn(s)
	return s
}

// unrecord takes money back out of a stream's history: its payment was cancelled.
func (e *Engine) unrecord(c *Customer, key uint32, d schemas.Day, cents schemas.Cents) {
	s := c.stream(key)
	if s == nil {
		return
	}
	for i := range s.History {
		if s.History[i].day() != d {
			continue
		}
		if s.History[i][1] -= int64(cents); s.History[i][1] <= 0 {
			s.History = slices.Delete(s.History, i, i+1)
		}
		break
	}
	e.learn(s)
}

func (e *Engine) learn(s *stream) {
	s.pattern, s.Next = detect(s.History, s.Kind), 0
	if s.mature() {
		s.Next = e.cycle(s, 1)
	}
}

func (c *Customer) forgetSilentest() {
	oldest := 0
	for i := range c.Streams {
		if c.Streams[i].last() < c.Streams[oldest].last() {
			oldest = i
		}
	}
	c.Streams = slices.Delete(c.Streams, oldest, oldest+1)
}

// streamStatus is a stream's status as seen on a day.
func (e *Engine) streamStatus(s *stream, today schemas.Day) string {
	if !s.mature() {
		return streamEarly
	}
	if _, ok := e.expects(s, today); !ok {
		return streamEnded
	}
	return streamMature
}
