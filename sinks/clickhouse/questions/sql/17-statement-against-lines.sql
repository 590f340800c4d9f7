-- Do the lines of each November statement add up to it?
SELECT s.tenant_id AS tenant_id, s.settlement_number AS settlement_number, s.total_collections AS statement_rands,
    sum(l.amount) AS lines_rands, statement_rands - lines_rands AS difference
FROM settlements AS s
INNER JOIN settlement_lines AS l ON l.tenant_id = s.tenant_id AND l.settlement_id = s.settlement_id
WHERE l.settlement_id IN (SELECT settlement_id FROM settlements WHERE period_month = '2025-11')
GROUP BY tenant_id, settlement_number, statement_rands
ORDER BY tenant_id, settlement_number;
-- answer:
-- "acme","SETTLE-2025-11-001",257460,257460,0
-- "beta","SETTLE-2025-11-001",92305,92305,0
