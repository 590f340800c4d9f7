-- Which of November's collections were never tried, and why?
SELECT if(d.reason = '', 'NOT_DECIDED', d.reason) AS why, count() AS collections, sum(c.due) AS due_rands
FROM collections AS c
LEFT JOIN (SELECT * FROM standing_decisions WHERE period_month = '2025-11') AS d
    ON d.tenant_id = c.tenant_id AND d.collection_id = c.collection_id
WHERE c.period_month = '2025-11' AND c.number_of_attempts = 0 AND c.collection_status != 'CANCELLED'
GROUP BY why
ORDER BY why;
-- answer:
-- "AWAIT_INCOME",93,18430
