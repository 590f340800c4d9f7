-- How many days does the bank take to answer, by rail, in November?
SELECT rail, count() AS debits, round(avg(days_to_answer), 1) AS average_days, max(days_to_answer) AS most_days
FROM attempts
WHERE period_month = '2025-11' AND status != 'pending'
GROUP BY rail
ORDER BY rail;
-- answer:
-- "DEBICHECK",1670,0,0
-- "EFT",427,0,0
