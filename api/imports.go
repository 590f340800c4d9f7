package api

import (
	"bufio"
	"context"
	"encoding/csv"
	"net/http"
	"strconv"
	"time"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

// findImport is how far an import is: as this process knows it, or as ClickHouse does.
func (s *server) findImport(db *read.DB, ctx context.Context, id string) (Import, bool, error) {
	if v, ok := s.running.Load(id); ok {
		if j := v.(*importJob); j.TenantID == infoOf(ctx).tenant {
			j.mu.Lock()
			m := j.importMeta
			j.mu.Unlock()
			out, err := s.importBody(ctx, id, m.AskedAt, m.Mode, m.DryRun, m.Counts)
			return out, err == nil, err
		}
	}
	i, ok, err := db.Import(ctx, id)
	if err != nil || !ok {
		return Import{}, false, err
	}
	counts := schemas.ImportCounts{
		Rows: i.Rows, LeftOut: i.LeftOut, Warnings: i.Warnings, Failed: i.Failed, Imported: i.Imported, Created: i.Created,
		Updated: i.Updated, Unchanged: i.Unchanged, Cancelled: i.Cancelled,
	}
	if !i.Completed {
		out, err := s.importBody(ctx, id, i.AskedAt, i.Mode, i.DryRun, counts)
		return out, err == nil, err
	}
	out := importCounts(id, i.AskedAt, i.Mode, i.DryRun, counts)
	out.Status, out.RowsDone = "completed", out.Rows
	out.CompletedAt = new(i.AskedAt.Add(i.LatestAt.Sub(i.AcceptedAt)).UTC())
	return out, true, nil
}

// importBody is an import under way: the outcomes say how far it is.
func (s *server) importBody(ctx context.Context, id string, at time.Time, mode string, dry bool, c schemas.ImportCounts,
) (Import, error) {
	db := read.New(s.DB, infoOf(ctx).tenant, id)
	o, err := db.ImportOutcomes(ctx, c.Rows)
	if err == nil {
		var cancelled uint64
		cancelled, err = db.CancelledByRequest(ctx)
		c.Cancelled = int64(cancelled)
	}
	c.Created, c.Updated, c.Unchanged = int64(o.Created), int64(o.Updated), int64(o.Unchanged)
	c.Imported, c.Failed = c.Created+c.Updated+c.Unchanged, c.Failed+int64(o.Refused)
	return importCounts(id, at, mode, dry, c), err
}

func importCounts(id string, at time.Time, mode string, dry bool, c schemas.ImportCounts) Import {
	return Import{
		ImportID: id, Status: "processing", Mode: mode, DryRun: dry, Rows: int(c.Rows),
		RowsDone: int(min(c.Imported+c.Failed, c.Rows)), Imported: int(c.Imported), Failed: int(c.Failed),
		Created: int(c.Created), Updated: int(c.Updated), Unchanged: int(c.Unchanged), Cancelled: int(c.Cancelled),
		Warnings: int(c.Warnings), CreatedAt: at.UTC(),
	}
}

// GetImport is GET /imports/{id}.
func (s *server) GetImport(w http.ResponseWriter, r *http.Request, id ID) {
	respondWith(s, w, r, "import", id, s.findImport, func(i Import) Import { return i })
}

// ListImportErrors is GET /imports/{id}/errors.
func (s *server) ListImportErrors(w http.ResponseWriter, r *http.Request, id ID) {
	s.respond(w, r, nil, func(ctx context.Context, info *requestInfo) error {
		if _, err := find(ctx, "import", id, s.findImport); err != nil {
			return err
		}
		return stream(w, "text/csv; charset=utf-8", "import-errors-"+id+".csv", func(buf *bufio.Writer) error {
			out := csv.NewWriter(buf) // writes into buf itself, which stream flushes
			_, _ = buf.WriteString("line,row,policy_number,column,code,message\n")
			return info.db.EachImportError(ctx, id, func(e read.ImportError) error {
				return out.Write([]string{
					strconv.Itoa(int(e.Line)), strconv.Itoa(int(e.Row)), e.PolicyNumber, e.Column, e.Code, e.Message,
				})
			})
		})
	})
}
