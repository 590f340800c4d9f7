package read

import (
	"context"
	"time"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/schemas"
)

// OutcomeCounts is how many commands of a request have been answered, and how.
type OutcomeCounts struct{ Answered, OK, Unchanged uint64 }

// Different rows are counted as bitmaps: exact, and a fourth of the work of uniqExact over the rows of a large file.
const sqlOutcomeCounts = `WITH toUInt64(row) AS n
SELECT groupBitmap(n), groupBitmapIf(n, code = 'OK'), groupBitmapIf(n, code = 'UNCHANGED')
FROM outcomes_log
WHERE request_id = {request:String} AND tenant_id = {tenant:String}`

// OutcomeCounts counts the outcomes of a request.
func (d *DB) OutcomeCounts(ctx context.Context) (OutcomeCounts, error) {
	c, _, err := one[OutcomeCounts](ctx, d, sqlOutcomeCounts, nil)
	return c, err
}

const sqlOutcomesBetween = `SELECT groupBitmap(toUInt64(row))
FROM outcomes_log
WHERE request_id = {request:String} AND tenant_id = {tenant:String} AND row BETWEEN {from:UInt32} AND {to:UInt32}`

// AnsweredBetween counts the rows of a request that have been answered, of those from one to another.
func (d *DB) AnsweredBetween(ctx context.Context, from, to int) (uint64, error) {
	return count(ctx, d, sqlOutcomesBetween, params{"from": from, "to": to})
}

// Refusal is why the pipeline refused a row of a request.
type Refusal struct {
	Row, Line                   uint32
	PolicyNumber, Code, Message string
}

const sqlOutcomeRefusals = `SELECT row, any(line), any(policy_number), any(code), any(message)
FROM outcomes_log
WHERE request_id = {request:String} AND tenant_id = {tenant:String} AND code NOT IN ('OK', 'UNCHANGED')
GROUP BY row
ORDER BY row
LIMIT {limit:UInt32}`

// Refusals are the first rows of a request that were refused.
func (d *DB) Refusals(ctx context.Context, limit int) ([]Refusal, error) {
	return all[Refusal](ctx, d, sqlOutcomeRefusals, params{"limit": limit})
}

// Outcome is what became of a command. ObjectID is the policy, collection or statement it was about; Statement is a
// preview's.
type Outcome struct{ Code, Message, ObjectID, Statement string }

const sqlOutcomeFirst = `SELECT code, message, object_id, statement
FROM outcomes_log
WHERE request_id = {request:String} AND tenant_id = {tenant:String}
ORDER BY row, code != 'OK', event_id
LIMIT 1`

// Outcome is the outcome of a request of one command.
func (d *DB) Outcome(ctx context.Context) (Outcome, bool, error) {
	return one[Outcome](ctx, d, sqlOutcomeFirst, nil)
}

// Mark is how far a partition is in ClickHouse: every record before NextOffset, and every event with a number before
// NextSeq.
type Mark struct {
	Partition           uint32
	NextOffset, NextSeq int64
}

const sqlSinkMarks = `SELECT partition, max(next_offset), max(next_seq)
FROM sink_marks
WHERE topic = {topic:String}
GROUP BY partition`

// Marks are the marks of a topic's partitions by partition. A partition of which nothing is in ClickHouse has none.
func (d *DB) Marks(ctx context.Context, topic string) (map[int]Mark, error) {
	rows, err := all[Mark](ctx, d, sqlSinkMarks, params{"topic": topic})
	marks := make(map[int]Mark, len(rows))
	for _, m := range rows {
		marks[int(m.Partition)] = m
	}
	return marks, err
}

const sqlHoleWhy = `SELECT why
FROM sink_holes
WHERE topic = {topic:String} AND stage = {stage:String} AND partition = {partition:UInt32}
    AND from_seq <= {to:Int64} AND to_seq >= {from:Int64}
ORDER BY at DESC
LIMIT 1`

// HoleWhy is why the sink could not bring back what is missing, as far as any sink has found that out.
func (d *DB) HoleWhy(ctx context.Context, h *schemas.Hole) (why string, known bool, err error) {
	row, known, err := one[struct{ Why string }](ctx, d, sqlHoleWhy, params{
		"topic": h.Topic, "stage": h.Stage, "partition": uint32(h.Partition), "from": h.From, "to": h.To,
	})
	return row.Why, known, err
}

const sqlCalendar = `SELECT business_date FROM calendar`

// BusinessDate is the calendar's date; ok is false while the calendar has not started.
func (d *DB) BusinessDate(ctx context.Context) (date civil.Date, ok bool, err error) {
	row, _, err := one[struct{ Date time.Time }](ctx, d, sqlCalendar, nil)
	// The view answers one row in any case; of no ticks it makes 1970-01-01.
	return civil.DateOf(row.Date.UTC()), err == nil && row.Date.Unix() > 0, err
}
