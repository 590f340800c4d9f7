WITH toUInt64(row) AS n
SELECT groupBitmap(n), groupBitmapIf(n, code = 'OK'),
    groupBitmapIf(n, row <= {rows:Int64} AND code = 'OK' AND version = 1),
    groupBitmapIf(n, row <= {rows:Int64} AND code = 'OK' AND version != 1),
    groupBitmapIf(n, row <= {rows:Int64} AND code = 'UNCHANGED'),
    groupBitmapIf(n, row <= {rows:Int64} AND code NOT IN ('OK', 'UNCHANGED'))
FROM outcomes_log
WHERE request_id = {request:String} AND tenant_id = {tenant:String}
