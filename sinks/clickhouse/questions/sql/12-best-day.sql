-- On which day of the month do first attempts succeed most often?
SELECT toDayOfMonth(action_date) AS day, count() AS debits, round(100 * countIf(status = 'paid') / debits, 1) AS paid_percent
FROM debits
WHERE attempt = 1
GROUP BY day
ORDER BY paid_percent DESC, day
LIMIT 5;
-- answer:
-- 16,466,87.3
-- 22,466,86.1
-- 10,471,85.6
-- 24,462,85.3
-- 12,466,85
