package read

import (
	"context"
	"time"
)

// ImportOutcomes is what became of the commands of an import so far. All but Answered and Versions are about the rows
// of its file, not about the policies that it lacks.
type ImportOutcomes struct{ Answered, Versions, Created, Updated, Unchanged, Refused uint64 }

const sqlImportOutcomes = `WITH toUInt64(row) AS n
SELECT groupBitmap(n), groupBitmapIf(n, code = 'OK'),
    groupBitmapIf(n, row <= {rows:Int64} AND code = 'OK' AND version = 1),
    groupBitmapIf(n, row <= {rows:Int64} AND code = 'OK' AND version != 1),
    groupBitmapIf(n, row <= {rows:Int64} AND code = 'UNCHANGED'),
    groupBitmapIf(n, row <= {rows:Int64} AND code NOT IN ('OK', 'UNCHANGED'))
FROM outcomes_log
WHERE request_id = {request:String} AND tenant_id = {tenant:String}`

// ImportOutcomes counts the outcomes of an import of so many rows.
func (d *DB) ImportOutcomes(ctx context.Context, rows int64) (ImportOutcomes, error) {
	c, _, err := one[ImportOutcomes](ctx, d, sqlImportOutcomes, params{"rows": rows})
	return c, err
}

const sqlCancelledByRequest = `SELECT uniqExact(policy_id)
FROM policies_log
WHERE tenant_id = {tenant:String} AND request_id = {request:String} AND status = 'cancelled' AND version > 1`

// CancelledByRequest counts the policies that a request cancelled.
func (d *DB) CancelledByRequest(ctx context.Context) (uint64, error) {
	return count(ctx, d, sqlCancelledByRequest, nil)
}

const sqlRowsAnswered = `SELECT DISTINCT row
FROM outcomes_log
WHERE request_id = {request:String} AND tenant_id = {tenant:String} AND row BETWEEN {from:UInt32} AND {to:UInt32}`

// RowsAnswered are the rows of a request that have been answered, of those from one to another.
func (d *DB) RowsAnswered(ctx context.Context, from, to int) (map[int]bool, error) {
	rows, err := all[struct{ Row uint32 }](ctx, d, sqlRowsAnswered, params{"from": from, "to": to})
	out := make(map[int]bool, len(rows))
	for _, r := range rows {
		out[int(r.Row)] = true
	}
	return out, err
}

// Import is an import as it was accepted, or as it was completed.
type Import struct {
	Completed                                        bool
	Mode                                             string
	DryRun                                           bool
	AskedAt                                          time.Time
	Rows, LeftOut, Warnings, Failed                  int64
	Imported, Created, Updated, Unchanged, Cancelled int64
	AcceptedAt, LatestAt                             time.Time
}

const sqlImport = `SELECT toBool(argMax(kind, no) = 'COMPLETED'), argMax(mode, no), argMax(dry_run, no), any(asked_at),
    argMax(rows, no), argMax(left_out, no), argMax(warnings, no), argMax(failed, no), argMax(imported, no),
    argMax(created, no), argMax(updated, no), argMax(unchanged, no), argMax(cancelled, no), min(at), max(at)
FROM imports_log
WHERE tenant_id = {tenant:String} AND import_id = {id:String} AND kind IN ('ACCEPTED', 'COMPLETED')
HAVING count() > 0`

// Import is an import by its id.
func (d *DB) Import(ctx context.Context, id string) (Import, bool, error) {
	return one[Import](ctx, d, sqlImport, params{"id": id})
}

// ImportError is an error in a row of a file.
type ImportError struct {
	Line, Row                           uint32
	PolicyNumber, Column, Code, Message string
}

const sqlImportErrors = `SELECT line, row, policy_number, column_name, code, message
FROM
(
    SELECT line, row, no, policy_number, column_name, code, message
    FROM imports_log
    WHERE tenant_id = {tenant:String} AND import_id = {id:String} AND kind = 'ERROR'
    ORDER BY no
    LIMIT 1 BY no
    UNION ALL
    SELECT any(line), row, toInt64(0), any(policy_number), 'policy_number', any(code), any(message)
    FROM outcomes_log
    WHERE request_id = {id:String} AND tenant_id = {tenant:String} AND code NOT IN ('OK', 'UNCHANGED') AND line > 0
    GROUP BY row
)
ORDER BY row, no`

// EachImportError hands over the errors of an import one after the other, by row. It has no time limit of its own.
func (d *DB) EachImportError(ctx context.Context, id string, use func(ImportError) error) error {
	return each(ctx, d, sqlImportErrors, params{"id": id}, use)
}
