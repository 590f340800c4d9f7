SELECT line, row, policy_number, column_name, code, message
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
ORDER BY row, no
