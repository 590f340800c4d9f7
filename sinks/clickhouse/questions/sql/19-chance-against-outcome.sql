-- Were the chances right that debits were decided with? By tens of percent.
SELECT intDiv(chance_per_10000, 1000) * 10 AS chance_percent_from, count() AS debits,
    round(avg(chance_per_10000) / 100, 1) AS said_percent, round(100 * countIf(status = 'paid') / debits, 1) AS paid_percent
FROM attempts
WHERE period_month = '2025-11' AND chance_per_10000 IS NOT NULL AND status != 'pending'
GROUP BY chance_percent_from
ORDER BY chance_percent_from;
-- answer:
-- 70,1071,75,83.5
-- 80,1026,85.1,85.4
