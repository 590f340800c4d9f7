package api

import (
	"context"
	"time"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/schemas"
)

const sqlOutcomeCounts = `SELECT uniqExact(row), uniqExactIf(row, code = 'OK'), uniqExactIf(row, code = 'UNCHANGED')
FROM outcomes_log
WHERE request_id = {request:String} AND tenant_id = {tenant:String}`

const sqlOutcomeRefusals = `SELECT row, any(code), any(message)
FROM outcomes_log
WHERE request_id = {request:String} AND tenant_id = {tenant:String} AND code NOT IN ('OK', 'UNCHANGED')
GROUP BY row
ORDER BY row
LIMIT {limit:UInt32}`

const sqlOutcomeFirst = `SELECT code, message, object_id
FROM outcomes_log
WHERE request_id = {request:String} AND tenant_id = {tenant:String}
ORDER BY row, event_id
LIMIT 1`

const sqlSinkMarks = `SELECT partition, max(next_offset), max(next_seq)
FROM sink_marks
WHERE topic = {topic:String}
GROUP BY partition`

const sqlCalendar = `SELECT business_date FROM calendar`

// outcomeCounts is how many commands of a request have been answered, and how.
type outcomeCounts struct{ answered, ok, unchanged uint64 }

func (s *server) outcomeCounts(ctx context.Context, tenant, request string) (outcomeCounts, error) {
	c, _, err := oneRow(ctx, s.db, sqlOutcomeCounts, []any{arg("tenant", tenant), arg("request", request)},
		func(row scanner) (c outcomeCounts, err error) {
			err = row.Scan(&c.answered, &c.ok, &c.unchanged)
			return c, err
		})
	return c, err
}

// refusals are the first rows of a request that were refused, as errors of those rows.
func (s *server) refusals(ctx context.Context, tenant, request string, limit int) ([]RowError, error) {
	return allRows(ctx, s.db, sqlOutcomeRefusals, []any{
		arg("tenant", tenant), arg("request", request),
		arg("limit", limit),
	},
		func(row scanner) (RowError, error) {
			e, n := RowError{Column: "policy_number"}, uint32(0)
			err := row.Scan(&n, &e.Code, &e.Message)
			e.Row = int(n)
			return e, err
		})
}

type outcome struct{ code, message, objectID string }

func (s *server) firstOutcome(ctx context.Context, tenant, request string) (outcome, bool, error) {
	return oneRow(ctx, s.db, sqlOutcomeFirst, []any{arg("tenant", tenant), arg("request", request)},
		func(row scanner) (o outcome, err error) {
			err = row.Scan(&o.code, &o.message, &o.objectID)
			return o, err
		})
}

// mark is how far a partition is in ClickHouse: everything before the offset, and every event with a smaller seq.
type mark struct{ offset, seq int64 }

// sinkMarks are the marks of a topic's partitions.
func (s *server) sinkMarks(ctx context.Context, topic string) (map[uint32]mark, error) {
	marks := map[uint32]mark{}
	type place struct {
		partition uint32
		mark      mark
	}
	err := eachRow(ctx, s.db, sqlSinkMarks, []any{arg("topic", topic)},
		func(row scanner) (p place, err error) {
			err = row.Scan(&p.partition, &p.mark.offset, &p.mark.seq)
			return p, err
		},
		func(p place) error {
			marks[p.partition] = p.mark
			return nil
		})
	return marks, err
}

// today is the calendar's business date; ok is false while the calendar has not started.
func (s *server) today(ctx context.Context) (d civil.Date, ok bool, err error) {
	t, _, err := oneRow(ctx, s.db, sqlCalendar, nil, scanOne[time.Time])
	// The view answers one row in any case; of no ticks it makes 1970-01-01.
	return civil.DateOf(t.UTC()), err == nil && t.Unix() > 0, err
}

// inPeriodOrLater tells whether the period has not fully passed on the day.
func inPeriodOrLater(p schemas.Period, day civil.Date) bool { return p >= schemas.PeriodOf(day) }
