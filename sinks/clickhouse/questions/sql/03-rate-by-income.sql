-- How well are premiums collected by kind of income, in November?
SELECT k.income_kind AS income_kind, count() AS collections, sum(c.due) AS due_rands, sum(c.collected) AS collected_rands,
    round(100 * collected_rands / due_rands, 1) AS percent
FROM collections AS c
INNER JOIN customers AS k ON k.tenant_id = c.tenant_id AND k.customer_id = c.customer_id
WHERE c.period_month = '2025-11' AND c.collection_status != 'CANCELLED'
GROUP BY income_kind
ORDER BY income_kind;
-- answer:
-- "GRANT",389,76590,66750,87.2
-- "NONE",100,24500,21855,89.2
-- "PENSION",199,38880,33640,86.5
-- "SALARY",790,150110,137605,91.7
-- "WAGE",491,98565,89915,91.2
