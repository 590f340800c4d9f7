package streams

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"cloud.google.com/go/civil"
	"github.com/segmentio/encoding/json"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/letters"
	"github.com/kasi-collections/kasi/streams/stage"
)

// This file holds what the tasks of several stages do in the same way.

// kindOf is the record's kasi.kind header; the last one wins, as in Kafka's own clients.
func kindOf(rec *kgo.Record) schemas.Kind {
	var k schemas.Kind
	for _, h := range rec.Headers {
		if h.Key == schemas.HeaderKind {
			k = kindNamed(h.Value)
		}
	}
	return k
}

// kindNamed spares nearly every record the copy of a text that is known.
func kindNamed(name []byte) schemas.Kind {
	if string(name) == string(schemas.KindTransaction) {
		return schemas.KindTransaction
	}
	return schemas.Kind(name)
}

// refuse turns a *Reject into a dead letter and hands every other error back as a bug of the processor.
func refuse(b *stage.Batch, rec *kgo.Record, err error) error {
	var why *schemas.Reject
	if errors.As(err, &why) {
		b.Reject(rec, why)
		return nil
	}
	return stage.Fatal(fmt.Errorf("%s stopped at %s partition %d offset %d: %w", b.Row.Name, rec.Topic, rec.Partition,
		rec.Offset, err))
}

// readOwn reads a record that Kasi itself wrote: a command of the API, a tick. A record that it cannot have written
// becomes a dead letter. what names it.
func readOwn(value []byte, into any, what string) *schemas.Reject {
	if err := json.Unmarshal(value, into); err != nil {
		return schemas.Refuse(letters.ClassBadCommand, "the "+what+" is not JSON of its type")
	}
	return nil
}

// takeTick reads a tick and makes it the partition's last one. It is no news where it was refused, or is not after the
// last one: a tick may be written twice.
func takeTick(b *stage.Batch, rec *kgo.Record) (now schemas.Moment, news bool, err error) {
	var tick schemas.Tick
	why := readOwn(rec.Value, &tick, "tick")
	if why == nil {
		if d, err := civil.ParseDate(tick.Date); err != nil || d.String() != tick.Date || tick.Cutoff < 0 {
			why = schemas.Refuse(letters.ClassBadCommand, "the tick is no date and cut-off")
		}
	}
	if why != nil {
		b.Reject(rec, why)
		return now, false, nil
	}
	if !tick.After(b.Facts.Tick) {
		return now, false, nil
	}
	b.Facts.Tick = tick
	now, err = momentOf(tick, rec.Timestamp)
	return now, err == nil, err
}

// beforeTime is the business date of a partition that has seen no tick yet: everything is booked later, so it waits for
// its day.
var beforeTime = civil.Date{Year: 1970, Month: 1, Day: 1}

// momentOf is the business time of a record: the partition's last tick and the record's own timestamp.
func momentOf(t schemas.Tick, at time.Time) (schemas.Moment, error) {
	m := schemas.Moment{Date: beforeTime, Cutoff: t.Cutoff, At: at.UTC()}
	if t.Date == "" {
		return m, nil
	}
	d, err := civil.ParseDate(t.Date)
	if err != nil {
		return m, stage.Fatal(fmt.Errorf("the state holds a tick that is no date: %w", err))
	}
	m.Date = d
	return m, nil
}

// outcomeID names an answer. A command that is delivered again is another record and gets another answer, so the
// record's instant is part of it: two answers of one id would be one row in ClickHouse, with a gap in the sequence.
func outcomeID(o *schemas.OutcomeEvent, at time.Time) string {
	return schemas.FactID("outcome", o.Stage, o.TenantID, o.RequestID, strconv.Itoa(o.Row), o.Code,
		strconv.FormatInt(at.UnixNano(), 10))
}

func wrongPartition() *schemas.Reject {
	return schemas.Refuse(letters.ClassWrongPartition,
		"the record's key belongs to another partition; was the topic's partition count changed?")
}
