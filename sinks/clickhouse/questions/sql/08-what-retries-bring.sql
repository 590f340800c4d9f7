-- What do second and further attempts bring?
SELECT attempt, count() AS debits, round(100 * countIf(status = 'paid') / debits, 1) AS paid_percent,
    sumIf(amount, status = 'paid') AS collected_rands
FROM debits
GROUP BY attempt
ORDER BY attempt;
-- answer:
-- 1,11212,82.6,1830075
-- 2,1197,100,236425
