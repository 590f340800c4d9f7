package streams

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/civil"
	"github.com/segmentio/encoding/json"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/letters"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/stage"
)

// This file holds what the tasks of several stages do in the same way.

// kindOf is the record's kasi.kind header; the last one wins, as in Kafka's own clients.
func kindOf(rec *kgo.Record) schemas.Kind {
	for _, h := range slices.Backward(rec.Headers) {
		switch {
		case h.Key != schemas.HeaderKind:
		case string(h.Value) == string(schemas.KindTransaction): // spares nearly every record the copy of the text
			return schemas.KindTransaction
		default:
			return schemas.Kind(h.Value)
		}
	}
	return ""
}

// readOwn reads a record that Kasi itself wrote: a command of the API, a tick. A record that it cannot have written, or
// that check refuses, becomes a dead letter. what names it.
func readOwn[T any](value []byte, what string, check func(T) error) (T, error) {
	var own T
	if err := json.Unmarshal(value, &own); err != nil {
		return own, badCommand("the " + what + " is not JSON of its type")
	}
	return own, check(own)
}

func badCommand(message string) error { return schemas.Refuse(letters.ClassBadCommand, message) }

// checkPlace refuses a record that is not on the partition of its key, and a key that could not be a state's.
func checkPlace(b *stage.Batch, rec *kgo.Record, key string) error {
	if strings.Contains(key, stage.RowMark) {
		return badCommand("an id holds a control character")
	}
	if schemas.PartitionOf(schemas.RoutingHash(key), b.Count) != rec.Partition {
		return schemas.Refuse(letters.ClassWrongPartition,
			"the record's key belongs to another partition; was the topic's partition count changed?")
	}
	return nil
}

// takeTick reads a tick and makes it the partition's last one. It is no news where it is not after the last one: a tick
// may be written twice. One that is worked on in slices is news until it is done.
func takeTick(b *stage.Batch, rec *kgo.Record) (now schemas.Moment, news bool, err error) {
	tick, err := readOwn(rec.Value, "tick", func(t schemas.Tick) error {
		if d, err := civil.ParseDate(t.Date); err != nil || d.String() != t.Date || t.Cutoff < 0 {
			return badCommand("the tick is no date and cut-off")
		}
		return nil
	})
	if err != nil || b.Facts.Slice == nil && !tick.After(b.Facts.Tick) {
		return now, false, err
	}
	b.Facts.Tick, b.Facts.Real = tick, progress.Header(rec, schemas.HeaderCalendar) == schemas.CalendarReal
	now, err = momentOf(tick, rec.Timestamp)
	if b.Facts.Real {
		now.Sent = schemas.DateIn(rec.Timestamp)
	}
	return now, err == nil, err
}

// passMove sends a move on to whom it concerns: a customer on the timeline, a policy number among the policy commands.
func passMove(b *stage.Batch, topic, whom string, cmd *schemas.MoveCommand, at time.Time) error {
	value, err := json.Marshal(cmd)
	if err != nil {
		return stage.Fatal(err)
	}
	key := schemas.CustomerKey(cmd.TenantID, whom)
	b.Route(topic, schemas.KindMove, schemas.RoutingHash(key), key, value, at)
	return nil
}

func checkMove(cmd schemas.MoveCommand) error {
	if cmd.TenantID == "" || cmd.PolicyNumber == "" || cmd.RequestID == "" || cmd.CustomerID == "" || cmd.From == "" {
		return badCommand("tenant_id, policy_number, request_id, customer_id and from are required")
	}
	return nil
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
