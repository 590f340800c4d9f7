SELECT toBool(argMax(kind, no) = 'COMPLETED'), argMax(mode, no), argMax(dry_run, no), any(asked_at),
    argMax(rows, no), argMax(left_out, no), argMax(warnings, no), argMax(failed, no), argMax(imported, no),
    argMax(created, no), argMax(updated, no), argMax(unchanged, no), argMax(cancelled, no), min(at), max(at)
FROM imports_log
WHERE tenant_id = {tenant:String} AND import_id = {id:String} AND kind IN ('ACCEPTED', 'COMPLETED')
HAVING count() > 0
