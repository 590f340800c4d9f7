WITH toUInt64(row) AS n
SELECT groupBitmap(n), groupBitmapIf(n, code = 'OK'), groupBitmapIf(n, code = 'UNCHANGED')
FROM outcomes_log
WHERE request_id = {request:String} AND tenant_id = {tenant:String}
