SELECT execution_id, sum(voided), toBool(countIf(done) >= any(parts))
FROM
(
    SELECT * FROM executions_log
    WHERE tenant_id = {tenant:String} AND voids = {execution:String}
    ORDER BY execution_id, part, piece DESC
    LIMIT 1 BY execution_id, part
)
GROUP BY execution_id
